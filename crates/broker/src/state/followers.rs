//! Followers as consumers meet them (KIP-392).
//!
//! - All replicas share one log. A follower for which a test set bounds shows only what lies within them, as one does
//!   that lags, or whose log begins elsewhere.
//! - Epochs are compared with the one that the node knows, and only replicas serve.
//! - The leader names the follower in the consumer's rack although that follower may lag: what a leader knows of its
//!   followers is a moment old.

use std::sync::Arc;

use roka_protocol::ErrorCode;

use super::{NodeInfo, PartitionState};

/// What a follower holds of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follower {
    /// The first offset of its log.
    pub log_start: i64,
    /// Where its log ends, as far as consumers may see it.
    pub high_watermark: i64,
    /// The newest leader epoch it has heard of; `None`: the present one.
    pub leader_epoch: Option<i32>,
}

impl Follower {
    /// One that holds the offsets from `log_start` to before `high_watermark`.
    pub fn new(log_start: i64, high_watermark: i64) -> Self {
        Self { log_start, high_watermark, leader_epoch: None }
    }

    /// One that has heard of no later leader epoch than this.
    #[must_use]
    pub fn leader_epoch(mut self, epoch: i32) -> Self {
        self.leader_epoch = Some(epoch);
        self
    }
}

/// What a node shows of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) start: i64,
    /// The high watermark.
    pub(crate) end: i64,
    pub(crate) stable: i64,
}

impl PartitionState {
    /// What the node shows to a consumer that knows the leader epoch `epoch` (-1: none).
    pub(crate) fn shown(
        &self,
        node: i32,
        epoch: i32,
        from_followers: bool,
    ) -> Result<Shown, ErrorCode> {
        let (start, end) = (self.log.start(), self.log.end());
        let all = Shown { start, end, stable: self.log.last_stable() };
        if self.leadership.leader == Some(node) || !from_followers {
            return self.check_leader(node, epoch).map(|()| all);
        }
        let follower = self.followers.get(&node);
        let present = follower.and_then(|it| it.leader_epoch).unwrap_or(self.leadership.epoch);
        self.check_epoch(present, epoch)?;
        if !self.leadership.replicas.contains(&node) {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        Ok(follower.map_or(all, |follower| {
            let end = follower.high_watermark.min(end);
            Shown { start: follower.log_start.max(start), end, stable: all.stable.min(end) }
        }))
    }

    /// Whom the leader names to a consumer in `rack` that wants `offset`; `None`: the leader serves it itself.
    pub(crate) fn preferred_replica(
        &self,
        nodes: impl FnOnce() -> Vec<Arc<NodeInfo>>,
        rack: &str,
        offset: i64,
    ) -> Option<i32> {
        if rack.is_empty() {
            return None;
        }
        if self.named_replica.is_some() {
            return self.named_replica;
        }
        // Where the leader itself has nothing, no follower has.
        if offset < self.log.start() || offset > self.log.end() {
            return None;
        }
        let nodes = nodes();
        let near =
            |id: &i32| nodes.iter().any(|it| it.id == *id && it.rack.as_deref() == Some(rack));
        let live = |id: &i32| nodes.iter().any(|it| it.id == *id && it.is_live());
        let isr = &self.leadership.isr;
        if self.leadership.leader.is_some_and(|leader| near(&leader)) {
            return None;
        }
        isr.iter().copied().find(|id| near(id) && live(id))
    }
}
