//! One member's way through the rebalances of its group (classic protocol): a plain value, fed with
//! what happened and the time, that says what to do next.
//!
//! Rules:
//! - At most one of `JoinGroup`, `SyncGroup` and `LeaveGroup` is under way. Heartbeats run beside them, from the
//!   answer to `JoinGroup` on until the next `JoinGroup`, so that neither a slow leader nor a user who is slow to
//!   let go of partitions costs the session.
//! - The user hears of a revocation *before* the member joins again (eager) or before the partitions can go to
//!   another member (cooperative), and the member waits for the acknowledgement, but no longer than the
//!   rebalance timeout allows.
//! - Partitions are *lost*, not revoked, when the coordinator no longer knows the member or its generation:
//!   somebody else may have them by now, so nothing may be committed.
//! - A coordinator that moves, loads or cannot be reached costs nothing: id, generation and partitions stay.
//! - A partition's *epoch* is the generation in which this member got it. It stays while the partition does, so
//!   that it fences commits across rebalances.

mod answers;
#[cfg(test)]
mod tests;

pub(crate) use answers::moves_coordinator;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use roka_protocol::ErrorCode;
use tokio::time::Instant;

use super::{assignor::Assignment, error::GroupError};
use crate::{TopicPartition, retry::Backoff};

/// What does not change in a membership.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) group: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) retry_backoff: Duration,
    pub(crate) retry_backoff_max: Duration,
    /// Whether only partitions that move are given up.
    pub(crate) cooperative: bool,
}

/// Why a request got no good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The coordinator said so.
    Code(ErrorCode),
    /// No answer; the coordinator is looked up again for the next attempt.
    Unreachable,
}

/// A good answer to `JoinGroup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) generation: i32,
    pub(crate) member_id: String,
    pub(crate) leads: bool,
    /// KIP-814: the leader (a static one that came back) shall not assign.
    pub(crate) skip_assignment: bool,
}

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// `JoinGroup` was answered; with `MEMBER_ID_REQUIRED` also the id to use.
    Joined { result: Result<Joined, Failure>, member_id: String },
    /// The leader's assignor is done; `generation` is the one it worked for.
    Assigned { generation: i32, result: Result<(), GroupError> },
    /// `SyncGroup` was answered.
    Synced(Result<Assignment, Failure>),
    /// A heartbeat of that generation was answered.
    Beat { generation: i32, result: Result<(), Failure> },
    /// The user let go of what the revocation of that number named.
    Released(u64),
    /// The subscription or the partitions of a topic changed.
    Rejoin(&'static str),
    /// A commit was refused with this code: no need to wait for the heartbeat to say so.
    CommitRefused { generation: i32, code: ErrorCode },
    /// The user wants to leave.
    Leave,
    /// `LeaveGroup` was answered, or given up.
    Left,
    /// What another member sent cannot be read: there is no way on.
    Broken(GroupError),
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Send `JoinGroup`, with these partitions as the owned ones.
    Join { member_id: String, generation: i32, owned: Vec<TopicPartition>, reason: &'static str },
    /// Run the assignor over the members of the last `JoinGroup` answer.
    Assign { generation: i32 },
    /// Send `SyncGroup`; the leader with what its assignor said.
    Sync { member_id: String, generation: i32, leads: bool },
    /// Send Heartbeat.
    Heartbeat { member_id: String, generation: i32 },
    /// Send `LeaveGroup`.
    Leave { member_id: String },
    /// Tell the user.
    Emit(Event),
}

/// What the user hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Assigned {
        generation: i32,
        added: Vec<TopicPartition>,
        all: Vec<TopicPartition>,
        user_data: Bytes,
    },
    Revoked {
        partitions: Vec<TopicPartition>,
        ticket: u64,
    },
    Lost {
        partitions: Vec<TopicPartition>,
    },
    Failed(GroupError),
}

#[derive(Debug)]
enum State {
    /// Not in a rebalance and not a member: joins at that time.
    Idle { join_at: Instant },
    /// Waits for the user to let go; then joins.
    Revoking { ticket: u64, partitions: Vec<TopicPartition>, until: Instant },
    /// `JoinGroup` is under way.
    Joining,
    /// Leads, and the assignor works.
    Assigning,
    /// `SyncGroup` is under way.
    Syncing,
    /// Has its partitions.
    Stable,
    /// `LeaveGroup` is under way.
    Leaving,
    /// Has left or failed; nothing follows.
    Ended,
}

/// The membership of one member in one group.
#[derive(Debug)]
pub(crate) struct Membership {
    settings: Settings,
    rng: fastrand::Rng,
    state: State,
    member_id: String,
    generation: i32,
    leads: bool,
    /// What is held, with the generation in which it was got.
    owned: BTreeMap<TopicPartition, i32>,
    beat_at: Instant,
    beating: bool,
    tickets: u64,
    /// A reason to join again that came up in the middle of a rebalance.
    rejoin: Option<&'static str>,
    reason: &'static str,
    backoff: Backoff,
    outputs: VecDeque<Output>,
}

/// The generation of who is in none.
const NO_GENERATION: i32 = -1;

impl Membership {
    /// A member to be that joins at once.
    pub(crate) fn new(settings: Settings, rng: fastrand::Rng, now: Instant) -> Self {
        let backoff = Backoff::new(settings.retry_backoff, settings.retry_backoff_max);
        Self {
            settings,
            rng,
            state: State::Idle { join_at: now },
            member_id: String::new(),
            generation: NO_GENERATION,
            leads: false,
            owned: BTreeMap::new(),
            beat_at: now,
            beating: false,
            tickets: 0,
            rejoin: None,
            reason: "joins",
            backoff,
            outputs: VecDeque::new(),
        }
    }

    /// The id the coordinator gave, empty before.
    pub(crate) fn member_id(&self) -> &str {
        &self.member_id
    }

    /// The current generation, -1 in none.
    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    /// The epoch of a partition that is held.
    pub(crate) fn epoch_of(&self, partition: &TopicPartition) -> Option<i32> {
        self.owned.get(partition).copied()
    }

    /// Whether nothing follows any more.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Whether the coordinator may accept commits of this generation: not between the answers to `JoinGroup` and
    /// `SyncGroup`.
    pub(crate) fn may_commit(&self) -> bool {
        self.generation != NO_GENERATION
            && matches!(self.state, State::Stable | State::Revoking { .. } | State::Joining)
    }

    /// Whether the last rebalance is over: what a refused commit waits for.
    pub(crate) fn is_stable(&self) -> bool {
        matches!(self.state, State::Stable | State::Revoking { .. })
    }

    /// Whether this member is the leader of a group at rest, who watches the topics for new partitions.
    pub(crate) fn leads(&self) -> bool {
        self.leads && matches!(self.state, State::Stable | State::Revoking { .. })
    }

    /// The next thing to do, if any.
    pub(crate) fn output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let beat = (self.beats() && !self.beating).then_some(self.beat_at);
        let state = match self.state {
            State::Idle { join_at } => Some(join_at),
            State::Revoking { until, .. } => Some(until),
            _ => None,
        };
        beat.into_iter().chain(state).min()
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Instant) {
        match &self.state {
            State::Idle { join_at } if *join_at <= now => self.join(),
            State::Revoking { until, ticket, .. } if *until <= now => {
                tracing::warn!(
                    group = %self.settings.group,
                    "the revoked partitions were not let go of in time; joining again without them"
                );
                let ticket = *ticket;
                self.released(ticket);
            }
            _ => {}
        }
        if self.beats() && !self.beating && self.beat_at <= now {
            self.beating = true;
            self.outputs.push_back(Output::Heartbeat {
                member_id: self.member_id.clone(),
                generation: self.generation,
            });
        }
    }

    /// Takes in what happened.
    pub(crate) fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Joined { result, member_id } => self.joined(result, member_id, now),
            Input::Assigned { generation, result } => self.assigned(generation, result),
            Input::Synced(result) => self.synced(result, now),
            Input::Beat { generation, result } => self.beat(generation, result, now),
            Input::Released(ticket) => self.released(ticket),
            Input::Rejoin(reason) => self.rejoin(reason, now),
            Input::CommitRefused { generation, code } => {
                if self.beats() && generation == self.generation {
                    self.member_failed("OffsetCommit", code, now);
                }
            }
            Input::Leave => self.leave(),
            Input::Left => self.state = State::Ended,
            Input::Broken(error) => self.fail(error),
        }
        self.tick(now);
    }

    fn beats(&self) -> bool {
        matches!(
            self.state,
            State::Revoking { .. } | State::Assigning | State::Syncing | State::Stable
        ) && self.generation != NO_GENERATION
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Emit(event));
    }

    fn join(&mut self) {
        self.state = State::Joining;
        // What made us join is answered by this very rebalance.
        self.rejoin = None;
        self.outputs.push_back(Output::Join {
            member_id: self.member_id.clone(),
            generation: self.generation,
            owned: self.owned.keys().cloned().collect(),
            reason: self.reason,
        });
    }

    /// Joins after the back-off.
    fn join_later(&mut self, now: Instant) {
        let join_at = now + self.backoff.next(&mut self.rng);
        self.state = State::Idle { join_at };
    }

    /// Joins again: the eager protocol gives everything up first.
    fn rejoin(&mut self, reason: &'static str, now: Instant) {
        match self.state {
            State::Stable => {
                self.reason = reason;
                if self.settings.cooperative || self.owned.is_empty() {
                    self.join();
                } else {
                    self.revoke(self.owned.keys().cloned().collect(), now);
                }
            }
            State::Assigning | State::Syncing | State::Joining => self.rejoin = Some(reason),
            // These join in any case.
            State::Idle { .. } | State::Revoking { .. } | State::Leaving | State::Ended => {}
        }
    }

    fn revoke(&mut self, partitions: Vec<TopicPartition>, now: Instant) {
        self.tickets += 1;
        // A tenth is left for the JoinGroup that follows.
        let until = now + self.settings.rebalance_timeout.mul_f64(0.9);
        let ticket = self.tickets;
        self.emit(Event::Revoked { partitions: partitions.clone(), ticket });
        self.state = State::Revoking { ticket, partitions, until };
    }

    fn released(&mut self, released: u64) {
        if let State::Revoking { ticket, partitions, .. } = &self.state
            && *ticket == released
        {
            for partition in partitions {
                self.owned.remove(partition);
            }
            self.join();
        }
    }

    /// Everything held is gone, and somebody else may have it.
    fn lose(&mut self) {
        let partitions: Vec<_> = std::mem::take(&mut self.owned).into_keys().collect();
        if !partitions.is_empty() {
            self.emit(Event::Lost { partitions });
        }
    }

    fn leave(&mut self) {
        if matches!(self.state, State::Leaving | State::Ended) {
            return;
        }
        self.owned.clear();
        if self.member_id.is_empty() || self.settings.instance_id.is_some() {
            // Nothing to take back, or a static member, whose place is kept for the session timeout (KIP-345).
            self.state = State::Ended;
        } else {
            self.state = State::Leaving;
            self.outputs.push_back(Output::Leave { member_id: self.member_id.clone() });
        }
    }

    fn fail(&mut self, error: GroupError) {
        if self.has_ended() {
            return;
        }
        self.lose();
        self.emit(Event::Failed(error));
        self.leave();
    }

    /// Installs an assignment: what to give up first, then what is new.
    fn install(&mut self, assignment: Assignment, now: Instant) {
        let assigned: BTreeSet<_> = assignment.partitions.into_iter().collect();
        let revoked: Vec<_> =
            self.owned.keys().filter(|held| !assigned.contains(*held)).cloned().collect();
        let added: Vec<_> =
            assigned.iter().filter(|new| !self.owned.contains_key(*new)).cloned().collect();
        for partition in &added {
            self.owned.insert(partition.clone(), self.generation);
        }
        self.state = State::Stable;
        if !revoked.is_empty() {
            self.reason = "gave up partitions";
            self.revoke(revoked, now);
        }
        self.emit(Event::Assigned {
            generation: self.generation,
            added,
            all: assigned.into_iter().collect(),
            user_data: assignment.user_data,
        });
        if let Some(reason) = self.rejoin.take() {
            self.rejoin(reason, now);
        }
    }
}
