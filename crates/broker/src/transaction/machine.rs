//! One transactional id as a plain value: fed with what its producer asks and with time, it says what is answered and
//! what has to be done (KIP-98, KIP-360, KIP-890).
//!
//! - A decided transaction (`PrepareCommit`, `PrepareAbort`) is never decided otherwise; it is complete when every place
//!   that it wrote to has its marker.
//! - Who is not the newest instance, by producer id and epoch, changes nothing.
//! - With the second version of the protocol every end of a transaction raises the epoch, so that nothing late of it can
//!   get into the next; with the first version only `InitProducerId` and timeouts raise it.
//! - The epoch after the last usable one is kept free, so that a producer can always be fenced.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use roka_protocol::ErrorCode;
use serde::{Deserialize, Serialize};

/// No producer id, no epoch, no time.
pub(crate) const NONE: i64 = -1;
const NO_EPOCH: i16 = -1;

/// Producer id and epoch: one instance of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// The producer has its identity, and nothing is under way.
    Empty,
    Ongoing,
    /// Decided; the markers are being written.
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
    /// Not used for long: about to be forgotten.
    Dead,
}

impl State {
    pub(crate) const ALL: [Self; 7] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
        Self::Dead,
    ];

    /// The name in `DescribeTransactions` and `ListTransactions`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
            Self::Dead => "Dead",
        }
    }
}

/// How a transaction shall end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Commit,
    Abort,
}

impl Outcome {
    pub(crate) fn of(committed: bool) -> Self {
        if committed { Self::Commit } else { Self::Abort }
    }

    fn prepared(self) -> State {
        match self {
            Self::Commit => State::PrepareCommit,
            Self::Abort => State::PrepareAbort,
        }
    }
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transaction {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    /// The id before this one, when its epochs were used up.
    previous_id: i64,
    /// The id after this one, from the decision to the completion of a transaction that used up the epochs.
    next_id: i64,
    /// The epoch before this one, if the present producer may have it still: it repeats a request whose answer was lost.
    last_epoch: i16,
    pub(crate) timeout_ms: i32,
    pub(crate) state: State,
    /// Partitions written to; once decided, those without marker.
    pub(crate) partitions: BTreeSet<(String, i32)>,
    /// Groups with positions in the transaction; once decided, those that were not told.
    pub(crate) groups: BTreeSet<String>,
    /// When the transaction began; -1 when there is none.
    pub(crate) started_ms: i64,
    updated_ms: i64,
    /// Not yet in the journal.
    #[serde(skip)]
    dirty: bool,
}

impl Transaction {
    pub(crate) fn new(producer_id: i64, now_ms: i64) -> Self {
        Self {
            producer_id,
            epoch: NO_EPOCH,
            previous_id: NONE,
            next_id: NONE,
            last_epoch: NO_EPOCH,
            timeout_ms: 0,
            state: State::Empty,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
            started_ms: NONE,
            updated_ms: now_ms,
            dirty: true,
        }
    }

    /// Whether it changed since the last call.
    pub(crate) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    fn enter(&mut self, state: State, now_ms: i64) {
        self.state = state;
        self.updated_ms = now_ms;
        self.dirty = true;
    }

    fn identity(&self) -> Identity {
        Identity { id: self.producer_id, epoch: self.epoch }
    }

    /// The outcome, when it is decided and markers are missing.
    pub(crate) fn prepared(&self) -> Option<Outcome> {
        match self.state {
            State::PrepareCommit => Some(Outcome::Commit),
            State::PrepareAbort => Some(Outcome::Abort),
            _ => None,
        }
    }

    /// A producer begins to use the id, or goes on after an error if it names what it `expected` to be. `fresh` gives
    /// producer ids that nobody had.
    ///
    /// A transaction of the former instance is aborted first; until that is done, the producer is told to come back.
    pub(crate) fn init(
        &mut self,
        now_ms: i64,
        timeout_ms: i32,
        expected: Option<Identity>,
        fresh: &mut dyn FnMut() -> i64,
    ) -> Result<Identity, ErrorCode> {
        if expected.is_some_and(|it| !self.knows(it)) {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match self.state {
            State::PrepareCommit | State::PrepareAbort => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            State::Ongoing => {
                // Somebody else's transaction is not for a fenced producer to abort.
                if expected.is_some_and(|it| it.epoch != self.epoch) {
                    return Err(ErrorCode::PRODUCER_FENCED);
                }
                self.fence(now_ms);
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
            State::Empty | State::CompleteCommit | State::CompleteAbort | State::Dead => {
                self.next_identity(expected, fresh)?;
                self.timeout_ms = timeout_ms;
                self.started_ms = NONE;
                self.enter(State::Empty, now_ms);
                Ok(self.identity())
            }
        }
    }

    /// Whether that may be the present producer, also one whose id was replaced without its knowledge.
    fn knows(&self, it: Identity) -> bool {
        self.epoch == NO_EPOCH
            || it.id == self.producer_id
            || (it.id == self.previous_id && is_exhausted(it.epoch))
    }

    fn next_identity(
        &mut self,
        expected: Option<Identity>,
        fresh: &mut dyn FnMut() -> i64,
    ) -> Result<(), ErrorCode> {
        let told = expected.map(|it| it.epoch);
        let is_present = told.is_none_or(|epoch| epoch == self.epoch);
        if is_exhausted(self.epoch) && is_present {
            self.previous_id = std::mem::replace(&mut self.producer_id, fresh());
            self.last_epoch = if told.is_some() { self.epoch } else { NO_EPOCH };
            self.epoch = 0;
            return Ok(());
        }
        match told {
            None => self.last_epoch = NO_EPOCH,
            Some(_) if is_present || self.epoch == NO_EPOCH => self.last_epoch = self.epoch,
            // It has not heard the answer to what it repeats here.
            Some(epoch) if epoch == self.last_epoch => return Ok(()),
            Some(_) => return Err(ErrorCode::PRODUCER_FENCED),
        }
        self.epoch += 1;
        Ok(())
    }

    /// Aborts the transaction and leaves its producer behind.
    fn fence(&mut self, now_ms: i64) {
        self.epoch = self.epoch.saturating_add(1);
        self.last_epoch = NO_EPOCH;
        self.next_id = NONE;
        self.enter(State::PrepareAbort, now_ms);
    }

    fn check(&self, who: Identity) -> Result<(), ErrorCode> {
        if who.id != self.producer_id {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if who.epoch != self.epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        if self.prepared().is_some() {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        Ok(())
    }

    /// Partitions that the transaction is about to write to; the first ones begin it.
    pub(crate) fn add_partitions(
        &mut self,
        now_ms: i64,
        who: Identity,
        partitions: impl IntoIterator<Item = (String, i32)>,
    ) -> Result<(), ErrorCode> {
        self.check(who)?;
        self.begin(now_ms);
        for partition in partitions {
            self.dirty |= self.partitions.insert(partition);
        }
        Ok(())
    }

    /// A group in which the transaction is about to store positions.
    pub(crate) fn add_group(
        &mut self,
        now_ms: i64,
        who: Identity,
        group: &str,
    ) -> Result<(), ErrorCode> {
        self.check(who)?;
        self.begin(now_ms);
        self.dirty |= self.groups.insert(group.to_owned());
        Ok(())
    }

    fn begin(&mut self, now_ms: i64) {
        if self.state != State::Ongoing {
            self.started_ms = now_ms;
            self.enter(State::Ongoing, now_ms);
        }
    }

    /// Whether the producer may write to a partition that it should have added before.
    pub(crate) fn check_partition(
        &self,
        who: Identity,
        topic: &str,
        partition: i32,
    ) -> Result<(), ErrorCode> {
        self.check(who)?;
        let added = self.partitions.iter().any(|(name, at)| *at == partition && name == topic);
        if added { Ok(()) } else { Err(ErrorCode::TRANSACTION_ABORTABLE) }
    }

    /// Whether the producer may store positions in a group that it should have added before.
    pub(crate) fn check_group(&self, who: Identity, group: &str) -> Result<(), ErrorCode> {
        self.check(who)?;
        if self.groups.contains(group) { Ok(()) } else { Err(ErrorCode::TRANSACTION_ABORTABLE) }
    }

    /// The producer ends the transaction, in the first version of the protocol.
    pub(crate) fn end(
        &mut self,
        now_ms: i64,
        who: Identity,
        outcome: Outcome,
    ) -> Result<Identity, ErrorCode> {
        if who.id != self.producer_id {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if who.epoch != self.epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match (self.state, outcome) {
            (State::Ongoing, _) => {
                self.enter(outcome.prepared(), now_ms);
                Ok(self.identity())
            }
            // It has not heard the answer.
            (State::CompleteCommit, Outcome::Commit) | (State::CompleteAbort, Outcome::Abort) => {
                Ok(self.identity())
            }
            (State::PrepareCommit, Outcome::Commit) | (State::PrepareAbort, Outcome::Abort) => {
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
            _ => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }

    /// The producer ends the transaction, in the second version of the protocol; gives what it is called from then on.
    /// An abort is right also when nothing was written, because the producer cannot know.
    pub(crate) fn end_and_bump(
        &mut self,
        now_ms: i64,
        who: Identity,
        outcome: Outcome,
        fresh: &mut dyn FnMut() -> i64,
    ) -> Result<Identity, ErrorCode> {
        let overflowed = self.previous_id == who.id && who.epoch == i16::MAX - 1 && self.epoch == 0;
        let bumped = who.epoch.checked_add(1) == Some(self.epoch);
        let repeats = bumped || overflowed;
        if who.id != self.producer_id && !overflowed {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        let is_valid = match self.state {
            State::Empty | State::Ongoing | State::Dead => who.epoch == self.epoch,
            State::PrepareCommit | State::PrepareAbort => bumped,
            State::CompleteCommit | State::CompleteAbort => repeats || who.epoch == self.epoch,
        };
        if !is_valid {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match (self.state, outcome) {
            (State::Ongoing, _) | (State::Empty, Outcome::Abort) => {
                Ok(self.decide_and_bump(now_ms, outcome, fresh))
            }
            (State::PrepareCommit, Outcome::Commit) | (State::PrepareAbort, Outcome::Abort) => {
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
            (State::CompleteCommit, Outcome::Commit) | (State::CompleteAbort, Outcome::Abort)
                if repeats =>
            {
                Ok(self.identity())
            }
            (State::CompleteCommit | State::CompleteAbort, Outcome::Abort) if !repeats => {
                Ok(self.decide_and_bump(now_ms, outcome, fresh))
            }
            _ => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }

    fn decide_and_bump(
        &mut self,
        now_ms: i64,
        outcome: Outcome,
        fresh: &mut dyn FnMut() -> i64,
    ) -> Identity {
        if self.state != State::Ongoing {
            self.started_ms = now_ms;
        }
        if is_exhausted(self.epoch) {
            self.next_id = fresh();
        }
        self.last_epoch = self.epoch;
        self.epoch = self.epoch.saturating_add(1);
        self.enter(outcome.prepared(), now_ms);
        if self.next_id == NONE { self.identity() } else { Identity { id: self.next_id, epoch: 0 } }
    }

    /// The partition has its marker, or is gone.
    pub(crate) fn partition_done(&mut self, partition: &(String, i32)) {
        self.partitions.remove(partition);
    }

    /// The group knows the outcome.
    pub(crate) fn group_done(&mut self, group: &str) {
        self.groups.remove(group);
    }

    /// A decided transaction is complete when nothing waits for its marker; whether it is.
    pub(crate) fn try_complete(&mut self, now_ms: i64) -> bool {
        let Some(outcome) = self.prepared() else { return false };
        if !(self.partitions.is_empty() && self.groups.is_empty()) {
            return false;
        }
        if self.next_id != NONE {
            self.previous_id = self.producer_id;
            self.producer_id = std::mem::replace(&mut self.next_id, NONE);
            self.epoch = 0;
        }
        self.enter(
            match outcome {
                Outcome::Commit => State::CompleteCommit,
                Outcome::Abort => State::CompleteAbort,
            },
            now_ms,
        );
        true
    }

    /// Time has passed: a transaction that takes too long is aborted, an id that nobody used for `idle_ms` is dead.
    pub(crate) fn expire(&mut self, now_ms: i64, idle_ms: i64) {
        if self.deadline(idle_ms).is_none_or(|it| now_ms < it) {
            return;
        }
        match self.state {
            State::Ongoing => self.fence(now_ms),
            _ => self.enter(State::Dead, now_ms),
        }
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(crate) fn deadline(&self, idle_ms: i64) -> Option<i64> {
        match self.state {
            State::Ongoing => Some(self.started_ms.saturating_add(i64::from(self.timeout_ms))),
            State::PrepareCommit | State::PrepareAbort | State::Dead => None,
            State::Empty | State::CompleteCommit | State::CompleteAbort => {
                Some(self.updated_ms.saturating_add(idle_ms))
            }
        }
    }
}

fn is_exhausted(epoch: i16) -> bool {
    epoch >= i16::MAX - 1
}
