//! Reads one partition of a table topic: first up to where it ended when the reading began, then for as long as wanted.
//!
//! The group table is read once, up to its end: from then on its rows come from the callbacks. Joined and looked-up tables
//! are followed. What to begin with and when the end is reached decides [`Recovery`].

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use roka_client::{
    TopicPartition,
    consumer::{
        Chunk, FetchError, FetchEvent, FetchQueue, Fetcher, Position, Reset, ResetPolicy,
        ResetReason, Start,
    },
};

use super::recovery::{Bounds, Recovery, Stored, now_ms};
use crate::{StoreError, table::TableOps};

/// Bytes of fetched chunks that one table partition may have waiting.
const QUEUE_BYTES_MAX: usize = 4 << 20;
/// How often a recovery that takes long says so.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// What the reader of a table has to do next.
#[derive(Debug)]
pub(crate) enum Read {
    /// Take these rows, then say so by [`TableFeed::taken`].
    Rows(Chunk),
    /// Forget all rows: what follows is the table from its log start on.
    Rebuild,
}

/// A table partition that is being read; assigned to the fetcher until this is dropped.
pub(crate) struct TableFeed {
    fetcher: Fetcher,
    name: TopicPartition,
    queue: FetchQueue,
    recovery: Recovery,
    rebuild: bool,
    started: Instant,
    started_ms: i64,
    told: Instant,
}

impl TableFeed {
    /// Begins where the local store ends, within the log's `bounds`. The log keeps tombstones for the time `kept`.
    pub(crate) fn new(
        fetcher: &Fetcher,
        topic: &Arc<str>,
        partition: i32,
        stored: Option<Stored>,
        bounds: Bounds,
        kept: Duration,
    ) -> Self {
        let started_ms = now_ms();
        let name = TopicPartition::new(Arc::clone(topic), partition);
        let recovery = Recovery::of_store(stored, bounds, kept, started_ms);
        if let Some(why) = recovery.rebuild() {
            tracing::warn!(table = %name, %why, "reading the table anew");
        }
        let queue = fetcher.queue(QUEUE_BYTES_MAX);
        let start = Start::At(Position::at(recovery.position()));
        fetcher.assign(name.clone(), start, ResetPolicy::Earliest, &queue, 0);
        let now = Instant::now();
        let rebuild = recovery.rebuild().is_some();
        Self {
            fetcher: fetcher.clone(),
            name,
            queue,
            recovery,
            rebuild,
            started: now,
            started_ms,
            told: now,
        }
    }

    /// Prepares the table for the rows there may be to read.
    pub(crate) fn expect_rows(&self, table: &mut dyn TableOps) -> Result<(), StoreError> {
        if table.store().position().is_none() {
            // What a crash left without a position: which of it was deleted since is not known.
            table.store_mut().clear()?;
            table.caught_up(now_ms());
        }
        table.store_mut().expect_rows(self.recovery.remaining().unsigned_abs())
    }

    /// Whether everything is read that was there when the reading began.
    pub(crate) fn is_done(&self) -> bool {
        !self.rebuild && self.recovery.is_done()
    }

    /// How far the reading is.
    pub(crate) fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// How long the rest takes at the rate so far; none once it is done.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        if self.is_done() { None } else { self.recovery.estimate(self.started.elapsed()) }
    }

    /// Waits for what is to be done next. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Read, FetchError> {
        loop {
            if std::mem::take(&mut self.rebuild) {
                return Ok(Read::Rebuild);
            }
            match self.queue.recv().await {
                Some(FetchEvent::Data(chunk)) => return Ok(Read::Rows(chunk)),
                Some(FetchEvent::Reset(reset)) => self.reset(&reset),
                Some(FetchEvent::Failed { error: FetchError::TopicRecreated { .. }, .. }) => {
                    tracing::warn!(table = %self.name, "the topic was deleted and created again: reading the table anew");
                    self.begin_anew();
                }
                Some(FetchEvent::Failed { error, .. }) => return Err(error),
                Some(_) => {}
                // The fetcher is closed: whoever closed it also ends this.
                None => std::future::pending().await,
            }
        }
    }

    fn reset(&mut self, reset: &Reset) {
        match reset.reason {
            ResetReason::OutOfRange => {
                let end = self.recovery.end().max(reset.to);
                self.recovery = self.recovery.out_of_range(Bounds { start: reset.to, end });
                tracing::warn!(
                    table = %self.name, from = reset.from.unwrap_or(-1), to = reset.to,
                    "records that were to be read are not in the log any more: reading the table anew"
                );
                self.rebuild = true;
            }
            ResetReason::Truncated => {
                tracing::warn!(table = %self.name, to = reset.to, "the log lost records: reading the table anew");
                self.begin_anew();
            }
            _ => {}
        }
    }

    fn begin_anew(&mut self) {
        self.fetcher.seek(&self.name, Start::Earliest);
        self.recovery = Recovery::new(None, Bounds { start: 0, end: self.recovery.end() });
        self.rebuild = true;
    }

    /// The rows of a chunk are in the table. Gives a time when the log was no longer than what is in the table, in ms since
    /// 1970, if one is known.
    pub(crate) fn taken(&mut self, chunk: &Chunk) -> Option<i64> {
        let was_done = self.recovery.is_done();
        self.advance(chunk.next().offset);
        if chunk.next().offset >= chunk.high_watermark() {
            return Some(now_ms());
        }
        // Where it ended was asked before this began.
        (self.recovery.is_done() && !was_done).then_some(self.started_ms)
    }

    fn advance(&mut self, next: i64) {
        let was_done = self.recovery.is_done();
        self.recovery.advance(next);
        if self.recovery.is_done() {
            if !was_done {
                let took = self.started.elapsed();
                tracing::info!(table = %self.name, offset = next, ?took, "table is read");
            }
        } else if self.told.elapsed() >= PROGRESS_EVERY {
            self.told = Instant::now();
            tracing::info!(
                table = %self.name, left = self.recovery.remaining(), remaining = ?self.remaining(), "reading a table"
            );
        }
    }
}

impl Drop for TableFeed {
    fn drop(&mut self) {
        self.fetcher.unassign(&self.name);
    }
}
