//! Where one partition is read, from whom, and what each answer means for that: a plain value fed with answers and
//! time.
//!
//! Rules:
//! - An offset out of range, and a log that parts from what was read, count only if the *leader* says so. A follower
//!   that says it is behind or has other bounds: back to the leader at the same offset, and not to that follower again
//!   for a while (KIP-392).
//! - Nothing is skipped silently. Out of range and truncation either follow the reset policy, and the reader is
//!   told, or stop the partition.
//! - When the leader changes, what was read is compared with the new leader's log before going on (KIP-320): by the
//!   broker in Fetch from version 12 on, by `OffsetForLeaderEpoch` before.
//! - A failed attempt is repeated at once if the leader is another one by now, else after a back-off and asking for
//!   metadata.
//! - A topic that was deleted, or made again under the same name, stops the partition.

use std::time::Duration;

use roka_protocol::{ErrorCode, Uuid};
use tokio::time::Instant;

use super::{FetchError, Position, ResetPolicy, ResetReason, Start};
use crate::{NodeId, Topic, TopicPartition, action, action::Action, retry::Backoff};

/// The first time a follower is left alone after it could not serve an offset.
const BAN: Duration = Duration::from_secs(1);
const BAN_MAX: Duration = Duration::from_secs(60);

/// What is to be done next for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The offset must be looked up.
    Seeking(Search),
    /// What was read must be compared with the leader's log.
    Validating(Position),
    /// Can be fetched.
    Reading(Position),
    /// Nothing, until a seek.
    Stopped,
}

/// A place that is not an offset yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Search {
    pub(super) start: Start,
    pub(super) reason: ResetReason,
    /// The offset that was wanted before.
    pub(super) from: Option<i64>,
}

/// Whom an attempt asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) node: NodeId,
    /// The leadership that was known then.
    pub(super) leader: Option<(NodeId, i32)>,
}

impl Attempt {
    /// It asked another node than the leader.
    fn at_replica(self) -> bool {
        self.leader.is_none_or(|(leader, _)| leader != self.node)
    }
}

/// What the fetcher has to do about an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Nothing more.
    None,
    /// Ask for metadata.
    Refresh,
    /// Tell the reader that the partition goes on there.
    Reset { from: Option<i64>, to: i64, reason: ResetReason },
    /// Tell the reader that the partition was stopped.
    Stop(FetchError),
}

#[derive(Debug)]
struct Ban {
    node: NodeId,
    until: Instant,
    backoff: Backoff,
}

/// One partition's place.
#[derive(Debug)]
pub(super) struct Place {
    name: TopicPartition,
    policy: ResetPolicy,
    stage: Stage,
    leader: Option<(NodeId, i32)>,
    topic_id: Uuid,
    /// The replica to read from instead of the leader, and until when.
    replica: Option<(NodeId, Instant)>,
    ban: Option<Ban>,
    retry_at: Option<Instant>,
    backoff: Backoff,
    missing_since: Option<Instant>,
}

impl Place {
    pub(super) fn new(
        name: TopicPartition,
        start: Start,
        policy: ResetPolicy,
        backoff: Backoff,
    ) -> Self {
        let mut place = Self {
            name,
            policy,
            stage: Stage::Stopped,
            leader: None,
            topic_id: Uuid::default(),
            replica: None,
            ban: None,
            retry_at: None,
            backoff,
            missing_since: None,
        };
        place.seek(start);
        place
    }

    /// Goes on there, whatever was before.
    pub(super) fn seek(&mut self, start: Start) {
        self.retry_at = None;
        self.replica = None;
        self.missing_since = None;
        if self.stage == Stage::Stopped {
            // It may have been stopped because the topic is another one now.
            self.topic_id = Uuid::default();
        }
        self.stage = match start {
            Start::At(position) => self.checked(position),
            start => Stage::Seeking(Search { start, reason: ResetReason::Start, from: None }),
        };
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    pub(super) fn leader(&self) -> Option<(NodeId, i32)> {
        self.leader
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Whether metadata must be asked for before anything else can be done.
    pub(super) fn needs_metadata(&self) -> bool {
        self.stage != Stage::Stopped && (self.leader.is_none() || self.missing_since.is_some())
    }

    /// An attempt now, at that node.
    pub(super) fn attempt(&self, node: NodeId) -> Attempt {
        Attempt { node, leader: self.leader }
    }

    /// Whom to fetch from.
    pub(super) fn source(&mut self, now: Instant) -> Option<NodeId> {
        self.replica = self.replica.filter(|(_, until)| *until > now);
        self.replica.or(self.leader.map(|(leader, _)| (leader, now))).map(|(node, _)| node)
    }

    /// Whether the leader must not send us to a replica right now: the one it names does not serve us.
    pub(super) fn avoids_replicas(&self, now: Instant) -> bool {
        self.ban.as_ref().is_some_and(|ban| ban.until > now)
    }

    /// A position whose epoch is known is compared with the leader's log first.
    fn checked(&self, position: Position) -> Stage {
        match (position.leader_epoch, self.leader) {
            (Some(epoch), Some((_, current))) if epoch < current => Stage::Validating(position),
            _ => Stage::Reading(position),
        }
    }

    /// Takes in what the metadata says; an error stops the partition.
    pub(super) fn update(
        &mut self,
        topic: Option<&Topic>,
        now: Instant,
        patience: Duration,
    ) -> Reaction {
        let Some(topic) = topic.filter(|_| self.stage != Stage::Stopped) else {
            return Reaction::None;
        };
        if topic.id != Uuid::default() && self.topic_id != topic.id {
            let was = std::mem::replace(&mut self.topic_id, topic.id);
            if was != Uuid::default() {
                let partition = self.name.clone();
                return self.stop(FetchError::TopicRecreated { partition, was, is: topic.id });
            }
        }
        let partition = topic.partition(self.name.partition);
        let gone = topic.error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            || (topic.error.is_ok() && partition.is_none());
        if gone {
            let missing = now - *self.missing_since.get_or_insert(now);
            if missing >= patience {
                let (partition, seconds) = (self.name.clone(), missing.as_secs());
                return self.stop(FetchError::TopicGone { partition, seconds });
            }
        } else {
            self.missing_since = None;
        }
        if topic.error == ErrorCode::TOPIC_AUTHORIZATION_FAILED {
            return self.refused(topic.error);
        }
        let leader = partition.and_then(|it| Some((it.leader?, it.leader_epoch)));
        if leader != self.leader {
            self.moved(leader);
        }
        Reaction::None
    }

    fn moved(&mut self, leader: Option<(NodeId, i32)>) {
        let before = std::mem::replace(&mut self.leader, leader);
        if leader.is_none() {
            return;
        }
        // Something newer than the failed attempt is known.
        self.retry_at = None;
        self.backoff.reset();
        self.replica = None;
        if before.map(|(_, epoch)| epoch) != leader.map(|(_, epoch)| epoch)
            && let Stage::Reading(position) = self.stage
        {
            self.stage = self.checked(position);
        }
    }

    /// Records up to there came from a node.
    pub(super) fn read(&mut self, next: Position) {
        if let Stage::Reading(position) = &mut self.stage {
            // An epoch that the last batch does not tell (message sets) is not known any more.
            *position = next;
            self.retry_at = None;
            self.backoff.reset();
        }
    }

    /// The leader says to read from that replica, for as long as `lease`.
    pub(super) fn prefer(&mut self, replica: NodeId, now: Instant, lease: Duration) {
        let banned = self.ban.as_ref().is_some_and(|ban| ban.node == replica && ban.until > now);
        if !banned && self.leader.is_some_and(|(leader, _)| leader != replica) {
            self.replica = Some((replica, now + lease));
        }
    }

    /// The node could not be reached. If it was a replica the leader is next, and that replica not for a while.
    pub(super) fn unreachable(&mut self, node: NodeId, now: Instant, rng: &mut fastrand::Rng) {
        if self.replica.is_some_and(|(replica, _)| replica == node) {
            self.leave_replica(node, now, rng);
        }
    }

    /// The partition is not read on after what was delivered: the reader will meet an error in it.
    pub(super) fn stop_silently(&mut self) {
        self.stage = Stage::Stopped;
    }

    fn stop(&mut self, error: FetchError) -> Reaction {
        self.stage = Stage::Stopped;
        Reaction::Stop(error)
    }

    fn offset(&self) -> i64 {
        match self.stage {
            Stage::Validating(position) | Stage::Reading(position) => position.offset,
            Stage::Seeking(search) => search.from.unwrap_or(-1),
            Stage::Stopped => -1,
        }
    }

    fn refused(&mut self, code: ErrorCode) -> Reaction {
        let (partition, offset) = (self.name.clone(), self.offset());
        self.stop(FetchError::Refused { partition, offset, code })
    }

    fn wait(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        self.retry_at = Some(now + self.backoff.next(rng));
    }

    /// An error code, from whatever request.
    pub(super) fn failed(
        &mut self,
        code: ErrorCode,
        attempt: Attempt,
        log_start: Option<i64>,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Reaction {
        if attempt.at_replica() && matches!(self.stage, Stage::Reading(_)) {
            self.leave_replica(attempt.node, now, rng);
            // Leader and follower disagree about leadership: ask; else the leader knows.
            let refresh = action::of(code) == Action::RetryAfterMetadata;
            return if refresh { Reaction::Refresh } else { Reaction::None };
        }
        match (action::of(code), self.stage) {
            (Action::ResetOffset, Stage::Reading(position)) => {
                self.out_of_range(position, log_start)
            }
            // Another leader is known by now: it is asked at once.
            (Action::RetryAfterMetadata, _) if self.leader != attempt.leader => Reaction::None,
            // The broker's disk or code, which another broker does not share.
            (Action::Retry, _) if code == ErrorCode::CORRUPT_MESSAGE => self.refused(code),
            (action, _) if action.is_retry() || code == ErrorCode::UNKNOWN_SERVER_ERROR => {
                self.wait(now, rng);
                Reaction::Refresh
            }
            _ => self.refused(code),
        }
    }

    /// A request got no answer: the same again, soon.
    pub(super) fn unanswered(&mut self, attempt: Attempt, now: Instant, rng: &mut fastrand::Rng) {
        if self.leader == attempt.leader {
            self.wait(now, rng);
        }
    }

    /// Back to the leader, and that replica not for a while.
    pub(super) fn leave_replica(&mut self, node: NodeId, now: Instant, rng: &mut fastrand::Rng) {
        self.replica = None;
        let mut backoff = match self.ban.take() {
            Some(ban) if ban.node == node => ban.backoff,
            _ => Backoff::new(BAN, BAN_MAX),
        };
        let until = now + backoff.next(rng);
        self.ban = Some(Ban { node, until, backoff });
    }

    fn out_of_range(&mut self, position: Position, log_start: Option<i64>) -> Reaction {
        let start = match self.policy {
            ResetPolicy::Earliest => Start::Earliest,
            ResetPolicy::Latest => Start::Latest,
            ResetPolicy::Ago(age) => Start::Ago(age),
            ResetPolicy::Fail => {
                let (partition, offset) = (self.name.clone(), position.offset);
                return self.stop(FetchError::OutOfRange { partition, offset, log_start });
            }
        };
        let (reason, from) = (ResetReason::OutOfRange, Some(position.offset));
        self.stage = Stage::Seeking(Search { start, reason, from });
        Reaction::None
    }

    /// The offset that was looked up; none if there is no record of that time, so that the end is next.
    pub(super) fn found(&mut self, position: Option<Position>) -> Reaction {
        let Stage::Seeking(search) = self.stage else { return Reaction::None };
        self.backoff.reset();
        self.retry_at = None;
        let Some(position) = position else {
            self.stage = Stage::Seeking(Search { start: Start::Latest, ..search });
            return Reaction::None;
        };
        self.stage = Stage::Reading(position);
        Reaction::Reset { from: search.from, to: position.offset, reason: search.reason }
    }

    /// Up to `end` the leader's log agrees with what was read; none if it cannot tell, which proves nothing.
    pub(super) fn validated(&mut self, end: Option<Position>) -> Reaction {
        let Stage::Validating(position) = self.stage else { return Reaction::None };
        self.backoff.reset();
        self.retry_at = None;
        self.stage = Stage::Reading(position);
        match end {
            Some(end) if end.offset < position.offset => self.truncated(end),
            _ => Reaction::None,
        }
    }

    /// A node says that its log parts from what was read at `end`. A follower that lags says so too.
    pub(super) fn diverged(
        &mut self,
        end: Position,
        attempt: Attempt,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Reaction {
        if attempt.at_replica() {
            self.leave_replica(attempt.node, now, rng);
            return Reaction::None;
        }
        self.truncated(end)
    }

    /// The leader's log parts from what was read at `end`.
    fn truncated(&mut self, end: Position) -> Reaction {
        let (Stage::Reading(position) | Stage::Validating(position)) = self.stage else {
            return Reaction::None;
        };
        if self.policy == ResetPolicy::Fail {
            return self.stop(FetchError::Truncated {
                partition: self.name.clone(),
                offset: position.offset,
                epoch: position.leader_epoch.unwrap_or(-1),
                agrees_to: end.offset,
            });
        }
        self.stage = Stage::Reading(end);
        Reaction::Reset {
            from: Some(position.offset),
            to: end.offset,
            reason: ResetReason::Truncated,
        }
    }
}
