//! A fetch session with one broker (KIP-227): the broker remembers what is fetched, so that a request names only
//! what changed.
//!
//! Rules:
//! - Epoch 0 opens a session and names everything; each answered request raises the epoch; after the largest
//!   comes 1.
//! - A broker that gives no session (id 0: too old, or out of slots) gets everything each time.
//! - Whatever went wrong, also an answer that did not come: the next request opens a new session, and by naming the
//!   old id closes that.
//! - What is remembered here is what the broker was *told*; it is only used after the broker answered.

use std::collections::HashMap;

use roka_protocol::Uuid;

use crate::TopicPartition;

/// What is asked of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) topic_id: Uuid,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) last_fetched_epoch: i32,
    pub(super) max_bytes: i32,
}

/// A request as the session wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SessionPlan {
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    /// What to name.
    pub(super) wants: Vec<(TopicPartition, Want)>,
    /// What to take out of the session.
    pub(super) forget: Vec<(TopicPartition, Uuid)>,
}

impl SessionPlan {
    /// A request outside of any session.
    pub(super) fn sessionless(wants: Vec<(TopicPartition, Want)>) -> Self {
        Self { session_id: 0, session_epoch: -1, wants, forget: Vec::new() }
    }

    /// The request that closes a session.
    pub(super) fn close(session_id: i32) -> Self {
        Self { session_id, session_epoch: -1, wants: Vec::new(), forget: Vec::new() }
    }

    /// Whether the broker must know the session.
    pub(super) fn is_incremental(&self) -> bool {
        self.session_epoch > 0
    }
}

/// The session with one broker.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: i32,
    epoch: i32,
    told: HashMap<TopicPartition, Want, foldhash::fast::RandomState>,
}

impl Session {
    /// The id, 0 if there is no session.
    pub(super) fn id(&self) -> i32 {
        self.id
    }

    /// The next request, so that exactly `wants` is fetched.
    pub(super) fn plan(&mut self, wants: Vec<(TopicPartition, Want)>) -> SessionPlan {
        if self.epoch == 0 {
            self.told = wants.iter().cloned().collect();
            let forget = Vec::new();
            return SessionPlan { session_id: self.id, session_epoch: 0, wants, forget };
        }
        let before = std::mem::replace(&mut self.told, wants.iter().cloned().collect());
        let forget = before
            .iter()
            // Under a new id it is another partition to the broker (KIP-516).
            .filter(|(name, old)| {
                self.told.get(*name).is_none_or(|new| new.topic_id != old.topic_id)
            })
            .map(|(name, old)| (name.clone(), old.topic_id))
            .collect();
        let wants = wants.into_iter().filter(|(name, want)| before.get(name) != Some(want));
        let wants = wants.collect();
        SessionPlan { session_id: self.id, session_epoch: self.epoch, wants, forget }
    }

    /// The request was answered without a session error.
    pub(super) fn answered(&mut self, session_id: i32) {
        if session_id == 0 {
            *self = Self::default();
            return;
        }
        self.epoch = if self.id != session_id || self.epoch == 0 {
            1
        } else {
            self.epoch.checked_add(1).unwrap_or(1)
        };
        self.id = session_id;
    }

    /// The request failed. The id is kept, if the broker may know it, so that the next request closes it.
    pub(super) fn failed(&mut self, id_is_unknown: bool) {
        self.epoch = 0;
        self.told.clear();
        if id_is_unknown {
            self.id = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(offset: i64) -> Want {
        Want {
            topic_id: Uuid::default(),
            offset,
            leader_epoch: 0,
            last_fetched_epoch: -1,
            max_bytes: 1,
        }
    }

    fn wants(offsets: &[(i32, i64)]) -> Vec<(TopicPartition, Want)> {
        offsets.iter().map(|&(p, offset)| (TopicPartition::new("t", p), want(offset))).collect()
    }

    fn partitions<T>(all: &[(TopicPartition, T)]) -> Vec<i32> {
        let mut partitions: Vec<_> = all.iter().map(|(name, _)| name.partition).collect();
        partitions.sort_unstable();
        partitions
    }

    /// A session that was told of partitions 0 and 1 at offset 0.
    fn open() -> Session {
        let mut session = Session::default();
        session.plan(wants(&[(0, 0), (1, 0)]));
        session.answered(77);
        session
    }

    #[test]
    fn names_everything_first_and_then_only_what_changed() {
        let mut session = Session::default();
        let first = session.plan(wants(&[(0, 0), (1, 0)]));
        assert_eq!((first.session_id, first.session_epoch), (0, 0));
        assert_eq!(partitions(&first.wants), [0, 1]);
        session.answered(77);
        let second = session.plan(wants(&[(0, 5), (1, 0)]));
        assert_eq!((second.session_id, second.session_epoch), (77, 1));
        assert_eq!(partitions(&second.wants), [0]);
        assert!(second.forget.is_empty());
        session.answered(77);
        let third = session.plan(wants(&[(0, 5), (2, 0)]));
        assert_eq!(third.session_epoch, 2);
        assert_eq!((partitions(&third.wants), partitions(&third.forget)), (vec![2], vec![1]));
    }

    #[test]
    fn without_a_session_everything_is_named_each_time() {
        let mut session = Session::default();
        for _ in 0..3 {
            let plan = session.plan(wants(&[(0, 0), (1, 0)]));
            assert_eq!((plan.session_id, plan.session_epoch, plan.wants.len()), (0, 0, 2));
            assert!(!plan.is_incremental());
            session.answered(0);
        }
    }

    #[test]
    fn after_a_failure_a_new_session_closes_the_old_one() {
        let mut session = open();
        session.plan(wants(&[(0, 5), (1, 0)]));
        session.failed(false);
        let plan = session.plan(wants(&[(0, 5), (1, 0)]));
        assert_eq!((plan.session_id, plan.session_epoch, plan.wants.len()), (77, 0, 2));
        session.answered(78);
        assert_eq!(session.plan(wants(&[(0, 5), (1, 0)])).session_epoch, 1);
        session.failed(true);
        assert_eq!(session.plan(wants(&[(0, 5)])).session_id, 0);
    }

    #[test]
    fn a_topic_that_was_made_again_is_forgotten_under_its_old_id() {
        let mut session = open();
        let mut again = wants(&[(0, 0), (1, 0)]);
        again[0].1.topic_id = Uuid([1; 16]);
        let plan = session.plan(again);
        assert_eq!((partitions(&plan.wants), partitions(&plan.forget)), (vec![0], vec![0]));
        assert_eq!(plan.forget[0].1, Uuid::default());
    }

    #[test]
    fn the_epoch_begins_again_at_one() {
        let mut session = open();
        session.epoch = i32::MAX;
        session.answered(77);
        assert_eq!(session.plan(Vec::new()).session_epoch, 1);
    }
}
