//! The groups of the cluster: who coordinates them, their members and their offsets.
//!
//! The state machine of a group is a plain value ([`machine`]); here its answers reach those who wait, and time reaches it.
//! All nodes share the groups; only the coordinator's node answers for one, as in Kafka.

pub(crate) mod machine;
pub(crate) mod member;
pub(crate) mod offsets;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use roka_protocol::ErrorCode;
use tokio::sync::{Notify, oneshot};

use self::{
    machine::{Effect, Group, Joined, Limits, Refused, State, Synced, sync::Syncing},
    member::{Identity, Joining, Ticket},
    offsets::{Committed, Offsets},
};
use crate::state::{Shared, lock};

/// All groups of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    inner: Mutex<Inner>,
    /// A deadline may have come nearer.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    groups: BTreeMap<String, Group>,
    offsets: Offsets,
    limits: Limits,
    tickets: u64,
    joins: HashMap<Ticket, oneshot::Sender<Result<Joined, Refused>>>,
    syncs: HashMap<Ticket, oneshot::Sender<Result<Synced, ErrorCode>>>,
    /// Coordinators that were moved by hand.
    moved: BTreeMap<String, i32>,
}

impl Inner {
    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn group(&mut self, id: &str) -> &mut Group {
        let limits = self.limits;
        self.groups.entry(id.to_owned()).or_insert_with(|| Group::new(limits))
    }

    /// Tells those who waited; one that is gone does not mind.
    fn settle(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Join(ticket, answer) => {
                    if let Some(waits) = self.joins.remove(&ticket) {
                        let _ = waits.send(answer);
                    }
                }
                Effect::Sync(ticket, answer) => {
                    if let Some(waits) = self.syncs.remove(&ticket) {
                        let _ = waits.send(answer);
                    }
                }
            }
        }
    }
}

impl Groups {
    /// Groups as the folder has them: without members, with their committed offsets.
    pub(crate) fn open(&self, shared: &Shared) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        let delay = shared.config.number("group.initial.rebalance.delay.ms", 0);
        let members_max = shared.config.number("group.max.size", i64::MAX);
        inner.limits = Limits {
            initial_delay: Duration::from_millis(delay.unsigned_abs()),
            members_max: usize::try_from(members_max).unwrap_or(usize::MAX),
        };
        if let Some(dir) = &shared.data_dir {
            inner.offsets = Offsets::open(dir)?;
            // The former process may have died between deleting a topic and its offsets.
            for topic in inner.offsets.topics() {
                if shared.topics.by_name(&topic).is_none() {
                    inner.offsets.delete_topic(&topic)?;
                }
            }
            let groups = inner.offsets.groups().into_iter();
            let ids: Vec<String> = groups.map(str::to_owned).collect();
            for id in ids {
                inner.group(&id);
            }
        }
        Ok(())
    }

    /// The node that coordinates the group, or the transactional id; `None` when no node lives.
    pub(crate) fn coordinator(&self, shared: &Shared, key: &str) -> Option<i32> {
        let moved = lock(&self.inner).moved.get(key).copied();
        if let Some(node) = moved.filter(|node| shared.is_live(*node)) {
            return Some(node);
        }
        let hash = key.bytes().fold(0u32, |hash, byte| hash.wrapping_mul(31) ^ u32::from(byte));
        let nodes = shared.nodes();
        let first = hash as usize % nodes.len().max(1);
        let mut in_turn = nodes.iter().cycle().skip(first).take(nodes.len());
        in_turn.find(|node| node.is_live()).map(|node| node.id)
    }

    /// Makes a node the coordinator of a group for as long as it lives. Members that wait for the former one are
    /// told to look for the new one.
    pub(crate) fn move_coordinator(&self, group: &str, node: i32) {
        lock(&self.inner).moved.insert(group.to_owned(), node);
        self.change(group, Group::unload);
    }

    /// Changes a group if there is one.
    pub(crate) fn change<T>(&self, id: &str, change: impl FnOnce(&mut Group) -> T) -> Option<T> {
        let mut inner = lock(&self.inner);
        let group = inner.groups.get_mut(id)?;
        let outcome = change(group);
        let effects = group.take_effects();
        inner.settle(effects);
        drop(inner);
        self.changed.notify_one();
        Some(outcome)
    }

    /// Stores positions if the group lets this member commit.
    pub(crate) fn commit(
        &self,
        id: &str,
        by: &Identity<'_>,
        positions: Vec<(String, i32, Committed)>,
    ) -> ErrorCode {
        let mut inner = lock(&self.inner);
        if by.generation >= 0 && !inner.groups.contains_key(id) {
            return ErrorCode::ILLEGAL_GENERATION;
        }
        if let Err(error) = inner.group(id).check_commit(Instant::now(), by) {
            return error;
        }
        written(id, inner.offsets.commit(id, positions))
    }

    /// Keeps positions for the end of a producer's transaction, if the group lets this member commit (KIP-447).
    pub(crate) fn commit_in_transaction(
        &self,
        id: &str,
        by: &Identity<'_>,
        producer_id: i64,
        positions: Vec<(String, i32, Committed)>,
    ) -> ErrorCode {
        let mut inner = lock(&self.inner);
        if by.generation >= 0 && !inner.groups.contains_key(id) {
            return ErrorCode::ILLEGAL_GENERATION;
        }
        if let Err(error) = inner.group(id).check_commit_in_transaction(Instant::now(), by) {
            return error;
        }
        written(id, inner.offsets.keep(id, positions, producer_id))
    }

    /// A producer's transaction has ended.
    pub(crate) fn end_transaction(
        &self,
        id: &str,
        producer_id: i64,
        committed: bool,
    ) -> io::Result<()> {
        lock(&self.inner).offsets.end_transaction(id, producer_id, committed)
    }

    /// Looks at a group if there is one.
    pub(crate) fn look<T>(&self, id: &str, look: impl FnOnce(&Group) -> T) -> Option<T> {
        lock(&self.inner).groups.get(id).map(look)
    }

    /// Looks at all groups.
    pub(crate) fn each(&self, mut look: impl FnMut(&str, &Group)) {
        for (id, group) in &lock(&self.inner).groups {
            look(id, group);
        }
    }

    /// Looks at the offsets, or changes them.
    pub(crate) fn offsets<T>(&self, look: impl FnOnce(&mut Offsets) -> T) -> T {
        look(&mut lock(&self.inner).offsets)
    }

    /// Deletes a group that has no members, with its offsets.
    pub(crate) fn delete(&self, id: &str) -> ErrorCode {
        let mut inner = lock(&self.inner);
        match inner.groups.get(id).map(|group| group.state) {
            None => ErrorCode::GROUP_ID_NOT_FOUND,
            Some(State::Empty) => {
                inner.groups.remove(id);
                match inner.offsets.delete_group(id) {
                    Ok(()) => ErrorCode::NONE,
                    Err(error) => {
                        tracing::error!(group = id, %error, "the offsets cannot be deleted");
                        ErrorCode::UNKNOWN_SERVER_ERROR
                    }
                }
            }
            Some(_) => ErrorCode::NON_EMPTY_GROUP,
        }
    }

    pub(crate) async fn join(&self, id: &str, joining: Joining) -> Result<Joined, Refused> {
        let (waits, answer) = oneshot::channel();
        {
            let mut inner = lock(&self.inner);
            if !joining.member_id.is_empty() && !inner.groups.contains_key(id) {
                let error = ErrorCode::UNKNOWN_MEMBER_ID;
                return Err(Refused { error, member_id: joining.member_id });
            }
            let ticket = inner.ticket();
            inner.joins.insert(ticket, waits);
            let group = inner.group(id);
            group.join(Instant::now(), ticket, joining);
            let effects = group.take_effects();
            inner.settle(effects);
        }
        self.changed.notify_one();
        let gone =
            Refused { error: ErrorCode::COORDINATOR_NOT_AVAILABLE, member_id: String::new() };
        answer.await.unwrap_or(Err(gone))
    }

    pub(crate) async fn sync(&self, id: &str, syncing: Syncing) -> Result<Synced, ErrorCode> {
        let (waits, answer) = oneshot::channel();
        {
            let mut inner = lock(&self.inner);
            if !inner.groups.contains_key(id) {
                return Err(ErrorCode::UNKNOWN_MEMBER_ID);
            }
            let ticket = inner.ticket();
            inner.syncs.insert(ticket, waits);
            let group = inner.group(id);
            group.sync(Instant::now(), ticket, syncing);
            let effects = group.take_effects();
            inner.settle(effects);
        }
        self.changed.notify_one();
        answer.await.unwrap_or(Err(ErrorCode::COORDINATOR_NOT_AVAILABLE))
    }

    /// Lets time pass in all groups; says when there is something to do next.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut inner = lock(&self.inner);
        let mut next: Option<Instant> = None;
        let mut effects = Vec::new();
        for group in inner.groups.values_mut() {
            if group.next_deadline().is_some_and(|deadline| deadline <= now) {
                group.expire(now);
                effects.append(&mut group.take_effects());
            }
            next = [next, group.next_deadline()].into_iter().flatten().min();
        }
        inner.settle(effects);
        next
    }
}

fn written(id: &str, outcome: io::Result<()>) -> ErrorCode {
    match outcome {
        Ok(()) => ErrorCode::NONE,
        Err(error) => {
            tracing::error!(group = id, %error, "offsets cannot be written");
            ErrorCode::COORDINATOR_NOT_AVAILABLE
        }
    }
}

/// Brings time to the groups, for as long as the cluster runs.
pub(crate) async fn keep_time(shared: Arc<Shared>) {
    loop {
        let changed = shared.groups.changed.notified();
        match shared.groups.expire(Instant::now()) {
            None => changed.await,
            Some(deadline) => {
                // Whichever comes first; neither has anything half done.
                let _ = tokio::time::timeout_at(deadline.into(), changed).await;
            }
        }
    }
}
