//! One partition: who leads it, its log, and who waits for records.
//!
//! - Leadership and log change under one lock, so an append is stamped with the epoch that allowed it.
//! - There is one log. What a follower shows of it is bounded by its [`Follower`] where a test set one.
//! - The leader is always a replica that lives, or nobody. The leader epoch grows with every change of leader.
//! - The lock is never held across an await; who waits for records is told by `Notify`.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use roka_protocol::ErrorCode;
use tokio::sync::Notify;

use super::{Follower, lock};
use crate::log::Log;

/// Who leads a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leadership {
    /// `None`: the partition is leaderless.
    pub(crate) leader: Option<i32>,
    pub(crate) epoch: i32,
    pub(crate) replicas: Vec<i32>,
    /// In the order of `replicas`.
    pub(crate) isr: Vec<i32>,
}

impl Leadership {
    /// The node is no replica any more, unless it is the only one.
    pub(crate) fn forget(&mut self, node: i32) {
        for list in [&mut self.replicas, &mut self.isr] {
            if list.iter().any(|it| *it != node) {
                list.retain(|it| *it != node);
            }
        }
    }
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct PartitionState {
    pub(crate) leadership: Leadership,
    pub(crate) log: Log,
    /// What followers hold, where that is not all.
    pub(crate) followers: BTreeMap<i32, Follower>,
    /// The replica that the leader names to every consumer with a rack, set by a test.
    pub(crate) named_replica: Option<i32>,
    /// Set while a test holds the partition without leader: elections leave it alone.
    pub(crate) held_leaderless: bool,
    /// The topic was deleted: whoever still holds the partition answers that it is unknown.
    pub(crate) deleted: bool,
    waiting: Vec<Arc<Notify>>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) topic: Arc<str>,
    pub(crate) index: i32,
    state: Mutex<PartitionState>,
    /// Held by whoever compacts the log.
    pub(crate) compacting: Mutex<()>,
}

impl Partition {
    pub(crate) fn new(topic: Arc<str>, index: i32, leadership: Leadership, log: Log) -> Self {
        let state = PartitionState {
            leadership,
            log,
            followers: BTreeMap::new(),
            named_replica: None,
            held_leaderless: false,
            deleted: false,
            waiting: Vec::new(),
        };
        Self { topic, index, state: Mutex::new(state), compacting: Mutex::new(()) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, PartitionState> {
        lock(&self.state)
    }

    pub(crate) fn leadership(&self) -> Leadership {
        self.lock().leadership.clone()
    }

    /// Follows which nodes live: leaders that do not are replaced by the first live replica of the ISR, then of
    /// all replicas (they share the log, so none is behind).
    pub(crate) fn reelect(&self, is_live: &dyn Fn(i32) -> bool) {
        let mut state = self.lock();
        if state.deleted {
            return;
        }
        let now = &state.leadership;
        let live: Vec<i32> = now.replicas.iter().copied().filter(|&id| is_live(id)).collect();
        // As in Kafka, the last in-sync replica stays in the ISR when it goes.
        let isr =
            if live.is_empty() { now.isr.iter().copied().take(1).collect() } else { live.clone() };
        let keeps = now.leader.is_some_and(|leader| live.contains(&leader));
        let leader = match (state.held_leaderless, keeps) {
            (true, _) => None,
            (false, true) => now.leader,
            (false, false) => live.first().copied(),
        };
        state.lead_by(leader);
        state.leadership.isr = isr;
    }

    /// Wakes `waiter` at the next append or change of leader. To be called before the state is looked at, so
    /// that nothing is missed; `stop_waiting` takes it back.
    pub(crate) fn wait(&self, waiter: &Arc<Notify>) {
        self.lock().waiting.push(waiter.clone());
    }

    pub(crate) fn stop_waiting(&self, waiter: &Arc<Notify>) {
        self.lock().waiting.retain(|it| !Arc::ptr_eq(it, waiter));
    }
}

impl PartitionState {
    /// What every request that only a leader may answer checks: the partition is there, the client's epoch (-1:
    /// it gives none) is the present one, and `node` leads.
    pub(crate) fn check_leader(&self, node: i32, epoch: i32) -> Result<(), ErrorCode> {
        self.check_epoch(self.leadership.epoch, epoch)?;
        if self.leadership.leader == Some(node) {
            Ok(())
        } else {
            Err(ErrorCode::NOT_LEADER_OR_FOLLOWER)
        }
    }

    /// That the partition is there, and that the client's epoch (-1: it gives none) is the node's `present` one.
    pub(crate) fn check_epoch(&self, present: i32, epoch: i32) -> Result<(), ErrorCode> {
        if self.deleted {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        if epoch >= 0 && epoch < present {
            return Err(ErrorCode::FENCED_LEADER_EPOCH);
        }
        if epoch > present {
            return Err(ErrorCode::UNKNOWN_LEADER_EPOCH);
        }
        Ok(())
    }

    /// Changes the leader, with a new epoch if it is another one.
    pub(crate) fn lead_by(&mut self, leader: Option<i32>) {
        if self.leadership.leader != leader {
            self.leadership.leader = leader;
            self.leadership.epoch += 1;
            // A leader has all there is.
            if let Some(leader) = leader {
                self.followers.remove(&leader);
            }
            self.wake();
        }
    }

    /// The partition is gone, with its records.
    pub(crate) fn delete(&mut self) -> io::Result<()> {
        self.deleted = true;
        self.leadership.leader = None;
        self.wake();
        self.log.delete()
    }

    /// Wakes everyone who waits for this partition.
    pub(crate) fn wake(&mut self) {
        for waiter in self.waiting.drain(..) {
            waiter.notify_one();
        }
    }
}
