//! Feeds the tables of a partition from their topics.
//!
//! The group table is read to its end once; joined tables are followed while the partition lives. Rows go into the table
//! a chunk at a time, between two records of the partition, so that a callback sees a joined table that does not change
//! under it.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use roka_client::{
    TopicPartition,
    consumer::Chunk,
    records::{Decompressor, Record},
};

use super::{
    error::ProcessorError,
    mark,
    partition::{Core, Partition},
    recovery::{Bounds, Stored},
    restore::{Read, TableFeed},
    stats::{Counters, TableCounters},
    worker::{Worker, report},
};
use crate::{BoxError, StoreError, table::TableOps};

/// Rows that wait for the store while a table is read, before they are written.
const ROWS_WAITING_MAX: usize = 20_000;
/// Rows written to the store before others on the thread get their turn.
const STORE_ROWS_PER_TURN: usize = 256;

/// Which table of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The group's own.
    Group,
    /// The joined table at this place of the graph.
    Join(usize),
}

/// Reads one table of one partition.
pub(crate) struct TableReader {
    worker: Rc<Worker>,
    partition: Rc<Partition>,
    name: TopicPartition,
    which: Which,
    feed: TableFeed,
    decompressor: Decompressor,
}

impl TableReader {
    /// Begins where the local store ends.
    pub(crate) async fn new(
        worker: &Rc<Worker>,
        partition: &Rc<Partition>,
        topic: &Arc<str>,
        which: Which,
        bounds: Bounds,
    ) -> Self {
        let stored = match table_of(&mut *partition.core.lock().await, which) {
            Some(table) => Stored::of(table.store(), table.as_of()),
            None => None,
        };
        let kept = worker.shared.tombstones.of(topic);
        let fetcher = &worker.shared.table_fetcher;
        let feed = TableFeed::new(fetcher, topic, partition.number, stored, bounds, kept);
        let name = TopicPartition::new(Arc::clone(topic), partition.number);
        let reader = Self {
            worker: Rc::clone(worker),
            partition: Rc::clone(partition),
            name,
            which,
            feed,
            decompressor: Decompressor::default(),
        };
        reader.tell();
        reader
    }

    /// Whether the table is a joined one.
    pub(crate) fn is_join(&self) -> bool {
        self.which != Which::Group
    }

    /// Reads to where the table ended when this began.
    pub(crate) async fn recover(mut self) -> Result<Self, ProcessorError> {
        self.expect_rows(&mut *self.partition.core.lock().await)?;
        while !self.feed.is_done() {
            self.read().await?;
        }
        self.tell();
        Ok(self)
    }

    /// Reads for ever. A failure is reported.
    pub(crate) async fn follow(mut self) {
        loop {
            if let Err(error) = self.read().await {
                report(&self.worker.shared.failures, error);
                return;
            }
        }
    }

    async fn read(&mut self) -> Result<(), ProcessorError> {
        match self.feed.next().await? {
            Read::Rows(chunk) => self.take(&chunk).await?,
            Read::Rebuild => self.rebuild().await?,
        }
        self.tell();
        self.store().await
    }

    async fn take(&mut self, chunk: &Chunk) -> Result<(), ProcessorError> {
        let core = &mut *self.partition.core.lock().await;
        let Core { task: Some(task), guards, .. } = core else { return Ok(()) };
        let next = chunk.next().offset;
        let mut rows = 0;
        match self.which {
            Which::Group => {
                let Some(table) = task.table() else { return Ok(()) };
                chunk.for_each(&mut self.decompressor, |record| {
                    let key = record.key.unwrap_or_default();
                    guards.observe(key, record.offset, mark_of(&record));
                    table.feed(key, record.value);
                    rows += 1;
                })?;
                table.fed_to(guards.floor().unwrap_or(i64::MAX).min(next));
                let caught_up = self.feed.taken(chunk);
                if let (Some(as_of), None) = (caught_up, guards.floor()) {
                    table.caught_up(as_of);
                }
            }
            Which::Join(place) => {
                let Some(table) = task.join(place) else { return Ok(()) };
                chunk.for_each(&mut self.decompressor, |record| {
                    table.feed(record.key.unwrap_or_default(), record.value);
                    rows += 1;
                })?;
                table.fed_to(next);
                if let Some(as_of) = self.feed.taken(chunk) {
                    table.caught_up(as_of);
                }
            }
        }
        self.totals().totals.recovered.fetch_add(rows, Relaxed);
        Ok(())
    }

    async fn rebuild(&mut self) -> Result<(), ProcessorError> {
        let core = &mut *self.partition.core.lock().await;
        let Some(table) = table_of(core, self.which) else { return Ok(()) };
        table.forget();
        table.store_mut().clear().map_err(|source| self.store_failed(source))?;
        self.expect_rows(core)
    }

    /// Prepares the table for the rows there may be to read.
    fn expect_rows(&self, core: &mut Core) -> Result<(), ProcessorError> {
        let Some(table) = table_of(core, self.which) else { return Ok(()) };
        self.feed.expect_rows(table).map_err(|source| self.store_failed(source))
    }

    fn store_failed(&self, source: StoreError) -> ProcessorError {
        ProcessorError::Store { table: self.name.clone(), source }
    }

    /// Writes rows to the store when many are waiting.
    async fn store(&self) -> Result<(), ProcessorError> {
        let waiting = table_of(&mut *self.partition.core.lock().await, self.which)
            .map_or(0, |table| table.unstored_rows());
        if waiting < ROWS_WAITING_MAX {
            return Ok(());
        }
        loop {
            let more = match table_of(&mut *self.partition.core.lock().await, self.which) {
                Some(table) => {
                    table.store_some(STORE_ROWS_PER_TURN).map_err(|source| self.failed(source))?
                }
                None => false,
            };
            if !more {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }

    fn failed(&self, source: BoxError) -> ProcessorError {
        ProcessorError::Table { table: self.name.clone(), source }
    }

    fn totals(&self) -> &Counters {
        &self.partition.totals
    }

    /// Tells how far the reading is.
    fn tell(&self) {
        let counters = self.counters();
        let recovery = self.feed.recovery();
        counters.position.store(recovery.position(), Relaxed);
        counters.end.store(recovery.end(), Relaxed);
        let remaining = self.feed.remaining().and_then(|rest| i64::try_from(rest.as_millis()).ok());
        counters.remaining_ms.store(remaining.unwrap_or(-1), Relaxed);
    }

    fn counters(&self) -> &TableCounters {
        let tables = &self.partition.counters.tables;
        match self.which {
            Which::Group => &tables[0],
            Which::Join(place) => {
                let own = usize::from(self.worker.shared.topology.table_topic().is_some());
                &tables[own + place]
            }
        }
    }
}

fn table_of(core: &mut Core, which: Which) -> Option<&mut dyn TableOps> {
    match which {
        Which::Group => core.table(),
        Which::Join(place) => core.join(place),
    }
}

/// The value of the header that says which inputs the row includes.
fn mark_of<'a>(record: &Record<'a>) -> Option<&'a [u8]> {
    record.headers.filter(|(name, _)| *name == mark::HEADER).last()?.1
}
