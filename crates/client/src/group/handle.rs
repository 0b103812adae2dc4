//! The handle of a member.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{sync::oneshot, time::Instant};

use super::{
    CommitError, Committed, GroupConfig, GroupError, GroupEvent,
    assignor::Assignor,
    commits::{CommitItem, CommitJob, JobState},
    driver::{Command, Driver},
    events::Shared,
    offsets,
};
use crate::{Client, Error, TopicPartition, consumer::Position, retry::Deadline};

/// Membership in a group by the classic protocol, without reading anything: for those who read by themselves.
///
/// Heartbeats, rebalances and the coordinator's moves are dealt with on the client's I/O thread, whatever the user's
/// threads do. The user follows [`next_event`](Self::next_event). All clones are the same member; when the last one is
/// dropped the member leaves, unless it is static.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use roka_client::{Client, Config, consumer::Position};
/// # use roka_client::group::{GroupConfig, GroupEvent, assignor::CooperativeSticky};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(Config::new("localhost:9092"))?;
/// let config = GroupConfig::new("billing", ["orders"]);
/// let group = client.group(config, vec![Arc::new(CooperativeSticky)])?;
/// while let Some(event) = group.next_event().await {
///     match event {
///         GroupEvent::Assigned { added, .. } => {
///             for (partition, committed) in group.committed(&added).await? {
///                 println!("{partition} goes on at {committed:?}");
///             }
///         }
///         GroupEvent::Revoked { partitions, ack } => {
///             let offset = |partition| (partition, Position::at(42));
///             group.commit(partitions.into_iter().map(offset)).await?;
///             ack.done();
///         }
///         GroupEvent::Lost { partitions } => println!("{partitions:?} are gone"),
///         GroupEvent::Failed(error) => return Err(error.into()),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Group {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    config: GroupConfig,
    shared: Arc<Shared>,
}

/// Who a member is, for those who must name it: a transaction's `TxnOffsetCommit` (KIP-447).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The group.
    pub group_id: Arc<str>,
    /// Its generation as this member knows it; -1 before it joined.
    pub generation: i32,
    /// The id the coordinator gave; empty before it joined.
    pub member_id: String,
    /// The static member's name, if it is one.
    pub instance_id: Option<Arc<str>>,
}

impl GroupMetadata {
    /// Of a group without a member to name: offsets are then taken from anybody.
    pub fn without_member(group_id: impl Into<Arc<str>>) -> Self {
        let (member_id, instance_id) = (String::new(), None);
        Self { group_id: group_id.into(), generation: -1, member_id, instance_id }
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("metadata", &self.metadata()).finish()
    }
}

impl Client {
    /// Joins a group. `assignors` are the strategies this member can follow, the preferred one first; all members must
    /// have one in common. Partitions stay with their members through rebalances if all of them are cooperative.
    pub fn group(
        &self,
        config: GroupConfig,
        assignors: Vec<Arc<dyn Assignor>>,
    ) -> Result<Group, Error> {
        config.validate()?;
        if assignors.is_empty() {
            return Err(Error::config("assignors", "", "at least one strategy"));
        }
        let shared = Arc::new(Shared::new());
        let driver = Driver::new(self.core().clone(), config.clone(), assignors, shared.clone());
        self.core().spawn(driver.run());
        Ok(Group { inner: Arc::new(Inner { client: self.clone(), config, shared }) })
    }
}

impl Group {
    /// The client it is a member with.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// The configuration it joined with.
    pub fn config(&self) -> &GroupConfig {
        &self.inner.config
    }

    /// What happened next. `None` after the member has left. Cancel safe; one caller at a time.
    pub async fn next_event(&self) -> Option<GroupEvent> {
        self.inner.shared.next().await
    }

    /// What happened, if something did.
    pub fn try_next_event(&self) -> Option<GroupEvent> {
        self.inner.shared.try_next()
    }

    /// Who this member is right now.
    pub fn metadata(&self) -> GroupMetadata {
        let (generation, member_id) = self.inner.shared.identity();
        let GroupConfig { group_id, instance_id, .. } = self.inner.config.clone();
        GroupMetadata { group_id, generation, member_id, instance_id }
    }

    /// Commits where partitions are to be read on. Calls are carried out one after the other, each within
    /// `commit_timeout`; rebalances and moves of the coordinator are waited for. Fails with
    /// [`CommitError::NotOwned`] for a partition that is not, or no longer, held since its last
    /// [`GroupEvent::Assigned`]: then nothing, or only a part, was committed.
    pub async fn commit(
        &self,
        offsets: impl IntoIterator<Item = (TopicPartition, Position)>,
    ) -> Result<(), CommitError> {
        self.commit_with(offsets.into_iter().map(|(it, position)| (it, position, None))).await
    }

    /// As [`commit`](Self::commit), with a text that is kept with each offset.
    pub async fn commit_with(
        &self,
        offsets: impl IntoIterator<Item = (TopicPartition, Position, Option<String>)>,
    ) -> Result<(), CommitError> {
        let Inner { client, config, shared } = &*self.inner;
        let mut items = Vec::new();
        for (partition, position, metadata) in offsets {
            let Some(epoch) = shared.epoch_of(&partition) else {
                let group = config.group_id.clone();
                return Err(CommitError::NotOwned { group, partition });
            };
            items.push(CommitItem { partition, epoch, position, metadata });
        }
        if items.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let (reply, answer) = oneshot::channel();
        shared.mailbox.put(Command::Commit(CommitJob {
            items,
            deadline: Deadline::from(started, config.commit_timeout),
            started,
            backoff: client.core().backoff(),
            reply,
            state: JobState::Ready,
            last: None,
        }));
        let left = || GroupError::Left { group: config.group_id.clone() };
        answer.await.unwrap_or_else(|_| Err(left().into()))
    }

    /// Reads the committed offsets of partitions, of this group but not necessarily of this member; `None` where
    /// nothing was committed. Fails after `api_timeout`, and never takes an error for "nothing was committed".
    pub async fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Committed>>, Error> {
        let core = self.inner.client.core().clone();
        let group = self.inner.config.group_id.clone();
        let partitions = partitions.to_vec();
        self.inner
            .client
            .core()
            .run(async move {
                let deadline = core.api_deadline();
                offsets::committed(&core, &group, &partitions, deadline).await
            })
            .await
    }

    /// Joins again, so that the leader assigns anew: because what the assignor says of this member changed.
    pub fn rejoin(&self) {
        self.inner.shared.mailbox.put(Command::Rejoin);
    }

    /// Leaves, and waits until the coordinator knows, for a few seconds at most. What was not committed before is not
    /// committed. A static member's place is kept until its session times out.
    pub async fn leave(&self) {
        let (reply, left) = oneshot::channel();
        self.inner.shared.mailbox.put(Command::Leave(Some(reply)));
        // An error says that the member is gone already.
        let _ = left.await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.mailbox.put(Command::Leave(None));
    }
}
