//! A whole table, all partitions, kept up to date beside whatever reads it: lookups and views.
//!
//! - One thread feeds all the replicas of a processor or view. Readers on other threads lock one partition for one read.
//! - It is ready when every partition has been read to where it ended when the reading began; it can be read before, and
//!   then shows what was read so far, or what the local stores hold from the last time.
//! - Brokers that are away are waited for: what was read stays readable.

use std::{
    path::PathBuf,
    rc::Rc,
    sync::{Arc, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use roka_client::{
    Client, TopicPartition,
    consumer::{Chunk, Fetcher, Isolation},
    records::Decompressor,
};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinSet, LocalSet},
};

use super::{
    cluster,
    error::ProcessorError,
    recovery::{Bounds, Stored},
    restore::{Read, TableFeed},
    settle::{self, Settling},
    stores::Stores,
    topics::Found,
    worker::report,
};
use crate::{
    Config, StoreError,
    table::{RowTable, SharedTable, TableOps, Undecoded},
};

/// Rows fed before readers get their turn.
const ROWS_PER_LOCK: usize = 128;
/// Rows that wait for the store before they are written.
const ROWS_WAITING_MAX: usize = 20_000;
/// How often rows that wait are written when nothing else asks for it.
const STORE_EVERY: Duration = Duration::from_secs(10);

/// A table to keep.
pub(crate) struct Replica {
    pub(crate) topic: Arc<str>,
    pub(crate) table: Arc<SharedTable>,
    /// How long the topic keeps tombstones.
    pub(crate) kept: Duration,
    /// Where its stores are.
    pub(crate) path: PathBuf,
}

impl Replica {
    /// Opens the stores of a table.
    pub(crate) async fn open(
        stores: &Stores,
        config: &Config,
        topic: &str,
        found: &Found,
    ) -> Result<Self, ProcessorError> {
        let mut opened = Vec::new();
        for partition in 0..found.partitions {
            let store = stores.open(topic, partition).await.map_err(|source| {
                let table = TopicPartition::new(topic, partition);
                ProcessorError::Store { table, source }
            })?;
            opened.push(store);
        }
        let table = Arc::new(SharedTable::new(opened, config.hasher, config.cache_bytes_max));
        let kept = found.tombstones;
        Ok(Self { topic: topic.into(), table, kept, path: stores.folder(topic) })
    }
}

/// The thread that feeds replicas. Ends when it is stopped.
#[derive(Debug)]
pub(crate) struct ReplicaThread {
    stop: watch::Sender<bool>,
    ready: watch::Receiver<usize>,
    wanted: usize,
    thread: thread::JoinHandle<()>,
}

impl ReplicaThread {
    /// Feeds `replicas` until it is stopped; failures that no waiting cures are reported.
    pub(crate) fn start(
        client: Client,
        fetcher: Fetcher,
        isolation: Isolation,
        replicas: Vec<Replica>,
        failures: mpsc::Sender<ProcessorError>,
    ) -> Result<Self, ProcessorError> {
        let failed = |reason: String| ProcessorError::Thread { name: "roka-tables", reason };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(format!("no runtime: {error}")))?;
        let (stop, mut stopped) = watch::channel(false);
        let (count, ready) = watch::channel(0);
        let wanted = replicas.iter().map(|replica| replica.table.partitions()).sum();
        let feed = move || {
            LocalSet::new().block_on(&runtime, async move {
                let fed = tokio::select! {
                    fed = feed_all(&client, &fetcher, isolation, &replicas, &count) => fed,
                    // An error means that nobody is there any more.
                    _ = stopped.wait_for(|stop| *stop) => Ok(()),
                };
                if let Err(error) = fed.and(close_all(&replicas)) {
                    report(&failures, error);
                }
            });
        };
        let thread = thread::Builder::new().name("roka-tables".to_owned()).spawn(feed);
        let thread = thread.map_err(|error| failed(format!("no thread: {error}")))?;
        Ok(Self { stop, ready, wanted, thread })
    }

    /// Waits until all replicas have been read to where they ended. False if the thread has ended before.
    pub(crate) async fn ready(&self) -> bool {
        self.ready.clone().wait_for(|ready| *ready >= self.wanted).await.is_ok()
    }

    /// Stops the feeding and stores what was read. Blocks.
    pub(crate) fn join(self) {
        self.stop.send_replace(true);
        // A panic was printed by its thread.
        let _ = self.thread.join();
    }
}

async fn feed_all(
    client: &Client,
    fetcher: &Fetcher,
    isolation: Isolation,
    replicas: &[Replica],
    ready: &watch::Sender<usize>,
) -> Result<(), ProcessorError> {
    let ready = Rc::new(ready.clone());
    let mut feeds = JoinSet::new();
    for Replica { topic, table, kept, .. } in replicas {
        let names: Vec<TopicPartition> = (0..table.partitions() as i32)
            .map(|partition| TopicPartition::new(Arc::clone(topic), partition))
            .collect();
        let bounds = cluster::bounds(client, isolation, &names).await?;
        for name in names {
            let bounds = bounds[&name];
            feeds.spawn_local(feed(
                fetcher.clone(),
                Arc::clone(table),
                name,
                (bounds, *kept),
                Rc::clone(&ready),
            ));
        }
    }
    while let Some(ended) = feeds.join_next().await {
        // Feeds end by failing only; a panic was printed and ends them too.
        if let Ok(result) = ended {
            result?;
        }
    }
    std::future::pending().await
}

async fn feed(
    fetcher: Fetcher,
    table: Arc<SharedTable>,
    name: TopicPartition,
    (bounds, kept): (Bounds, Duration),
    ready: Rc<watch::Sender<usize>>,
) -> Result<(), ProcessorError> {
    let place = name.partition as usize;
    let stored = {
        let table = table.partition(place);
        Stored::of(table.store(), table.as_of())
    };
    let mut feed = TableFeed::new(&fetcher, &name.topic, name.partition, stored, bounds, kept);
    let mut decompressor = Decompressor::default();
    expect_rows(&table, &name, &feed)?;
    let mut settling: Option<Settling> = None;
    loop {
        if feed.is_done() && settling.is_none() {
            settling = Some(Settling::new(Instant::now()));
            ready.send_modify(|ready| *ready += 1);
        }
        if let Some(settling) = &mut settling {
            settle(&table, &name, settling)?;
        }
        let wait = settling.and_then(|settling| settling.wait(Instant::now()));
        let wait = wait.unwrap_or(STORE_EVERY);
        let Ok(read) = tokio::time::timeout(wait, feed.next()).await else {
            if wait == STORE_EVERY {
                store(&table, &name, 0)?;
            }
            continue;
        };
        match read? {
            Read::Rows(chunk) => {
                let next = chunk.next().offset;
                take(&table, place, &chunk, &mut decompressor)?;
                let caught_up = feed.taken(&chunk);
                told(&mut table.partition(place), next, caught_up);
                store(&table, &name, ROWS_WAITING_MAX)?;
                tokio::task::yield_now().await;
            }
            Read::Rebuild => {
                {
                    let mut rows = table.partition(place);
                    rows.forget();
                    rows.store_mut().clear().map_err(|source| failed(&name, source))?;
                }
                expect_rows(&table, &name, &feed)?;
                settling = settling.map(|_| Settling::new(Instant::now()));
            }
        }
    }
}

/// All rows below `next` were fed, and the log was no longer at that time, if one is known.
fn told(rows: &mut RowTable<Undecoded>, next: i64, caught_up: Option<i64>) {
    rows.fed_to(next);
    if let Some(as_of) = caught_up {
        rows.caught_up(as_of);
    }
}

fn failed(name: &TopicPartition, source: StoreError) -> ProcessorError {
    ProcessorError::Store { table: name.clone(), source }
}

/// Prepares the table for the rows there may be to read.
fn expect_rows(
    table: &SharedTable,
    name: &TopicPartition,
    feed: &TableFeed,
) -> Result<(), ProcessorError> {
    let mut table = table.partition(name.partition as usize);
    feed.expect_rows(&mut *table).map_err(|source| failed(name, source))
}

/// Does what the store has put off, if it is due.
fn settle(
    table: &SharedTable,
    name: &TopicPartition,
    settling: &mut Settling,
) -> Result<(), ProcessorError> {
    let began = Instant::now();
    if settling.is_due(began) {
        let settled =
            table.partition(name.partition as usize).store_mut().settle(settle::ROWS_PER_STEP);
        let more = settled.map_err(|source| failed(name, source))?;
        settling.done(began, Instant::now(), more);
    }
    Ok(())
}

fn take(
    table: &SharedTable,
    place: usize,
    chunk: &Chunk,
    decompressor: &mut Decompressor,
) -> Result<(), ProcessorError> {
    let mut lock: Option<MutexGuard<'_, RowTable<Undecoded>>> = None;
    let mut left = ROWS_PER_LOCK;
    chunk.for_each(decompressor, |record| {
        if left == 0 {
            lock = None;
            left = ROWS_PER_LOCK;
        }
        left -= 1;
        let rows = lock.get_or_insert_with(|| table.partition(place));
        rows.feed(record.key.unwrap_or_default(), record.value);
    })?;
    Ok(())
}

/// Writes the rows that wait for the store, if they are at least so many.
fn store(
    table: &SharedTable,
    name: &TopicPartition,
    waiting_min: usize,
) -> Result<(), ProcessorError> {
    let place = name.partition as usize;
    if table.partition(place).unstored_rows() < waiting_min {
        return Ok(());
    }
    loop {
        let stored = table.partition(place).store_some(ROWS_PER_LOCK);
        if !stored.map_err(|source| ProcessorError::Table { table: name.clone(), source })? {
            return Ok(());
        }
    }
}

/// Stores what was read and closes the stores, whoever else still has the tables.
fn close_all(replicas: &[Replica]) -> Result<(), ProcessorError> {
    for Replica { topic, table, path, .. } in replicas {
        table.close(path).map_err(|source| {
            let table = TopicPartition::new(Arc::clone(topic), 0);
            ProcessorError::Table { table, source }
        })?;
    }
    Ok(())
}
