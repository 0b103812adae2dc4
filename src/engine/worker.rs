//! A worker: a thread with partitions on it, one producer, and one commit for all of them.
//!
//! - A partition lives on one worker's thread from assignment to revocation: state, callbacks and futures never move.
//! - Orders come through a bounded channel and are carried out beside the processing; an order that stops a partition
//!   is done when its stores are closed.
//! - A failure that leaves the outcome of writes open makes every partition of the worker begin again from what is
//!   committed, after a pause that grows. A failure that no waiting cures is reported; the other partitions go on until
//!   the processor stops them.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use roka_client::{Client, TopicPartition, consumer::Fetcher, group::Group};
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinHandle, LocalSet, spawn_local},
};

use super::{
    assignment::LocalState,
    cluster,
    commit::{CommitError, Committer, Pressure},
    error::ProcessorError,
    life::Life,
    outputs::Outputs,
    partition::{Partition, Stop, Stopper},
    settle,
    state::StateBoard,
    stats::Counters,
    stores::Stores,
    topics::Tombstones,
};
use crate::{BoxError, Config, table::SharedTable, task::Topology};

/// Orders that may wait for a worker.
const ORDERS_MAX: usize = 64;
/// Rows written to the local store before others on the thread get their turn.
const STORE_ROWS_PER_TURN: usize = 256;
/// How often to look whether rows are due for the local store.
const STORE_LOOK: Duration = Duration::from_millis(500);
/// The pause after a commit whose outcome is not known: from this, doubling …
const RESTART_PAUSE: Duration = Duration::from_millis(200);
/// … up to this.
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(10);

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Take over a partition: recover, then process the inputs at these places of the graph.
    Start { partition: i32, places: Vec<usize> },
    /// Give partitions up. With [`Stop::AfterRecord`] after a commit, with [`Stop::Now`] without.
    Stop { partitions: Vec<i32>, how: Stop, done: oneshot::Sender<()> },
    /// Read a row of the group table.
    Get {
        partition: i32,
        key: Vec<u8>,
        reply: oneshot::Sender<Option<Result<Option<Vec<u8>>, BoxError>>>,
    },
}

/// What all workers of a processor share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) topology: Arc<dyn Topology>,
    pub(crate) config: Arc<Config>,
    pub(crate) client: Client,
    pub(crate) fetcher: Fetcher,
    /// Reads the tables of partitions; the same as `fetcher` unless an input is also a table.
    pub(crate) table_fetcher: Fetcher,
    pub(crate) group: Group,
    pub(crate) stores: Stores,
    pub(crate) lookups: Vec<Arc<SharedTable>>,
    pub(crate) board: Arc<StateBoard>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) local: LocalState,
    /// Number of partitions of everything that is partitioned alike.
    pub(crate) partitions: usize,
    pub(crate) tombstones: Tombstones,
    /// Where a failure that no waiting cures is reported.
    pub(crate) failures: mpsc::Sender<ProcessorError>,
}

/// A worker's thread.
#[derive(Debug)]
pub(crate) struct WorkerThread {
    pub(crate) orders: mpsc::Sender<Order>,
    thread: thread::JoinHandle<()>,
}

impl WorkerThread {
    /// Starts the thread of worker `number`.
    pub(crate) fn start(number: usize, shared: Shared) -> Result<Self, ProcessorError> {
        let (orders, incoming) = mpsc::channel(ORDERS_MAX);
        let failed = |reason: String| ProcessorError::Thread { name: "roka-worker", reason };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(format!("no runtime: {error}")))?;
        let work = move || {
            LocalSet::new().block_on(&runtime, async move {
                let failures = shared.failures.clone();
                if let Err(error) = serve(shared, incoming).await {
                    report(&failures, error);
                }
            });
        };
        let thread = thread::Builder::new().name(format!("roka-worker-{number}")).spawn(work);
        let thread = thread.map_err(|error| failed(format!("no thread: {error}")))?;
        Ok(Self { orders, thread })
    }

    /// Whether the thread has ended.
    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the worker once its orders are carried out. Blocks.
    pub(crate) fn join(self) -> thread::Result<()> {
        drop(self.orders);
        self.thread.join()
    }
}

/// Tells the processor to end. The first failure counts.
pub(crate) fn report(failures: &mpsc::Sender<ProcessorError>, error: ProcessorError) {
    if let Err(mpsc::error::TrySendError::Full(error)) = failures.try_send(error) {
        tracing::error!(%error, "a further failure");
    }
}

/// A partition that is here or on its way out.
struct Slot {
    stop: Rc<Stopper>,
    /// Gives the partition once it has stopped; none if it never got that far.
    life: JoinHandle<Option<Rc<Partition>>>,
}

/// The inside of a worker, on its thread.
pub(crate) struct Worker {
    pub(crate) shared: Shared,
    pub(crate) outputs: Rc<Outputs>,
    pub(crate) committer: Rc<Committer>,
    pub(crate) pressure: Rc<Pressure>,
    slots: RefCell<BTreeMap<i32, Slot>>,
}

async fn serve(shared: Shared, mut orders: mpsc::Receiver<Order>) -> Result<(), ProcessorError> {
    let outputs = Outputs::new(&shared.client, &*shared.topology, &shared.config).await?;
    let outputs = Rc::new(outputs);
    let pressure = Rc::new(Pressure::new(shared.config.commit_bytes));
    let marks = shared.config.changelog_marks && cluster::has_headers(&shared.client).await;
    let committer = Rc::new(Committer::new(
        Rc::clone(&outputs),
        shared.group.clone(),
        Arc::clone(&shared.counters),
        Rc::clone(&pressure),
        marks,
    ));
    let worker =
        Rc::new(Worker { shared, outputs, committer, pressure, slots: RefCell::default() });
    let commits = spawn_local(Rc::clone(&worker).commits());
    let stores = spawn_local(Rc::clone(&worker).store_rows());
    let settling = spawn_local(Rc::clone(&worker).settle_stores());
    let mut stopping = Vec::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Start { partition, places } => worker.start(partition, places),
            Order::Stop { partitions, how, done } => {
                stopping.push(spawn_local(Rc::clone(&worker).stop(partitions, how, done)));
                stopping.retain(|task| !task.is_finished());
            }
            Order::Get { partition, key, reply } => {
                spawn_local(Rc::clone(&worker).get(partition, key, reply));
            }
        }
    }
    for task in stopping {
        let _ = task.await;
    }
    commits.abort();
    stores.abort();
    settling.abort();
    worker.outputs.close().await;
    Ok(())
}

impl Worker {
    fn start(self: &Rc<Self>, partition: i32, places: Vec<usize>) {
        let stop = Rc::new(Stopper::new());
        let before = self.slots.borrow_mut().remove(&partition);
        let life = Life::new(Rc::clone(self), partition, places, Rc::clone(&stop));
        let worker = Rc::clone(self);
        let life = spawn_local(async move {
            if let Some(before) = before {
                // The partition is back before it was given up: its stores are closed first.
                before.stop.stop(Stop::Now);
                if let Ok(Some(partition)) = before.life.await {
                    worker.close_last(&partition).await;
                }
            }
            life.live().await
        });
        self.slots.borrow_mut().insert(partition, Slot { stop, life });
    }

    async fn stop(self: Rc<Self>, partitions: Vec<i32>, how: Stop, done: oneshot::Sender<()>) {
        let slots: Vec<(i32, Slot)> = {
            let mut slots = self.slots.borrow_mut();
            partitions.iter().filter_map(|partition| slots.remove_entry(partition)).collect()
        };
        for (partition, slot) in &slots {
            self.shared.board.set_partition(*partition, super::state::State::Stopping);
            slot.stop.stop(how);
        }
        let mut stopped = Vec::new();
        for (partition, slot) in slots {
            match slot.life.await {
                Ok(Some(partition)) => stopped.push(partition),
                Ok(None) | Err(_) => self.gone(partition),
            }
        }
        if how == Stop::AfterRecord
            && let Err(error) = self.commit().await
        {
            tracing::warn!(%error, "partitions leave without a last commit: others process their last records again");
            for partition in &stopped {
                partition.stop.stop(Stop::Now);
            }
        }
        for partition in stopped {
            self.close_last(&partition).await;
            self.gone(partition.number);
        }
        // Nobody may be waiting any more.
        let _ = done.send(());
    }

    async fn close_last(&self, partition: &Partition) {
        self.committer.remove(partition.number);
        if let Err(error) = self.close(partition).await {
            report(&self.shared.failures, error);
        }
    }

    /// The partition is no longer here.
    fn gone(&self, partition: i32) {
        self.shared.board.remove_partition(partition);
        self.shared.counters.remove(partition);
        if !self.shared.stores.are_durable() {
            self.shared.local.remove(partition);
        }
    }

    /// The last commit of partitions that leave.
    async fn commit(&self) -> Result<(), BoxError> {
        match self.committer.commit().await {
            Ok(()) => Ok(()),
            Err(CommitError::Unknown(error)) => {
                self.restart_all();
                Err(error.into())
            }
            Err(CommitError::Fatal(error)) => {
                let text = error.to_string();
                report(&self.shared.failures, error);
                Err(text.into())
            }
        }
    }

    async fn close(&self, partition: &Partition) -> Result<(), ProcessorError> {
        let lost = partition.is_lost();
        if !lost {
            self.store_partition(partition, true).await?;
        }
        let Some(mut task) = partition.core.lock().await.task.take() else { return Ok(()) };
        if lost && let Some(table) = task.table() {
            // What was not committed must not reach the store.
            table.forget();
        }
        task.close().map_err(|source| self.table_error(partition.number, source))
    }

    pub(crate) fn table_error(&self, partition: i32, source: BoxError) -> ProcessorError {
        let table = TopicPartition::new(self.outputs.table_topic(), partition);
        ProcessorError::Table { table, source }
    }

    async fn get(
        self: Rc<Self>,
        partition: i32,
        key: Vec<u8>,
        reply: oneshot::Sender<Option<Result<Option<Vec<u8>>, BoxError>>>,
    ) {
        let partition =
            self.committer.partitions().into_iter().find(|here| here.number == partition);
        let row = match partition {
            Some(partition) => {
                let mut core = partition.core.lock().await;
                core.table().map(|table| table.raw(&key).map(|row| row.map(<[u8]>::to_vec)))
            }
            None => None,
        };
        let _ = reply.send(row);
    }

    /// Commits by interval and by bytes.
    async fn commits(self: Rc<Self>) {
        let mut pause = RESTART_PAUSE;
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.shared.config.commit_interval) => {}
                () = self.pressure.wanted() => {}
            }
            match self.committer.commit().await {
                Ok(()) => pause = RESTART_PAUSE,
                Err(CommitError::Fatal(error)) => {
                    report(&self.shared.failures, error);
                    return;
                }
                Err(CommitError::Unknown(error)) => {
                    tracing::warn!(%error, ?pause, "a commit failed: beginning again from what is committed");
                    self.restart_all();
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RESTART_PAUSE_MAX);
                }
            }
        }
    }

    /// Every partition drops what it has in memory and begins again from what is committed.
    pub(crate) fn restart_all(&self) {
        for partition in self.committer.partitions() {
            self.committer.remove(partition.number);
            partition.stop.stop(Stop::Restart);
        }
    }

    /// Writes committed rows to the local stores when they are due.
    async fn store_rows(self: Rc<Self>) {
        let config = &self.shared.config;
        let rows_max = config.store_rows_max;
        let mut stored = Instant::now();
        loop {
            tokio::time::sleep(STORE_LOOK).await;
            let mut waiting = 0;
            let partitions = self.committer.partitions();
            for partition in &partitions {
                let core = &mut *partition.core.lock().await;
                waiting += core.table().map_or(0, |table| table.unstored_rows());
            }
            if waiting <= rows_max && stored.elapsed() < config.store_interval {
                continue;
            }
            let hurry = waiting > rows_max;
            for partition in &partitions {
                if let Err(error) = self.store_partition(partition, hurry).await {
                    report(&self.shared.failures, error);
                    return;
                }
            }
            stored = Instant::now();
        }
    }

    /// Gives the stores of partitions that process some time for what they put off.
    async fn settle_stores(self: Rc<Self>) {
        loop {
            let mut more = false;
            let mut spent = Duration::ZERO;
            for partition in self.committer.partitions() {
                let core = &mut *partition.core.lock().await;
                let began = Instant::now();
                match core.settle(settle::ROWS_PER_STEP) {
                    Ok(settled) => more |= settled,
                    Err(source) => {
                        report(
                            &self.shared.failures,
                            self.table_error(partition.number, source.into()),
                        );
                        return;
                    }
                }
                spent += began.elapsed();
            }
            tokio::time::sleep(if more { settle::pause(spent) } else { STORE_LOOK }).await;
        }
    }

    /// Writes what is committed of one partition to its stores, in turns with the others on the thread: most of the time
    /// is theirs, unless there is a `hurry` since too many rows wait.
    async fn store_partition(
        &self,
        partition: &Partition,
        hurry: bool,
    ) -> Result<(), ProcessorError> {
        let position = loop {
            let spent;
            {
                let core = &mut *partition.core.lock().await;
                let began = Instant::now();
                let open = if partition.is_lost() { None } else { core.table() };
                // Without a table, or closed or lost meanwhile: whoever closed it has said where it stands.
                let Some(table) = open else { return Ok(()) };
                let stored = table.store_some(STORE_ROWS_PER_TURN);
                if !stored.map_err(|source| self.table_error(partition.number, source))? {
                    break table.store().position();
                }
                spent = began.elapsed();
            }
            if hurry {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(settle::pause(spent)).await;
            }
        };
        if let Some(position) = position {
            self.shared.local.set(partition.number, position);
            self.shared.stores.note(&self.outputs.table_topic(), partition.number, position);
        }
        Ok(())
    }
}
