//! The batches of one partition from their first sending to their last answer: sequences, order, idempotence.
//!
//! A plain value fed with events; no clock, no I/O. The rules (KIP-98, KIP-360):
//!
//! - A batch gets its base sequence when it is first sent. A broker tells a repetition of one of a producer's last five
//!   batches, so no batch is sent that is the fifth or more after one without an answer, even if those between have one.
//! - A batch is repeated as it is: same sequence, same count. Batches that wait to be repeated go before new ones, in
//!   order of their sequence.
//! - In the beginning, after a failure, and when the leader moves, one batch is in flight until the first success. More
//!   would be rejected together with the first; and a broker that does not know the producer yet takes any sequence, so
//!   that it could take the second without the first. When the leader moves, what is in flight at the old one is sent to the new one at once; the
//!   sequence keeps it from being written twice, and a late success from the old leader still counts.
//! - A batch that is given up after it got a sequence leaves a *hole*: nobody knows whether it was written. No new
//!   batch gets a sequence until the batches behind the hole are answered. A success says that there was no hole.
//! - `OUT_OF_ORDER_SEQUENCE` for the oldest batch, sent as the oldest while no other sending was unanswered, is proof of
//!   a hole (or that the broker lost its memory): the partition goes on under a new epoch, from sequence 0, once nothing
//!   is in flight. Without the proof a batch could be written under both epochs.
//! - Without idempotence one batch is in flight, which keeps the order but not "exactly once".

use std::collections::VecDeque;

/// A producer id and its epoch, as a broker gave them (or as bumped here: KIP-360).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

impl Identity {
    /// What a producer without transactions goes on with by itself (KIP-360): nobody else knows its epoch. None if it
    /// needs another id, because this one is not its own any more or has no epochs left.
    pub(crate) fn next(self, renewal: Renewal) -> Option<Self> {
        let epoch = self.epoch.checked_add(1).filter(|_| renewal == Renewal::Epoch)?;
        Some(Self { epoch, ..self })
    }
}

/// What a batch is stamped with when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) identity: Identity,
    pub(crate) base_sequence: i32,
}

/// One sending of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    entry: u64,
    attempt: u32,
}

/// What the sequencer can send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing: too much in flight, or an answer or a new identity is awaited.
    Nothing,
    /// A batch that was sent before: [`Sequencer::dispatch`] it.
    Again,
    /// A new batch, if there is one: [`Sequencer::admit`] it, then dispatch it.
    Fresh,
}

/// Why a sending failed, as far as sequences are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Anything that another try may cure.
    Retry,
    /// `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    OutOfOrder,
    /// `UNKNOWN_PRODUCER_ID` with the log start offset, -1 if the broker did not say it.
    UnknownProducer { log_start_offset: i64 },
    /// `INVALID_PRODUCER_EPOCH`: somebody else has this id and a higher epoch.
    StaleEpoch,
    /// Nothing will cure it.
    Fatal,
}

/// What a failure did to the batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reaction<B> {
    /// It waits to be sent again; back off unless something newer than the attempt is known.
    Retry,
    /// It waits behind an older batch, or was overtaken by news: nothing to back off for.
    Follow,
    /// It will be sent again under a new identity: see [`Sequencer::wanted`].
    Renumber,
    /// It was given up. The caller reports it.
    Dropped(B),
    /// It is no longer of interest: given up earlier, answered, or sent elsewhere since.
    Gone,
}

/// A new identity that a sequencer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Renewal {
    /// The next epoch of the same id.
    Epoch,
    /// Another id: the old one is not ours any more.
    Id,
}

#[derive(Debug)]
struct Entry<B> {
    id: u64,
    /// Which one it is of all numbered batches.
    ordinal: u64,
    /// `None`: given up while in flight; it stays to wait for its answer.
    batch: Option<B>,
    count: i32,
    base_sequence: i32,
    attempt: u32,
    /// The node where it is in flight.
    at: Option<i32>,
    /// When it was sent last it was the oldest one, and no other sending was unanswered.
    sent_as_oldest: bool,
    /// A batch before it was given up, fate unknown.
    behind_hole: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Sequencer<B> {
    limit: usize,
    identity: Option<Identity>,
    next_sequence: i32,
    next_ordinal: u64,
    next_entry: u64,
    entries: VecDeque<Entry<B>>,
    hole_at_end: bool,
    one_at_a_time: bool,
    /// Sendings without an answer that do not count any more: the leader moved, or another was answered.
    stale: usize,
    wanted: Option<Renewal>,
    /// Failures since the last success.
    failures: u32,
    renewals: u32,
}

impl<B> Sequencer<B> {
    /// A sequencer with at most `limit` unanswered batches. Without an identity it is not idempotent and the limit is 1.
    pub(crate) fn new(limit: usize, identity: Option<Identity>) -> Self {
        Self {
            limit: if identity.is_some() { limit.clamp(1, 5) } else { 1 },
            identity,
            next_sequence: 0,
            next_ordinal: 0,
            next_entry: 0,
            entries: VecDeque::new(),
            hole_at_end: false,
            one_at_a_time: true,
            stale: 0,
            wanted: None,
            failures: 0,
            renewals: 0,
        }
    }

    /// Failures since the last success.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// New identities since the last success.
    pub(crate) fn renewals(&self) -> u32 {
        self.renewals
    }

    /// No batch without an answer.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Batches in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.entries.iter().filter(|entry| entry.at.is_some()).count()
    }

    /// What may be sent now.
    pub(crate) fn next(&self) -> Next {
        let limit = if self.one_at_a_time { 1 } else { self.limit };
        if self.wanted.is_some() || self.in_flight() >= limit {
            return Next::Nothing;
        }
        if let Some(waiting) = self.entries.iter().find(|entry| entry.at.is_none()) {
            return if self.within_window(waiting.ordinal) { Next::Again } else { Next::Nothing };
        }
        let hole = self.hole_at_end || self.entries.iter().any(|entry| entry.behind_hole);
        if hole || !self.within_window(self.next_ordinal) { Next::Nothing } else { Next::Fresh }
    }

    /// The broker would still know the oldest batch without an answer after this one.
    fn within_window(&self, ordinal: u64) -> bool {
        self.entries.front().is_none_or(|oldest| ordinal - oldest.ordinal < self.limit as u64)
    }

    /// The batch that [`Sequencer::dispatch`] would send now.
    pub(crate) fn peek(&self) -> Option<&B> {
        self.entries.iter().find(|entry| entry.at.is_none()).and_then(|entry| entry.batch.as_ref())
    }

    /// Gives a new batch its sequence. Only after [`Next::Fresh`].
    pub(crate) fn admit(&mut self, batch: B, count: i32) {
        let entry = self.entry(batch, count, self.next_sequence, self.next_ordinal);
        self.next_sequence = add(self.next_sequence, count);
        self.next_ordinal += 1;
        self.entries.push_back(entry);
    }

    fn entry(&mut self, batch: B, count: i32, base_sequence: i32, ordinal: u64) -> Entry<B> {
        self.next_entry += 1;
        Entry {
            id: self.next_entry,
            ordinal,
            batch: Some(batch),
            count,
            base_sequence,
            attempt: 0,
            at: None,
            sent_as_oldest: false,
            behind_hole: false,
        }
    }

    /// Sends the oldest waiting batch to `node`: what to send, and how it is stamped (`None`: not idempotent).
    pub(crate) fn dispatch(&mut self, node: i32) -> Option<(Token, &mut B, Option<Stamp>)> {
        let i = self.entries.iter().position(|entry| entry.at.is_none())?;
        let entry = &mut self.entries[i];
        entry.attempt += 1;
        entry.at = Some(node);
        entry.sent_as_oldest = i == 0 && self.stale == 0;
        let stamp =
            self.identity.map(|identity| Stamp { identity, base_sequence: entry.base_sequence });
        let token = Token { entry: entry.id, attempt: entry.attempt };
        entry.batch.as_mut().map(|batch| (token, batch, stamp))
    }

    /// The leader is now `node`: what is in flight elsewhere is sent again, to it.
    ///
    /// Batches that were given up meanwhile are forgotten. Without idempotence everything waits for its answer.
    pub(crate) fn moved(&mut self, node: i32) {
        if self.identity.is_none() {
            return;
        }
        for i in (0..self.entries.len()).rev() {
            let entry = &mut self.entries[i];
            if entry.at.is_some_and(|at| at != node) {
                entry.at = None;
                let given_up = entry.batch.is_none();
                self.stale += 1;
                self.one_at_a_time = true;
                if given_up {
                    self.remove_failed(i);
                }
            }
        }
    }

    /// The broker has the batch. Gives it back, unless it was given up or answered before.
    pub(crate) fn acked(&mut self, token: Token) -> Option<B> {
        let current = self.current(token).is_some();
        if !current {
            self.stale = self.stale.saturating_sub(1);
        }
        let i = self.entries.iter().position(|entry| entry.id == token.entry)?;
        let entry = self.entries.remove(i)?;
        if current {
            self.one_at_a_time = false;
            self.failures = 0;
            self.renewals = 0;
        } else if entry.at.is_some() {
            self.stale += 1;
        }
        self.settle();
        entry.batch
    }

    /// The sending failed, or nobody knows how it ended.
    pub(crate) fn failed(&mut self, token: Token, failure: Failure) -> Reaction<B> {
        let Some(i) = self.current(token) else {
            self.stale = self.stale.saturating_sub(1);
            return Reaction::Gone;
        };
        let entry = &mut self.entries[i];
        entry.at = None;
        let oldest = i == 0 && entry.sent_as_oldest;
        // The first of those in flight decides how long to wait; the others fail with it.
        let follows = self.one_at_a_time && !oldest;
        self.one_at_a_time = true;
        let batch = if failure == Failure::Fatal { entry.batch.take() } else { None };
        if entry.batch.is_none() {
            self.remove_failed(i);
            return batch.map_or(Reaction::Gone, Reaction::Dropped);
        }
        if self.identity.is_none() {
            self.failures += 1;
            return Reaction::Retry;
        }
        match failure {
            // The broker is not settled yet: it always comes to know the start of its log (as in Java).
            Failure::UnknownProducer { log_start_offset: ..0 } if self.failures < 3 => {
                self.failures += 1;
                Reaction::Retry
            }
            Failure::OutOfOrder | Failure::UnknownProducer { .. } if oldest => {
                self.failures += 1;
                self.want(Renewal::Epoch)
            }
            Failure::OutOfOrder | Failure::UnknownProducer { .. } if self.stale == 0 => {
                Reaction::Follow
            }
            Failure::StaleEpoch => {
                self.failures += 1;
                self.want(Renewal::Id)
            }
            Failure::Retry | Failure::Fatal if follows => Reaction::Follow,
            // Nothing is proved before the stale sendings are answered.
            _ => {
                self.failures += 1;
                Reaction::Retry
            }
        }
    }

    fn want(&mut self, renewal: Renewal) -> Reaction<B> {
        self.wanted = self.wanted.max(Some(renewal));
        Reaction::Renumber
    }

    /// Puts several batches in the place of one that was rejected as too large: they share its sequence range.
    ///
    /// `split` gives them with their counts, whose sum is that of the whole; an error gives the whole up.
    pub(crate) fn split<E>(
        &mut self,
        token: Token,
        split: impl FnOnce(&mut B) -> Result<Vec<(B, i32)>, E>,
    ) -> Result<(), (B, E)> {
        let Some(i) = self.current(token) else {
            self.stale = self.stale.saturating_sub(1);
            return Ok(());
        };
        self.one_at_a_time = true;
        let Some(mut batch) = self.entries[i].batch.take() else {
            self.remove_failed(i);
            return Ok(());
        };
        match split(&mut batch) {
            Ok(parts) => {
                let Some(whole) = self.entries.remove(i) else { return Ok(()) };
                let more = (parts.len() as u64).saturating_sub(1);
                self.entries.iter_mut().skip(i).for_each(|entry| entry.ordinal += more);
                self.next_ordinal += more;
                let mut sequence = whole.base_sequence;
                for (k, (part, count)) in parts.into_iter().enumerate() {
                    let mut entry = self.entry(part, count, sequence, whole.ordinal + k as u64);
                    entry.behind_hole = whole.behind_hole && k == 0;
                    self.entries.insert(i + k, entry);
                    sequence = add(sequence, count);
                }
                Ok(())
            }
            Err(error) => {
                self.entries[i].at = None;
                self.remove_failed(i);
                Err((batch, error))
            }
        }
    }

    /// How many records the batch of `token` has, if it is still of interest.
    pub(crate) fn count(&self, token: Token) -> Option<i32> {
        let entry = &self.entries[self.current(token)?];
        entry.batch.as_ref().map(|_| entry.count)
    }

    /// Gives up the batches that are `due`, in order; `true` with those that may have been written.
    pub(crate) fn give_up(&mut self, due: impl Fn(&B) -> bool) -> Vec<(B, bool)> {
        let mut given_up = Vec::new();
        let mut i = 0;
        while i < self.entries.len() {
            let entry = &mut self.entries[i];
            if entry.batch.as_ref().is_some_and(&due) {
                if let Some(batch) = entry.batch.take() {
                    given_up.push((batch, entry.attempt > 0));
                }
                if entry.at.is_none() {
                    self.remove_failed(i);
                    continue;
                }
            }
            i += 1;
        }
        given_up
    }

    /// The oldest batch that has no answer and was not given up.
    pub(crate) fn oldest(&self) -> Option<&B> {
        self.entries.iter().find_map(|entry| entry.batch.as_ref())
    }

    /// The identity that the sequencer needs now to go on; only once nothing is in flight.
    pub(crate) fn wanted(&self) -> Option<Renewal> {
        self.wanted.filter(|_| self.in_flight() == 0)
    }

    /// The identity under which it numbers its batches.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Goes on under `identity` from sequence 0. Nothing may be in flight: see [`Sequencer::wanted`].
    pub(crate) fn renew(&mut self, identity: Identity) {
        debug_assert_eq!(self.in_flight(), 0, "a renumbered batch must not be in flight");
        self.identity = Some(identity);
        self.wanted = None;
        self.hole_at_end = false;
        self.one_at_a_time = true;
        self.renewals += 1;
        self.next_sequence = 0;
        for entry in &mut self.entries {
            entry.base_sequence = self.next_sequence;
            entry.behind_hole = false;
            entry.sent_as_oldest = false;
            self.next_sequence = add(self.next_sequence, entry.count);
        }
    }

    /// Whether nothing that was sent is without an answer, be it of interest or not.
    pub(crate) fn is_quiet(&self) -> bool {
        self.entries.is_empty() && self.stale == 0
    }

    /// Goes on under `identity` from sequence 0, and forgets what is unanswered: the batches must have been given up, and
    /// the new epoch keeps what arrives late out of the log.
    pub(crate) fn restart(&mut self, identity: Identity) {
        debug_assert!(self.entries.iter().all(|entry| entry.batch.is_none()), "a batch is lost");
        self.stale += self.in_flight();
        self.entries.clear();
        self.renew(identity);
        (self.renewals, self.failures) = (0, 0);
    }

    /// The batch whose latest sending this is, if it is still in flight.
    fn current(&self, token: Token) -> Option<usize> {
        self.entries.iter().position(|entry| {
            entry.id == token.entry && entry.attempt == token.attempt && entry.at.is_some()
        })
    }

    fn remove_failed(&mut self, i: usize) {
        self.entries.remove(i);
        if self.identity.is_some() {
            match self.entries.get_mut(i) {
                Some(next) => next.behind_hole = true,
                None => self.hole_at_end = true,
            }
        }
        self.settle();
    }

    /// With nobody left who could tell about the hole, numbering begins anew.
    fn settle(&mut self) {
        if self.hole_at_end && self.entries.is_empty() {
            self.wanted = self.wanted.max(Some(Renewal::Epoch));
        }
    }
}

/// Sequences wrap to 0 after `i32::MAX`.
fn add(sequence: i32, count: i32) -> i32 {
    ((i64::from(sequence) + i64::from(count)) % (i64::from(i32::MAX) + 1)) as i32
}

#[cfg(test)]
mod tests;
