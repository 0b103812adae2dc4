//! What a member's user hears, and what it holds by what it heard.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{
    driver::{Command, Mailbox},
    error::GroupError,
    membership::Event,
};
use crate::TopicPartition;

/// What happened to a member's partitions.
#[derive(Debug)]
#[non_exhaustive]
pub enum GroupEvent {
    /// A rebalance is over.
    Assigned {
        /// The group's new generation.
        generation: i32,
        /// Partitions that are new: to be read from their committed offsets.
        added: Vec<TopicPartition>,
        /// All partitions that are held now.
        all: Vec<TopicPartition>,
        /// What the leader's assignor had to say.
        user_data: Bytes,
    },
    /// Partitions go to other members. Finish what is under way, commit, and drop `ack`: the member joins again (and
    /// others get the partitions) only then, or when nine tenths of the rebalance timeout are over.
    Revoked {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// To be dropped when they are let go of.
        ack: RevokeAck,
    },
    /// Partitions are gone: the coordinator gave the member up, and others may have them. Nothing of them can be
    /// committed any more.
    Lost {
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// The member is out of the group, for a reason that waiting does not cure. The last event.
    Failed(GroupError),
}

/// Says, when it is dropped, that the revoked partitions were let go of.
#[must_use = "dropping it says that the partitions were let go of"]
pub struct RevokeAck {
    ticket: u64,
    /// With the epoch in which each was got.
    partitions: Vec<(TopicPartition, i32)>,
    shared: Arc<Shared>,
}

impl RevokeAck {
    /// The same as dropping it.
    pub fn done(self) {}
}

impl std::fmt::Debug for RevokeAck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RevokeAck").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl Drop for RevokeAck {
    fn drop(&mut self) {
        let mut held = self.shared.held();
        for (partition, epoch) in &self.partitions {
            // It may be held again by now.
            if held.get(partition) == Some(epoch) {
                held.remove(partition);
            }
        }
        drop(held);
        self.shared.mailbox.put(Command::Released(self.ticket));
    }
}

/// Between the handle and the driver.
pub(super) struct Shared {
    pub(super) mailbox: Mailbox,
    /// Bounded by the protocol: it does not go on without the user's acknowledgement, or for long without the
    /// coordinator's answers.
    events: Mutex<VecDeque<Event>>,
    readable: Notify,
    closed: AtomicBool,
    held: Mutex<HashMap<TopicPartition, i32>>,
    identity: Mutex<(i32, String)>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            mailbox: Mailbox::default(),
            events: Mutex::default(),
            readable: Notify::new(),
            closed: AtomicBool::new(false),
            held: Mutex::default(),
            identity: Mutex::new((-1, String::new())),
        }
    }

    pub(super) fn push(&self, event: Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
        self.readable.notify_one();
    }

    /// Nothing comes after what is there.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.readable.notify_one();
    }

    pub(super) fn set_identity(&self, generation: i32, member_id: &str) {
        let mut identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        if identity.0 != generation || identity.1 != member_id {
            *identity = (generation, member_id.into());
        }
    }

    pub(super) fn identity(&self) -> (i32, String) {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TopicPartition, i32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The epoch of a partition the user was told that it holds.
    pub(super) fn epoch_of(&self, partition: &TopicPartition) -> Option<i32> {
        self.held().get(partition).copied()
    }

    pub(super) async fn next(self: &Arc<Self>) -> Option<GroupEvent> {
        loop {
            if let Some(event) = self.try_next() {
                return Some(event);
            }
            if self.closed.load(Ordering::SeqCst) {
                // What came in between.
                return self.try_next();
            }
            self.readable.notified().await;
        }
    }

    pub(super) fn try_next(self: &Arc<Self>) -> Option<GroupEvent> {
        let event = self.events.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
        let mut held = self.held();
        Some(match event {
            Event::Assigned { generation, added, all, user_data } => {
                held.extend(added.iter().map(|partition| (partition.clone(), generation)));
                GroupEvent::Assigned { generation, added, all, user_data }
            }
            Event::Revoked { partitions, ticket } => {
                let epochs = partitions.iter();
                let epochs = epochs.filter_map(|it| Some((it.clone(), *held.get(it)?))).collect();
                let ack = RevokeAck { ticket, partitions: epochs, shared: self.clone() };
                GroupEvent::Revoked { partitions, ack }
            }
            Event::Lost { partitions } => {
                for partition in &partitions {
                    held.remove(partition);
                }
                GroupEvent::Lost { partitions }
            }
            Event::Failed(error) => {
                held.clear();
                GroupEvent::Failed(error)
            }
        })
    }
}
