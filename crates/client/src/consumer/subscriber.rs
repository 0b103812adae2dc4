//! A member of a group that reads its partitions: group and fetcher put together.
//!
//! Rules:
//! - At least once: an offset is committed only after everything before it was handed out *and* the user came back for
//!   more (or said so by [`Consumer::commit`]).
//! - Partitions that go to another member are committed before they are let go of; lost ones are not committed.
//! - [`Consumer::recv`] may be dropped at any point: what it was in the middle of is gone on with by the next call.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinHandle, time::Instant};

use super::{
    Chunk, FetchError, FetchEvent, FetchQueue, Fetcher, FetcherConfig, Position, ResetPolicy, Start,
};
use crate::{
    Client, Error, TopicPartition,
    group::{
        CommitError, Group, GroupConfig, GroupError, GroupEvent, RevokeAck,
        assignor::{Assignor, CooperativeSticky},
    },
};

/// How a [`Consumer`] reads.
#[derive(Clone)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// The group and its topics.
    pub group: GroupConfig,
    /// How to fetch.
    pub fetcher: FetcherConfig,
    /// The strategies for spreading partitions, the preferred one first. Default: cooperative-sticky.
    pub assignors: Vec<Arc<dyn Assignor>>,
    /// Where to begin with a partition for which the group has no offset. Default: at its first record.
    pub start: Start,
    /// What to do when the committed offset is not in the log any more. Default: fail.
    pub reset: ResetPolicy,
    /// Bytes of fetched records that may wait to be read. Default: 32 MiB.
    pub queue_bytes: usize,
    /// How often offsets are committed by themselves; `None` leaves it to [`Consumer::commit`]. Default: 5 s.
    pub auto_commit: Option<Duration>,
}

impl ConsumerConfig {
    /// The defaults.
    pub fn new<T: Into<Arc<str>>>(
        group_id: impl Into<Arc<str>>,
        topics: impl IntoIterator<Item = T>,
    ) -> Self {
        Self {
            group: GroupConfig::new(group_id, topics),
            fetcher: FetcherConfig::default(),
            assignors: vec![Arc::new(CooperativeSticky)],
            start: Start::Earliest,
            reset: ResetPolicy::Fail,
            queue_bytes: 32 << 20,
            auto_commit: Some(Duration::from_secs(5)),
        }
    }

    /// Sets [`start`](Self#structfield.start).
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Sets [`reset`](Self#structfield.reset).
    #[must_use]
    pub fn reset(mut self, reset: ResetPolicy) -> Self {
        self.reset = reset;
        self
    }

    /// Sets [`auto_commit`](Self#structfield.auto_commit).
    #[must_use]
    pub fn auto_commit(mut self, every: impl Into<Option<Duration>>) -> Self {
        self.auto_commit = every.into();
        self
    }
}

/// Why a [`Consumer`] cannot read on.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// A partition was stopped; the others go on with the next call, this one after a [`Consumer::seek`].
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The member is out of its group, for good.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// Offsets could not be committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The brokers did not answer, or refuse. The next call goes on where this one failed.
    #[error(transparent)]
    Client(#[from] Error),
}

/// What is to be done before anything else is read.
enum Todo {
    /// Partitions to be read from their committed offsets.
    Begin(Vec<TopicPartition>),
    /// Partitions to be committed and let go of.
    End(Vec<TopicPartition>, Option<RevokeAck>),
}

/// Reads topics as a member of a group.
///
/// ```no_run
/// # use roka_client::{Client, Config};
/// # use roka_client::consumer::{ConsumerConfig, Decompressor};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(Config::new("localhost:9092"))?;
/// let mut consumer = client.consumer(ConsumerConfig::new("billing", ["orders"]))?;
/// let mut decompressor = Decompressor::new();
/// loop {
///     let chunk = consumer.recv().await?;
///     chunk.for_each(&mut decompressor, |record| {
///         println!("{}: {:?}", record.offset, record.value);
///     })?;
/// }
/// # }
/// ```
pub struct Consumer {
    config: ConsumerConfig,
    group: Group,
    fetcher: Fetcher,
    queue: FetchQueue,
    todo: VecDeque<Todo>,
    /// Where each partition is read on after what was handed out, if that is not committed.
    delivered: HashMap<TopicPartition, Position>,
    commit_at: Option<Instant>,
    committing: Option<Committing>,
    failed: Option<GroupError>,
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer")
            .field("group", &self.group)
            .field("fetcher", &self.fetcher)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A consumer in a group. It joins at once; partitions come when the group is complete.
    pub fn consumer(&self, config: ConsumerConfig) -> Result<Consumer, Error> {
        let group = self.group(config.group.clone(), config.assignors.clone())?;
        let fetcher = self.fetcher(config.fetcher.clone())?;
        let queue = fetcher.queue(config.queue_bytes);
        let commit_at = config.auto_commit.map(|every| Instant::now() + every);
        Ok(Consumer {
            config,
            group,
            fetcher,
            queue,
            todo: VecDeque::new(),
            delivered: HashMap::new(),
            commit_at,
            committing: None,
            failed: None,
        })
    }
}

/// A commit in the background.
struct Committing {
    task: JoinHandle<()>,
    offsets: HashMap<TopicPartition, Position>,
    succeeded: Arc<AtomicBool>,
}

enum Next {
    Group(Option<GroupEvent>),
    Fetch(Option<FetchEvent>),
    Commit,
}

impl Consumer {
    /// The next records of any partition. Calling it says that everything handed out before is processed.
    ///
    /// Cancel safe. Call it often enough: partitions that are to go to another member are let go of here, and the
    /// group waits for that up to its rebalance timeout.
    pub async fn recv(&mut self) -> Result<Chunk, ConsumerError> {
        loop {
            self.work_off().await?;
            if let Some(error) = &self.failed {
                return Err(error.clone().into());
            }
            match self.next().await {
                Next::Commit => self.auto_commit(),
                Next::Group(event) => self.heard(event),
                Next::Fetch(Some(FetchEvent::Data(chunk))) => {
                    self.delivered.insert(chunk.partition().clone(), chunk.next());
                    return Ok(chunk);
                }
                Next::Fetch(Some(FetchEvent::Failed { error, .. })) => return Err(error.into()),
                Next::Fetch(Some(FetchEvent::Reset(reset))) => {
                    // What was read before lies outside of the log: not to be committed any more.
                    self.delivered.remove(&reset.partition);
                }
                Next::Fetch(None) => return Err(Error::Closed.into()),
            }
        }
    }

    /// What happens next. News of the group come first: records of partitions that are gone help nobody.
    async fn next(&self) -> Next {
        if let Some(event) = self.group.try_next_event() {
            return Next::Group(Some(event));
        }
        if self.commit_at.is_some_and(|at| at <= Instant::now()) {
            return Next::Commit;
        }
        let commit_at = self.commit_at.filter(|_| !self.delivered.is_empty());
        // All of these only wait.
        tokio::select! {
            biased;
            event = self.group.next_event() => Next::Group(event),
            event = self.queue.recv() => Next::Fetch(event),
            () = tokio::time::sleep_until(commit_at.unwrap_or_else(Instant::now)),
                if commit_at.is_some() => Next::Commit,
        }
    }

    fn heard(&mut self, event: Option<GroupEvent>) {
        match event {
            Some(GroupEvent::Assigned { added, .. }) => self.todo.push_back(Todo::Begin(added)),
            Some(GroupEvent::Revoked { partitions, ack }) => {
                self.todo.push_back(Todo::End(partitions, Some(ack)));
            }
            Some(GroupEvent::Lost { partitions }) => {
                for partition in &partitions {
                    self.delivered.remove(partition);
                }
                self.todo.push_back(Todo::End(partitions, None));
            }
            Some(GroupEvent::Failed(error)) => self.failed = Some(error),
            None => {
                let group = self.config.group.group_id.clone();
                self.failed.get_or_insert(GroupError::Left { group });
            }
        }
    }

    /// Does what is to be done; what was not finished stays to be done.
    async fn work_off(&mut self) -> Result<(), ConsumerError> {
        while let Some(todo) = self.todo.front() {
            match todo {
                Todo::Begin(partitions) => {
                    let committed = self.group.committed(partitions).await?;
                    for (partition, committed) in committed {
                        let start = committed.map_or(self.config.start, |it| it.position.into());
                        self.fetcher.assign(partition, start, self.config.reset, &self.queue, 0);
                    }
                }
                Todo::End(partitions, ack) => {
                    for partition in partitions {
                        self.fetcher.unassign(partition);
                    }
                    let partitions = partitions.clone();
                    if ack.is_some() && self.config.auto_commit.is_some() {
                        let done = partitions.iter();
                        let done =
                            done.filter_map(|it| Some((it.clone(), *self.delivered.get(it)?)));
                        let done: Vec<_> = done.collect();
                        if let Err(error) = self.group.commit(done).await {
                            // The next member reads again what was not committed.
                            tracing::warn!(%error, "offsets of revoked partitions not committed");
                        }
                    }
                    for partition in &partitions {
                        self.delivered.remove(partition);
                    }
                }
            }
            self.todo.pop_front();
        }
        Ok(())
    }

    /// Commits in the background what was handed out.
    fn auto_commit(&mut self) {
        let Some(every) = self.config.auto_commit else { return };
        self.commit_at = Some(Instant::now() + every);
        if self.committing.as_ref().is_some_and(|it| !it.task.is_finished()) {
            return;
        }
        if let Some(done) = self.committing.take().filter(|it| it.succeeded.load(Ordering::SeqCst))
        {
            self.forget(&done.offsets);
        }
        let offsets = self.delivered.clone();
        if offsets.is_empty() {
            return;
        }
        let (group, sent) = (self.group.clone(), offsets.clone());
        let succeeded = Arc::new(AtomicBool::new(false));
        let success = succeeded.clone();
        let task = self.group.client().core().spawn(async move {
            match group.commit(sent).await {
                Ok(()) => success.store(true, Ordering::SeqCst),
                Err(error) => tracing::warn!(%error, "offsets not committed; trying again"),
            }
        });
        self.committing = Some(Committing { task, offsets, succeeded });
    }

    /// These are committed.
    fn forget(&mut self, offsets: &HashMap<TopicPartition, Position>) {
        self.delivered.retain(|partition, position| offsets.get(partition) != Some(position));
    }

    /// Commits everything that was handed out.
    pub async fn commit(&mut self) -> Result<(), ConsumerError> {
        let offsets = self.delivered.clone();
        self.group.commit(offsets.clone()).await?;
        self.forget(&offsets);
        Ok(())
    }

    /// Commits that offset of one partition: for those who process records out of the chunks' order.
    pub async fn commit_at(
        &self,
        partition: TopicPartition,
        position: Position,
    ) -> Result<(), ConsumerError> {
        Ok(self.group.commit([(partition, position)]).await?)
    }

    /// Reads a partition on from elsewhere, if it is assigned. Also after an error stopped it.
    pub fn seek(&mut self, partition: &TopicPartition, start: impl Into<Start>) {
        self.delivered.remove(partition);
        self.fetcher.seek(partition, start);
    }

    /// Fetches no more of a partition for now: see [`Fetcher::pause`].
    pub fn pause(&self, partition: &TopicPartition) {
        self.fetcher.pause(partition);
    }

    /// Fetches a partition again.
    pub fn resume(&self, partition: &TopicPartition) {
        self.fetcher.resume(partition);
    }

    /// The partitions that are read, in no order.
    pub fn assigned(&self) -> Vec<TopicPartition> {
        self.fetcher.assigned()
    }

    /// The membership.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Commits what was handed out, unless that is left to the user, and leaves the group.
    pub async fn close(mut self) -> Result<(), ConsumerError> {
        let result = if self.config.auto_commit.is_some() { self.commit().await } else { Ok(()) };
        self.group.leave().await;
        result
    }
}
