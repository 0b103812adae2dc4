//! One transactional producer as a plain value, fed with calls, answers and time: what to ask the coordinators next, when
//! records may be sent, and how each call ends. No I/O, no clock (KIP-98, KIP-360, KIP-447, KIP-890).
//!
//! Rules:
//! - One question at a time. What a code means at each step is in [`verdict`](super::verdict).
//! - Under level 1 a partition gets records once the coordinator has it, and a group's offsets likewise. Under level 2
//!   (KIP-890) brokers see to that, and each end of a transaction gives the next epoch. The level is one per transaction.
//! - `EndTxn` goes when nothing is on its way any more. A commit that was asked for is asked for until it is answered,
//!   and never becomes an abort unless the coordinator says that nothing was committed.
//! - A failure is remembered, not acted on, until the transaction is ended by its user: then it is aborted, whatever was
//!   asked. Batches that may have been written late make a new epoch necessary, which fences them.
//! - A transaction that nobody heard of is ended without asking.

mod grant;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roka_protocol::ErrorCode;
use tokio::time::Instant;

use super::ask::{Answer, Ask, Level, judge};
use super::error::TransactionCause;
use super::offsets::Offsets;
use super::verdict::{Step, Verdict};
use crate::Error;
use crate::producer::sequencer::Identity;

/// First wait after `CONCURRENT_TRANSACTIONS`: the transaction before is being completed, which takes milliseconds.
pub(crate) const SOON: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is no identity yet.
    Starting,
    Ready,
    Open,
    /// It cannot be committed; its user does not know or has not ended it yet.
    Failed,
    Ending {
        commit: bool,
        stage: Stage,
    },
    Dead {
        maybe_committed: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// What was sent is waited for.
    Draining,
    Asking,
    /// A new epoch.
    Bumping,
}

/// How the last transaction ended.
#[derive(Debug)]
struct Ended {
    number: u64,
    committed: bool,
    cause: Option<Arc<TransactionCause>>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Machine {
    id: Arc<str>,
    /// First and longest wait of the usual back-off.
    backoff: (Duration, Duration),
    identity: Option<Identity>,
    bumps: bool,
    phase: Phase,
    level: Level,
    /// Of the transaction that is open, or was last.
    number: u64,
    ended: Option<Ended>,
    cause: Option<Arc<TransactionCause>>,
    /// A coordinator may know of the transaction.
    told: bool,
    /// It does.
    confirmed: bool,
    bump: bool,
    /// Partitions with records, and whether the coordinator has them.
    partitions: BTreeMap<u32, bool>,
    groups: Vec<Arc<str>>,
    offsets: Option<Arc<Offsets>>,
    offsets_done: u64,
    asking: bool,
    retry_at: Option<Instant>,
    retries: u32,
    last: Option<Arc<Error>>,
}

impl Machine {
    /// Without an identity. `backoff` is the first and the longest wait between attempts.
    pub(crate) fn new(id: Arc<str>, backoff: (Duration, Duration)) -> Self {
        Self {
            id,
            backoff,
            identity: None,
            bumps: false,
            phase: Phase::Starting,
            level: Level::One,
            number: 0,
            ended: None,
            cause: None,
            told: false,
            confirmed: false,
            bump: false,
            partitions: BTreeMap::new(),
            groups: Vec::new(),
            offsets: None,
            offsets_done: 0,
            asking: false,
            retry_at: None,
            retries: 0,
            last: None,
        }
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// Whether records are taken.
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether it will be aborted, so that records are not sent any more.
    pub(crate) fn is_aborting(&self) -> bool {
        matches!(
            self.phase,
            Phase::Failed | Phase::Dead { .. } | Phase::Ending { commit: false, .. }
        )
    }

    /// Whether batches that were sent before are given up too, not only those that were not.
    pub(crate) fn forgets_sent(&self) -> bool {
        self.is_aborting() && (self.level == Level::Two || self.bump || self.is_dead())
    }

    /// Whether it waits until nothing is on its way: then call [`drained`](Self::drained).
    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Ending { stage: Stage::Draining, .. })
    }

    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.phase, Phase::Dead { .. })
    }

    /// Whether nothing is to be done until it is called.
    pub(crate) fn is_settled(&self) -> bool {
        !self.asking && matches!(self.phase, Phase::Starting | Phase::Ready | Phase::Dead { .. })
    }

    /// When to ask [`next`](Self::next) again, if nothing happens before.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.retry_at.filter(|_| !self.asking && !self.is_dead())
    }

    /// Begins a transaction; its number. Only when [`Wish::Ready`] is granted.
    pub(crate) fn begin(&mut self, level: Level) -> u64 {
        self.phase = Phase::Open;
        self.level = level;
        self.number += 1;
        (self.told, self.confirmed, self.bump, self.cause) = (false, false, false, None);
        self.partitions.clear();
        self.groups.clear();
        self.offsets = None;
        self.calm();
        self.number
    }

    /// The partition has records to send.
    pub(crate) fn want(&mut self, partition: u32) {
        if self.level == Level::One
            && matches!(self.phase, Phase::Open | Phase::Ending { commit: true, .. })
        {
            self.partitions.entry(partition).or_insert(false);
        }
    }

    /// Whether the partition's records may be sent now.
    pub(crate) fn may_send(&self, partition: u32) -> bool {
        let enlisted =
            || self.level == Level::Two || self.partitions.get(&partition) == Some(&true);
        match self.phase {
            Phase::Open | Phase::Ending { commit: true, stage: Stage::Draining } => enlisted(),
            // What was sent before is sent on, so that no hole is left.
            Phase::Failed | Phase::Ending { commit: false, stage: Stage::Draining } => {
                !self.forgets_sent() && enlisted()
            }
            _ => false,
        }
    }

    /// Records were sent: under level 2 the coordinator comes to know of the transaction by them.
    pub(crate) fn sent(&mut self) {
        self.told = true;
    }

    /// Makes offsets part of the transaction of that number.
    pub(crate) fn commit_offsets(&mut self, number: u64, offsets: Arc<Offsets>) {
        if number == self.number && self.phase == Phase::Open {
            self.offsets = Some(offsets);
        }
    }

    /// Ends the transaction of that number: see [`Wish::End`].
    pub(crate) fn end(&mut self, number: u64, commit: bool) {
        if number != self.number {
            return;
        }
        let stage = Stage::Draining;
        match self.phase {
            Phase::Open => self.phase = Phase::Ending { commit, stage },
            Phase::Failed => self.phase = Phase::Ending { commit: false, stage },
            // Nothing was asked yet.
            Phase::Ending { commit: true, stage: Stage::Draining } if !commit => {
                self.phase = Phase::Ending { commit, stage };
            }
            _ => return,
        }
        if self.is_aborting() {
            self.offsets = None;
            self.calm();
        }
    }

    /// Its user has gone: what is open is aborted.
    pub(crate) fn abandon(&mut self, number: u64) {
        if matches!(self.phase, Phase::Open | Phase::Failed) {
            self.end(number, false);
        }
    }

    /// The number of the transaction that is open, or was last.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Nothing is on its way any more: the transaction can end.
    pub(crate) fn drained(&mut self) {
        if let Phase::Ending { commit, stage: Stage::Draining } = self.phase
            && !self.asking
            && self.offsets.is_none()
        {
            self.phase = Phase::Ending { commit, stage: Stage::Asking };
            self.calm();
            if !self.told {
                self.conclude(commit);
            }
        }
    }

    /// Records were lost: the transaction cannot be committed. With `bump`, they may be written late.
    pub(crate) fn fail(&mut self, cause: TransactionCause, bump: bool) {
        self.bump |= bump;
        let next = match self.phase {
            Phase::Open => Phase::Failed,
            // Once a commit was asked for, only its answer can say that there was none.
            Phase::Ending { commit: true, stage: Stage::Draining } => {
                Phase::Ending { commit: false, stage: Stage::Draining }
            }
            _ => return,
        };
        tracing::info!(transactional_id = %self.id, %cause, "the transaction is to be aborted");
        self.phase = next;
        self.cause = Some(Arc::new(cause));
        self.offsets = None;
        self.calm();
    }

    /// Nothing more can be done.
    pub(crate) fn die(&mut self, cause: TransactionCause, maybe_committed: bool) {
        if !self.is_dead() {
            tracing::warn!(transactional_id = %self.id, %cause, "the transactional producer ends");
            self.phase = Phase::Dead { maybe_committed };
            self.cause = Some(Arc::new(cause));
            self.offsets = None;
        }
    }

    /// What to ask now, if anything; then an answer is owed.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Ask> {
        if self.asking || self.retry_at.is_some_and(|at| at > now) {
            return None;
        }
        let ask = match (self.phase, self.identity) {
            (Phase::Starting, _) => Ask::Init { current: None },
            (Phase::Open | Phase::Ending { commit: true, stage: Stage::Draining }, Some(it)) => {
                self.next_in_transaction(it)?
            }
            (Phase::Ending { commit, stage: Stage::Asking }, Some(identity)) => {
                Ask::End { identity, level: self.level, commit }
            }
            (Phase::Ending { stage: Stage::Bumping, .. }, current) => Ask::Init { current },
            _ => return None,
        };
        self.asking = true;
        self.retry_at = None;
        Some(ask)
    }

    fn next_in_transaction(&mut self, identity: Identity) -> Option<Ask> {
        let missing: Vec<u32> =
            self.partitions.iter().filter(|(_, enlisted)| !**enlisted).map(|(p, _)| *p).collect();
        let ask = if missing.is_empty() {
            let offsets = self.offsets.clone()?;
            let group = &offsets.group.group_id;
            if self.level == Level::One && !self.groups.contains(group) {
                Ask::AddOffsets { identity, group: group.clone() }
            } else {
                Ask::CommitOffsets { identity, level: self.level, offsets }
            }
        } else {
            Ask::AddPartitions { identity, partitions: missing }
        };
        self.told = true;
        Some(ask)
    }

    /// The answer to what was asked.
    pub(crate) fn answered(&mut self, ask: &Ask, answer: Answer, now: Instant) {
        self.asking = false;
        let step = ask.step();
        let (mut verdict, cause, last) = judge(step, answer.code);
        if let Some(last) = last {
            self.last = Some(last);
        }
        // Aborting what the coordinator never heard of.
        let nothing = step == (Step::End { commit: false }) && !self.confirmed;
        if nothing && cause.code() == Some(ErrorCode::INVALID_TXN_STATE) {
            verdict = Verdict::Done;
        }
        let refused = matches!(verdict, Verdict::Abort { .. } | Verdict::Renew);
        if refused && step == (Step::End { commit: true }) {
            // Nothing was committed, and nothing will be.
            self.phase = Phase::Ending { commit: true, stage: Stage::Draining };
        }
        match verdict {
            Verdict::Done => {
                self.calm();
                self.done(ask, answer.identity, answer.bumps);
            }
            Verdict::Soon => self.wait(now, SOON),
            Verdict::Again => self.wait(now, self.backoff.0),
            Verdict::Abort { bump } => self.fail(cause, bump),
            Verdict::Renew => {
                (self.told, self.bump) = (false, true);
                self.cause.get_or_insert_with(|| Arc::new(cause.clone()));
                if step == (Step::End { commit: false }) {
                    self.conclude(false);
                } else {
                    self.fail(cause, true);
                }
            }
            Verdict::Fatal => self.die(cause, step == (Step::End { commit: true })),
        }
    }

    fn done(&mut self, ask: &Ask, identity: Option<Identity>, bumps: bool) {
        match ask {
            Ask::Init { .. } => {
                (self.identity, self.bumps, self.bump) = (identity, bumps, false);
                match self.phase {
                    Phase::Ending { .. } => self.conclude(false),
                    Phase::Starting => self.phase = Phase::Ready,
                    _ => {}
                }
            }
            Ask::AddPartitions { partitions, .. } => {
                self.confirmed = true;
                for partition in partitions {
                    self.partitions.insert(*partition, true);
                }
            }
            Ask::AddOffsets { group, .. } => {
                self.confirmed = true;
                self.groups.push(group.clone());
            }
            Ask::CommitOffsets { offsets, .. } => {
                self.confirmed = true;
                self.offsets_done = self.offsets_done.max(offsets.job);
                self.offsets.take_if(|it| it.job == offsets.job);
            }
            Ask::End { commit, .. } => {
                if let Some(identity) = identity {
                    (self.identity, self.bump) = (Some(identity), false);
                }
                self.conclude(*commit);
            }
        }
    }

    /// The coordinator is done with it: the end, unless a new epoch is needed before.
    fn conclude(&mut self, committed: bool) {
        if self.bump && !self.bumps {
            let closed = || Arc::new(TransactionCause::Client(Error::Closed));
            let cause = self.cause.clone().unwrap_or_else(closed);
            return self.die(TransactionCause::NoBump(cause), false);
        }
        if self.bump {
            self.phase = Phase::Ending { commit: false, stage: Stage::Bumping };
            return;
        }
        let cause = self.cause.take().filter(|_| !committed);
        self.ended = Some(Ended { number: self.number, committed, cause });
        self.phase = Phase::Ready;
    }

    fn wait(&mut self, now: Instant, first: Duration) {
        let wait = first.saturating_mul(1 << self.retries.min(16)).min(self.backoff.1);
        self.retries += 1;
        self.retry_at = Some(now + wait);
    }

    /// Nothing is waited for.
    fn calm(&mut self) {
        (self.retry_at, self.retries, self.last) = (None, 0, None);
    }
}

#[cfg(test)]
mod tests;
