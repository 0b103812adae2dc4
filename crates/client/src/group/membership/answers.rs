//! What each answer of the coordinator means for a member: one table for all requests of the protocol.

use roka_protocol::ErrorCode;
use tokio::time::Instant;

use super::{Failure, Input, Joined, Membership, NO_GENERATION, Output, State};
use crate::{
    action,
    group::{assignor::Assignment, error::GroupError},
};

/// What an error code asks of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The group rebalances: join again, everything else stays.
    Rebalance,
    /// The generation is over: somebody else may hold our partitions; the id is still good.
    GenerationOver,
    /// The coordinator does not know the member: start over without an id.
    Unknown,
    /// The coordinator is elsewhere, loads, or had a hiccup: the same again.
    Again,
    /// Join again with the id that came with the answer.
    UseId,
    /// Another process has our instance id.
    Fenced,
    /// No way.
    Fatal,
}

fn verdict(code: ErrorCode) -> Verdict {
    match code {
        ErrorCode::REBALANCE_IN_PROGRESS => Verdict::Rebalance,
        ErrorCode::ILLEGAL_GENERATION => Verdict::GenerationOver,
        ErrorCode::UNKNOWN_MEMBER_ID => Verdict::Unknown,
        ErrorCode::MEMBER_ID_REQUIRED => Verdict::UseId,
        ErrorCode::FENCED_INSTANCE_ID => Verdict::Fenced,
        // Only on the way to a coordinator: its disk, its log, its load.
        ErrorCode::UNKNOWN_SERVER_ERROR => Verdict::Again,
        code if action::of(code).is_retry() => Verdict::Again,
        _ => Verdict::Fatal,
    }
}

impl Membership {
    pub(super) fn joined(
        &mut self,
        result: Result<Joined, Failure>,
        member_id: String,
        now: Instant,
    ) {
        if !matches!(self.state, State::Joining) {
            return;
        }
        let joined = match result {
            Ok(joined) => joined,
            Err(Failure::Unreachable) => return self.join_later(now),
            Err(Failure::Code(code)) => return self.join_failed(code, member_id, now),
        };
        self.backoff.reset();
        self.member_id = joined.member_id;
        self.generation = joined.generation;
        self.leads = joined.leads;
        self.beating = false;
        self.beat_at = now + self.settings.heartbeat_interval;
        if joined.leads && !joined.skip_assignment {
            self.state = State::Assigning;
            self.outputs.push_back(Output::Assign { generation: self.generation });
        } else {
            self.sync(false);
        }
    }

    fn join_failed(&mut self, code: ErrorCode, member_id: String, now: Instant) {
        match verdict(code) {
            Verdict::UseId => {
                self.member_id = member_id;
                self.join();
            }
            Verdict::Unknown | Verdict::GenerationOver => {
                let first = self.backoff.steps() == 0;
                self.forget(verdict(code) == Verdict::Unknown);
                if first {
                    // Start over at once; only if that fails too, wait.
                    self.backoff.next(&mut self.rng);
                    self.join();
                } else {
                    self.join_later(now);
                }
            }
            Verdict::Rebalance | Verdict::Again => self.join_later(now),
            Verdict::Fenced | Verdict::Fatal => self.refused("JoinGroup", code),
        }
    }

    fn sync(&mut self, leads: bool) {
        self.state = State::Syncing;
        self.outputs.push_back(Output::Sync {
            member_id: self.member_id.clone(),
            generation: self.generation,
            leads,
        });
    }

    pub(super) fn assigned(&mut self, generation: i32, result: Result<(), GroupError>) {
        if !matches!(self.state, State::Assigning) || generation != self.generation {
            return;
        }
        match result {
            Ok(()) => self.sync(true),
            Err(error) => self.fail(error),
        }
    }

    pub(super) fn synced(&mut self, result: Result<Assignment, Failure>, now: Instant) {
        if !matches!(self.state, State::Syncing) {
            return;
        }
        match result {
            Ok(assignment) => {
                self.backoff.reset();
                self.install(assignment, now);
            }
            // Whether the coordinator got it is unknown, and a new coordinator knows nothing of this round.
            Err(Failure::Unreachable) => self.join_later(now),
            Err(Failure::Code(code)) => match verdict(code) {
                Verdict::Rebalance => {
                    self.reason = "the group rebalanced meanwhile";
                    self.join();
                }
                Verdict::Again | Verdict::UseId => self.join_later(now),
                _ => self.member_failed("SyncGroup", code, now),
            },
        }
    }

    pub(super) fn beat(&mut self, generation: i32, result: Result<(), Failure>, now: Instant) {
        if generation != self.generation || !self.beating {
            return;
        }
        self.beating = false;
        match result {
            Ok(()) => {
                if matches!(self.state, State::Stable | State::Revoking { .. }) {
                    self.backoff.reset();
                }
                self.beat_at = now + self.settings.heartbeat_interval;
            }
            Err(Failure::Unreachable) => self.beat_at = now + self.backoff.next(&mut self.rng),
            Err(Failure::Code(code)) => {
                self.beat_at = now + self.settings.heartbeat_interval;
                self.member_failed("Heartbeat", code, now);
            }
        }
    }

    /// A code that concerns the membership as a whole, from whatever request it came.
    pub(super) fn member_failed(&mut self, api: &'static str, code: ErrorCode, now: Instant) {
        if !self.beats() {
            // Late: the next answer tells what holds now, except that a fenced member stays fenced.
            if verdict(code) == Verdict::Fenced {
                self.refused(api, code);
            }
            return;
        }
        match verdict(code) {
            // In the middle of a round the answer to SyncGroup says whether there is another one: brokers
            // before 2.5 say so to every heartbeat before the leader has assigned.
            Verdict::Rebalance if matches!(self.state, State::Assigning | State::Syncing) => {}
            Verdict::Rebalance => self.rejoin("the group rebalances", now),
            Verdict::GenerationOver | Verdict::Unknown => {
                tracing::info!(group = %self.settings.group, %code, "membership lost; joining again");
                self.forget(verdict(code) == Verdict::Unknown);
                self.reason = "membership lost";
                self.join();
            }
            Verdict::Again | Verdict::UseId => {
                self.beat_at = now + self.backoff.next(&mut self.rng);
            }
            Verdict::Fenced | Verdict::Fatal => self.refused(api, code),
        }
    }

    /// The partitions are lost, and the generation with them; the id too if nobody knows it.
    fn forget(&mut self, id: bool) {
        self.lose();
        self.generation = NO_GENERATION;
        self.leads = false;
        self.beating = false;
        if id {
            self.member_id.clear();
        }
    }

    fn refused(&mut self, api: &'static str, code: ErrorCode) {
        let group = self.settings.group.clone();
        let error = match (verdict(code), &self.settings.instance_id) {
            (Verdict::Fenced, Some(instance_id)) => {
                GroupError::Fenced { group, instance_id: instance_id.clone() }
            }
            _ => GroupError::Refused { group, api, code },
        };
        self.fail(error);
    }
}

/// For the driver: whether the coordinator must be looked up again after this code.
pub(crate) fn moves_coordinator(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR)
}

impl Input {
    /// A code as the result of a heartbeat.
    #[cfg(test)]
    pub(super) fn beat_code(generation: i32, code: ErrorCode) -> Self {
        Self::Beat { generation, result: Err(Failure::Code(code)) }
    }
}
