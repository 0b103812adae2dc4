//! One partition while it processes: the next record, its callback, its effects.
//!
//! - Records are processed one after the other. What a record caused is handed to the producer and to the table before
//!   its position counts as processed, and both happen without giving up the thread in between, so that a commit never
//!   sees half a record.
//! - Callbacks that do not wait run in a tight loop over decoded records: no await, no allocation per record.
//! - The lock around the state is held while a callback waits: reads, joins and commits see the state between records.
//!   They get their turn after a callback that waited, and after [`SLICE_TIME`] of others.
//! - A partition that is to stop finishes its record; one that is lost drops it.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, watch};

use super::{
    block::Item,
    commit::Pressure,
    error::ProcessorError,
    feed::{Feeds, News},
    mark::Guards,
    merge::Choice,
    offsets::Progress,
    outputs::{EmitError, Outputs},
    stats::{Counters, PartitionCounters},
};
use crate::{
    Header, RecordError, StoreError,
    record::Record,
    table::TableOps,
    task::{Outcome, Processed, Task},
};

/// Records processed before others on this thread get their turn …
const SLICE_RECORDS: usize = 512;
/// … or so much time, if that is over earlier: commits and reads wait no longer for callbacks that take theirs.
const SLICE_TIME: Duration = Duration::from_millis(10);
/// How often to look at the time.
const SLICE_LOOK: usize = 8;

/// How a partition is to stop. Later ones are stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    /// Not at all.
    No,
    /// At once, to begin again from what is committed.
    Restart,
    /// After the record that is being processed.
    AfterRecord,
    /// At once: the partition is lost, what is not committed is dropped.
    Now,
}

/// Tells a partition to stop.
#[derive(Debug)]
pub(crate) struct Stopper {
    /// The same as in the channel, cheaper to look at.
    now: Cell<Stop>,
    changes: watch::Sender<Stop>,
}

impl Stopper {
    pub(crate) fn new() -> Self {
        Self { now: Cell::new(Stop::No), changes: watch::Sender::new(Stop::No) }
    }

    /// How the partition is to stop.
    #[inline]
    pub(crate) fn get(&self) -> Stop {
        self.now.get()
    }

    /// Tells the partition to stop. A later call may only make it stronger.
    pub(crate) fn stop(&self, how: Stop) {
        if how > self.now.get() {
            self.now.set(how);
            self.changes.send_replace(how);
        }
    }

    /// The restart that was asked for begins. False if the partition is to stop for good.
    pub(crate) fn begin_restart(&self) -> bool {
        if self.now.get() > Stop::Restart {
            return false;
        }
        self.now.set(Stop::No);
        self.changes.send_replace(Stop::No);
        true
    }

    /// Waits until the partition is to stop in any way. Cancel safe.
    pub(crate) async fn any(&self) {
        self.wait(|stop| stop != Stop::No).await;
    }

    /// Waits until the record that is being processed is to be dropped. Cancel safe.
    pub(crate) async fn at_once(&self) {
        self.wait(|stop| matches!(stop, Stop::Restart | Stop::Now)).await;
    }

    async fn wait(&self, holds: impl Fn(Stop) -> bool) {
        // The sender is this very value, so that the channel cannot be closed.
        let _ = self.changes.subscribe().wait_for(|stop| holds(*stop)).await;
    }
}

/// What a commit and the processing share.
pub(crate) struct Core {
    /// None once it is closed.
    pub(crate) task: Option<Box<dyn Task>>,
    /// By input, in the order in which the partition has them.
    pub(crate) progress: Vec<Progress>,
    pub(crate) guards: Guards,
}

impl Core {
    /// The group table, if the group has one.
    pub(crate) fn table(&mut self) -> Option<&mut dyn TableOps> {
        self.task.as_mut()?.table()
    }

    /// A joined table.
    pub(crate) fn join(&mut self, place: usize) -> Option<&mut dyn TableOps> {
        self.task.as_mut()?.join(place)
    }

    /// Does so much for each table of what its store has put off. Returns whether there is more.
    pub(crate) fn settle(&mut self, rows_max: usize) -> Result<bool, StoreError> {
        let mut more = match self.table() {
            Some(table) => table.store_mut().settle(rows_max)?,
            None => false,
        };
        for place in 0.. {
            let Some(table) = self.join(place) else { break };
            more |= table.store_mut().settle(rows_max)?;
        }
        Ok(more)
    }
}

/// One partition on its worker's thread.
pub(crate) struct Partition {
    pub(crate) number: i32,
    /// Places in the graph of the inputs that this partition has.
    pub(crate) places: Vec<usize>,
    /// Their topics.
    pub(crate) topics: Vec<Arc<str>>,
    pub(crate) core: Mutex<Core>,
    pub(crate) outputs: Rc<Outputs>,
    pub(crate) counters: Arc<PartitionCounters>,
    pub(crate) totals: Arc<Counters>,
    pub(crate) pressure: Rc<Pressure>,
    pub(crate) stop: Rc<Stopper>,
}

/// Why the loop over records paused.
enum Pause {
    /// Others get their turn.
    Turn,
    /// There is no record to process before something arrives, or until then.
    Empty(Option<Instant>),
    /// The record is tried again after the wait.
    Retry(Duration),
    /// The partition is to stop.
    Stopped,
}

/// What one record came to.
enum Step {
    Done,
    /// The same, and its callback was one that waits.
    Waited,
    Retry(Duration),
    Stopped,
}

/// Counts of one slice, added to the shared counters at its end.
#[derive(Default)]
struct Tally {
    records: u64,
    emitted: u64,
    included: u64,
    bytes: usize,
}

impl Partition {
    /// Whether the partition is lost: nothing of it may be written or committed any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.stop.get() == Stop::Now
    }

    fn is_stopping(&self) -> bool {
        self.stop.get() != Stop::No
    }

    /// Processes until the partition is to stop.
    pub(crate) async fn run(&self, mut feeds: Feeds) -> Result<(), ProcessorError> {
        let mut retries = 0;
        while !self.is_stopping() {
            while let Some(news) = feeds.poll()? {
                self.note(news, &feeds).await;
            }
            match self.slice(&mut feeds, &mut retries).await? {
                Pause::Turn => tokio::task::yield_now().await,
                Pause::Empty(until) => {
                    let news = tokio::select! {
                        news = feeds.arrival(until) => news?,
                        () = self.stop.any() => None,
                    };
                    if let Some(news) = news {
                        self.note(news, &feeds).await;
                    }
                }
                Pause::Retry(wait) => {
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.stop.any() => {}
                    }
                }
                Pause::Stopped => break,
            }
        }
        Ok(())
    }

    /// Takes note of news of the inputs.
    async fn note(&self, news: News, feeds: &Feeds) {
        match news {
            News::Block(input) => {
                let feed = &feeds.feeds[input];
                self.counters.inputs[input].end.store(feed.end(), Relaxed);
                if feed.block.is_empty() {
                    // Nothing in it is for us, but the position moves past it.
                    self.core.lock().await.progress[input].processed(feed.next());
                    self.counters.inputs[input].position.store(feed.next(), Relaxed);
                }
            }
            News::Reset(input, reset) => {
                let from = reset.from.unwrap_or(-1);
                tracing::warn!(
                    topic = %reset.partition.topic, partition = self.number, from, to = reset.to, reason = ?reset.reason,
                    "an input goes on elsewhere: what lay between is not in the log"
                );
                let mut core = self.core.lock().await;
                core.progress[input].reset(reset.to);
                core.guards.forget_input(input);
            }
        }
    }

    /// Processes some records, until there is a reason to pause.
    async fn slice(&self, feeds: &mut Feeds, retries: &mut u32) -> Result<Pause, ProcessorError> {
        let mut core = self.core.lock().await;
        let core = &mut *core;
        let mut tally = Tally::default();
        let mut pause = Pause::Turn;
        let began = Instant::now();
        for count in 1..=SLICE_RECORDS {
            let input = match feeds.choose() {
                Choice::Take(input) => input,
                Choice::Wait(until) => {
                    if !feeds.has_waiting() {
                        pause = Pause::Empty(until);
                    }
                    break;
                }
            };
            match self.step(core, feeds, input, *retries, &mut tally).await? {
                Step::Done => {
                    *retries = 0;
                    if count % SLICE_LOOK == 0 && began.elapsed() >= SLICE_TIME {
                        break;
                    }
                }
                Step::Waited => {
                    *retries = 0;
                    break;
                }
                Step::Retry(wait) => {
                    *retries += 1;
                    pause = Pause::Retry(wait);
                    break;
                }
                Step::Stopped => {
                    pause = Pause::Stopped;
                    break;
                }
            }
        }
        self.settle(core, feeds, &tally);
        Ok(pause)
    }

    /// Processes the next record of `input`.
    #[inline]
    async fn step(
        &self,
        core: &mut Core,
        feeds: &mut Feeds,
        input: usize,
        retries: u32,
        tally: &mut Tally,
    ) -> Result<Step, ProcessorError> {
        let Core { task: Some(task), progress, guards } = core else { return Ok(Step::Stopped) };
        let feed = &mut feeds.feeds[input];
        let Some(item) = feed.block.peek() else { return Ok(Step::Done) };
        let key = item.key.unwrap_or_default();
        let mut waited = false;
        if guards.include(input, item.offset, key) {
            tally.included += 1;
        } else {
            let headers = headers_of(&item);
            let record = Record {
                topic: &feed.topic,
                partition: self.number,
                offset: item.offset,
                timestamp_ms: item.timestamp_ms,
                key: item.key,
                value: item.value,
                headers: &headers,
            };
            let outcome = match task.process(self.places[input], record, retries) {
                Processed::Done(outcome) => outcome,
                Processed::Waiting(callback) => {
                    waited = true;
                    let Some(outcome) = self.wait(callback).await else {
                        return Ok(Step::Stopped);
                    };
                    outcome
                }
            };
            match outcome {
                Outcome::Apply | Outcome::Ignored => {}
                Outcome::Skip(error) => self.skipped(&error),
                Outcome::DeadLetter(error) => self.dead_letter(&error),
                Outcome::Retry(wait, error) => {
                    self.totals.totals.retries.fetch_add(1, Relaxed);
                    tracing::warn!(%error, ?wait, retries, "trying a record again");
                    return Ok(Step::Retry(wait));
                }
                Outcome::Fail(error) => return Err(error.into()),
            }
            for place in 0..task.effects().len() {
                if !self.emit(&**task, place).await? {
                    return Ok(Step::Stopped);
                }
                tally.emitted += 1;
            }
            task.apply(&record);
        }
        tally.records += 1;
        tally.bytes += key.len() + item.value.map_or(0, <[u8]>::len);
        progress[input].processed(item.offset + 1);
        feed.block.advance();
        if feed.block.is_empty() {
            progress[input].processed(feed.next());
        }
        feed.records += 1;
        Ok(match (self.is_stopping(), waited) {
            (true, _) => Step::Stopped,
            (false, true) => Step::Waited,
            (false, false) => Step::Done,
        })
    }

    /// Waits for a callback. None if the partition was lost meanwhile.
    async fn wait(&self, callback: impl Future<Output = Outcome>) -> Option<Outcome> {
        tokio::select! {
            biased;
            outcome = callback => Some(outcome),
            () = self.stop.at_once() => None,
        }
    }

    /// Hands an effect to the producer. False if the partition was lost while the producer was full.
    #[inline]
    async fn emit(&self, task: &dyn Task, place: usize) -> Result<bool, ProcessorError> {
        let Some(emit) = task.effects().get(place) else { return Ok(true) };
        match self.outputs.try_emit(emit) {
            Ok(()) => Ok(true),
            Err(EmitError::Failed(error)) => Err(error),
            Err(EmitError::Full) => tokio::select! {
                biased;
                sent = self.outputs.emit(emit) => sent.map(|()| true),
                () = self.stop.at_once() => Ok(false),
            },
        }
    }

    /// Makes what a slice did visible to others.
    fn settle(&self, core: &Core, feeds: &Feeds, tally: &Tally) {
        let totals = &self.totals.totals;
        totals.records.fetch_add(tally.records, Relaxed);
        totals.emitted.fetch_add(tally.emitted, Relaxed);
        totals.included.fetch_add(tally.included, Relaxed);
        self.pressure.add(tally.bytes);
        for ((counters, progress), feed) in
            self.counters.inputs.iter().zip(&core.progress).zip(&feeds.feeds)
        {
            counters.position.store(progress.position(), Relaxed);
            counters.end.store(feed.end(), Relaxed);
            counters.records.store(feed.records, Relaxed);
        }
    }

    #[cold]
    fn skipped(&self, error: &RecordError) {
        self.totals.totals.skipped.fetch_add(1, Relaxed);
        tracing::warn!(%error, "left a record out");
    }

    #[cold]
    fn dead_letter(&self, error: &RecordError) {
        self.totals.totals.dead_letters.fetch_add(1, Relaxed);
        tracing::warn!(%error, "sent a record to the dead-letter topic");
    }
}

fn headers_of<'a>(item: &Item<'a>) -> Vec<Header<'a>> {
    if !item.has_headers() {
        return Vec::new();
    }
    item.headers().map(|(name, value)| Header { name, value }).collect()
}
