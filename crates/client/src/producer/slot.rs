//! Where the records of one partition are collected.
//!
//! Rules:
//! - A record is encoded straight into the open batch, under the partition's own lock: no allocation, no channel, no
//!   wake-up per record. The clock is read once for several records.
//! - A batch is closed when the next record does not fit. Who closes it compresses it, outside of the lock; its place
//!   in the order is fixed before.
//! - Memory is taken from the budget in steps, and what a closed batch did not use is given back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use roka_protocol::records::{BatchBuilder, HEADER_SIZE, RecordError};
use tokio::time::Instant;

use super::batch::Batch;
use super::error::{ProduceError, TrySendError};
use super::receipt::{Completion, Promise, Receipt};
use super::record::RecordRef;
use super::shared::Shared;

/// Memory is taken from the budget in steps of this many bytes.
const STEP: usize = 4096;
/// The clock is read at least once for this many records without a timestamp.
const RECORDS_PER_CLOCK: u32 = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Its number in the producer.
    pub(crate) index: u32,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    /// Batches that are closed and not done with; below zero for a moment if one is done before it is counted.
    pub(crate) waiting: AtomicI32,
    pub(crate) leaderless: AtomicBool,
    /// The open batch has to wait for long: the clock is read for each record.
    pub(crate) slow: AtomicBool,
    /// Highest acknowledged offset, -1 if none.
    acked: AtomicI64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    builder: BatchBuilder,
    /// When the open batch got its first record; none without one.
    opened: Option<Instant>,
    headers: bool,
    completion: Option<Arc<Completion>>,
    /// Memory taken and used by the open batch.
    bytes: usize,
    /// Memory taken and not used yet.
    credit: usize,
    closed: VecDeque<Closed>,
    next_serial: u64,
    /// It is on the sender's list.
    listed: bool,
    /// No more records: the producer is closed.
    ended: bool,
    clock: Clock,
}

/// The time of day, read once for several records: for the more, the more came since the last time without its
/// having moved on by a millisecond.
#[derive(Debug, Default)]
struct Clock {
    ms: i64,
    /// For so many records more.
    left: u32,
    step: u32,
}

impl Clock {
    #[inline]
    fn now(&mut self, exact: bool) -> i64 {
        if self.left == 0 || exact {
            self.read();
        }
        self.left -= 1;
        self.ms
    }

    #[cold]
    fn read(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ms = now.as_millis() as i64;
        self.step = if ms == self.ms { (self.step * 2).min(RECORDS_PER_CLOCK) } else { 1 };
        (self.ms, self.left) = (ms, self.step);
    }
}

/// A closed batch, or the place of one that is being compressed.
#[derive(Debug)]
struct Closed {
    serial: u64,
    generation: Option<u64>,
    batch: Option<Batch>,
}

/// Why a record was not taken, without the names.
enum Refusal {
    Full,
    Ended,
    Shut,
    TooLarge(usize),
    Record(Box<RecordError>),
}

/// What is to be done after the lock is released. Small, as it is handed on for each record.
#[derive(Default)]
struct After {
    /// Put it on the sender's list.
    list: bool,
    closed: bool,
    compress: Option<Job>,
}

/// A batch to compress, and which one it is.
type Job = Box<(u64, Batch)>;

impl After {
    fn join(&mut self, other: Self) -> Option<Job> {
        self.list |= other.list;
        self.closed |= other.closed;
        other.compress
    }
}

/// What the sender found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// When the batch was opened that is still open.
    pub(crate) opened: Option<Instant>,
    /// Batches that the sender sees for the first time.
    pub(crate) new: usize,
}

impl Slot {
    pub(crate) fn new(index: u32, topic: Arc<str>, partition: i32, shared: &Shared) -> Self {
        let state = State {
            builder: shared.empty_builder(),
            opened: None,
            headers: false,
            completion: None,
            bytes: 0,
            credit: 0,
            closed: VecDeque::new(),
            next_serial: 0,
            listed: false,
            ended: false,
            clock: Clock::default(),
        };
        Self {
            index,
            topic,
            partition,
            waiting: AtomicI32::new(0),
            leaderless: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            acked: AtomicI64::new(-1),
            state: Mutex::new(state),
        }
    }

    #[inline]
    fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends one record; whether a batch was closed by it.
    #[inline]
    pub(crate) fn append(
        &self,
        shared: &Shared,
        record: &RecordRef<'_>,
    ) -> Result<bool, TrySendError> {
        let pushed = self.lock().push(shared, record, self.is_slow());
        match pushed {
            Ok((_, after)) => Ok(self.after(shared, after)),
            Err(refusal) => Err(self.refused(shared, refusal)),
        }
    }

    /// Appends one record and gives its receipt.
    pub(crate) fn append_with_receipt(
        &self,
        shared: &Shared,
        record: &RecordRef<'_>,
    ) -> Result<Receipt, TrySendError> {
        let mut state = self.lock();
        match state.push(shared, record, self.is_slow()) {
            Ok((timestamp_ms, after)) => {
                let index = state.builder.len() as u32 - 1;
                let completion = state
                    .completion
                    .get_or_insert_with(|| {
                        Arc::new(Completion::new(self.topic.clone(), self.partition))
                    })
                    .clone();
                drop(state);
                self.after(shared, after);
                Ok(Receipt::new(completion, index, timestamp_ms))
            }
            Err(refusal) => {
                drop(state);
                Err(self.refused(shared, refusal))
            }
        }
    }

    /// Appends as many of `records` as are taken, under one lock; how many, and why not the next one.
    pub(crate) fn append_all<'r>(
        &self,
        shared: &Shared,
        records: impl IntoIterator<Item = RecordRef<'r>>,
    ) -> (usize, Result<(), TrySendError>) {
        let mut taken = 0;
        let mut after = After::default();
        let mut state = self.lock();
        for record in records {
            match state.push(shared, &record, self.is_slow()) {
                Ok((_, more)) => {
                    taken += 1;
                    // A batch to compress is rare, and the lock is not held for it.
                    if let Some(job) = after.join(more) {
                        drop(state);
                        let first = std::mem::take(&mut after);
                        self.after(shared, After { compress: Some(job), ..first });
                        state = self.lock();
                    }
                }
                Err(refusal) => {
                    drop(state);
                    self.after(shared, after);
                    return (taken, Err(self.refused(shared, refusal)));
                }
            }
        }
        drop(state);
        self.after(shared, after);
        (taken, Ok(()))
    }

    #[inline]
    fn after(&self, shared: &Shared, after: After) -> bool {
        let After { list, closed, compress } = after;
        if !list && !closed {
            return false;
        }
        self.after_change(shared, list, closed, compress)
    }

    #[cold]
    fn after_change(
        &self,
        shared: &Shared,
        list: bool,
        closed: bool,
        compress: Option<Job>,
    ) -> bool {
        if closed {
            self.waiting.fetch_add(1, Ordering::Relaxed);
        }
        let mut list = list;
        if let Some(job) = compress {
            let (serial, mut batch) = *job;
            if let Some(builder) = batch.compress() {
                shared.recycle(builder);
            }
            let mut state = self.lock();
            if let Some(place) = state.closed.iter_mut().find(|place| place.serial == serial) {
                place.batch = Some(batch);
            }
            list |= !std::mem::replace(&mut state.listed, true);
        }
        shared.note(list.then_some(self.index), closed);
        closed
    }

    #[cold]
    fn refused(&self, shared: &Shared, refusal: Refusal) -> TrySendError {
        let (topic, partition) = (self.topic.clone(), self.partition);
        TrySendError::Failed(match refusal {
            Refusal::Full => {
                shared.press();
                return TrySendError::Full { max: shared.budget.max() };
            }
            Refusal::Ended => ProduceError::Closed { topic, partition },
            Refusal::Shut => ProduceError::NoTransaction { topic, partition },
            Refusal::TooLarge(size) => {
                let max = shared.config.request_bytes_max;
                ProduceError::TooLarge { topic, partition, size, max }
            }
            Refusal::Record(source) => ProduceError::Record { topic, partition, source: *source },
        })
    }

    /// For the sender: moves the closed batches to `into`, in order, up to one that is being compressed; with
    /// `open`, the open one is closed before. Batches seen for the first time get `generation`.
    pub(crate) fn collect(
        &self,
        shared: &Shared,
        open: bool,
        generation: u64,
        into: &mut VecDeque<Batch>,
    ) -> Found {
        let mut state = self.lock();
        state.listed = false;
        if open {
            self.slow.store(false, Ordering::Relaxed);
        }
        if open && state.opened.is_some() {
            state.close(shared, false);
            self.waiting.fetch_add(1, Ordering::Relaxed);
        }
        let mut new = 0;
        for place in &mut state.closed {
            new += usize::from(place.generation.is_none());
            place.generation.get_or_insert(generation);
        }
        while let Some(place) = state.closed.front_mut() {
            let Some(mut batch) = place.batch.take() else { break };
            batch.generation = place.generation.unwrap_or(generation);
            into.push_back(batch);
            state.closed.pop_front();
        }
        Found { opened: state.opened, new }
    }

    /// No more records are taken.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
    }

    /// A batch that ends at `offset` is acknowledged.
    pub(crate) fn acknowledged(&self, offset: i64) {
        self.acked.fetch_max(offset, Ordering::AcqRel);
    }

    /// The highest acknowledged offset.
    pub(crate) fn acked_offset(&self) -> Option<i64> {
        Some(self.acked.load(Ordering::Acquire)).filter(|offset| *offset >= 0)
    }
}

impl State {
    /// Appends the record: its timestamp, and what is to be done without the lock.
    #[inline]
    fn push(
        &mut self,
        shared: &Shared,
        record: &RecordRef<'_>,
        slow: bool,
    ) -> Result<(i64, After), Refusal> {
        if self.ended {
            return Err(Refusal::Ended);
        }
        let headers = || record.headers.iter().copied();
        let with = self.builder.estimated_size_with(record.key, record.value, headers());
        let need = with - self.builder.size();
        let full = with > shared.config.batch_bytes_max;
        let mut after = After::default();
        if full || self.opened.is_none() {
            self.make_room(shared, need, full, &mut after)?;
        } else if self.credit < need {
            self.draw(shared, need)?;
        }
        let timestamp_ms = record.timestamp_ms.unwrap_or_else(|| self.clock.now(slow));
        let before = self.builder.size();
        if let Err(error) = self.builder.push(timestamp_ms, record.key, record.value, headers()) {
            self.undo(after);
            return Err(Refusal::Record(Box::new(error)));
        }
        let used = self.builder.size() - before;
        self.credit -= used;
        self.bytes += used;
        self.headers |= !record.headers.is_empty();
        Ok((timestamp_ms, after))
    }

    /// Takes memory for a record that opens a batch, after closing the one it does not fit into.
    #[cold]
    fn make_room(
        &mut self,
        shared: &Shared,
        need: usize,
        full: bool,
        after: &mut After,
    ) -> Result<(), Refusal> {
        // Read under the lock, so that who shuts and then looks at each slot has seen the last record.
        if shared.shut.load(Ordering::SeqCst) {
            return Err(Refusal::Shut);
        }
        let alone = need + HEADER_SIZE;
        if alone > shared.config.request_bytes_max {
            return Err(Refusal::TooLarge(alone));
        }
        if self.credit < alone {
            self.draw(shared, alone)?;
        }
        if full && self.opened.is_some() {
            // What is left of the memory goes on to the next batch.
            let credit = std::mem::take(&mut self.credit);
            after.compress = self.close(shared, shared.compresses_early());
            self.credit = credit;
            after.closed = true;
        }
        if let Some(builder) = shared.pooled_builder() {
            self.builder = builder;
        }
        self.opened = Some(Instant::now());
        self.headers = false;
        self.clock = Clock::default();
        self.credit -= HEADER_SIZE;
        self.bytes = HEADER_SIZE;
        after.list = !std::mem::replace(&mut self.listed, true);
        Ok(())
    }

    /// The record that was to open a batch cannot be encoded.
    #[cold]
    fn undo(&mut self, after: After) {
        if let Some(job) = after.compress
            && let Some(place) = self.closed.iter_mut().find(|place| place.serial == job.0)
        {
            place.batch = Some(job.1);
        }
        if self.builder.is_empty() {
            self.opened = None;
            self.credit += std::mem::take(&mut self.bytes);
        }
        // Whoever opens the next batch puts it on the list.
        self.listed &= !after.list;
    }

    /// Takes memory, in a larger step if there is enough.
    #[cold]
    fn draw(&mut self, shared: &Shared, need: usize) -> Result<(), Refusal> {
        let missing = need - self.credit;
        let step = missing.max(STEP);
        if shared.budget.take(step) {
            self.credit += step;
        } else if shared.budget.take(missing) {
            self.credit += missing;
        } else {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    /// Closes the open batch. With `compress`, its place is kept and the batch is given to the caller.
    fn close(&mut self, shared: &Shared, compress: bool) -> Option<Job> {
        let opened = self.opened.take()?;
        let builder = std::mem::replace(&mut self.builder, shared.empty_builder());
        let promise =
            self.completion.take().map(|completion| Promise::new(completion, builder.len() as u32));
        let bytes = std::mem::take(&mut self.bytes);
        shared.budget.give(std::mem::take(&mut self.credit));
        let batch = Batch::new(builder, self.headers, bytes, opened, promise);
        self.next_serial += 1;
        let serial = self.next_serial;
        let (batch, job) =
            if compress { (None, Some(Box::new((serial, batch)))) } else { (Some(batch), None) };
        self.closed.push_back(Closed { serial, generation: None, batch });
        job
    }
}

#[cfg(test)]
mod tests;
