//! A processor: runs the graph of a group on a Kafka cluster.

use std::{collections::BTreeMap, fmt, marker::PhantomData, sync::Arc, thread};

use tokio::sync::{oneshot, watch};

use crate::{
    BoxError, Config, GroupGraph, Hasher, Key,
    codec::AnyCodec,
    engine::{Inside, Order, ProcessorError, State, Stats, session},
};

/// Runs the graph of a group: one member of the group, with as many worker threads as
/// [`Config::workers`] says.
///
/// Start more processors with the same graph, here or on other machines, and the partitions are spread
/// over them. A processor ends only because it is asked to, or because of an error that no waiting can cure;
/// brokers that fail, move or restart are waited for.
///
/// ```no_run
/// # use roka::{Config, Group, Processor, Result, Stream};
/// # const WORDS: Stream<String, String> = Stream::text("words");
/// # const COUNTER: Group<String, u64> = Group::json("counter");
/// # async fn f() -> Result {
/// let mut graph = COUNTER.graph();
/// graph.input(WORDS, |ctx, _word| ctx.update(|count| *count += 1));
///
/// let processor = Processor::new(graph, Config::new(["localhost:9092"]))?;
/// processor.run().await?; // until SIGINT or SIGTERM
/// # Ok(())
/// # }
/// ```
pub struct Processor<K: Key, V: 'static> {
    graph: Arc<GroupGraph<K, V>>,
    config: Arc<Config>,
    inside: Arc<Inside>,
}

impl<K: Key, V: 'static> Processor<K, V> {
    /// Checks the graph and the configuration. The cluster is not asked before the processor runs.
    pub fn new(graph: GroupGraph<K, V>, config: Config) -> Result<Self, ProcessorError> {
        graph.validate()?;
        config.validate()?;
        let (graph, config) = (Arc::new(graph), Arc::new(config));
        Ok(Self { graph, config, inside: Arc::default() })
    }

    /// A handle to watch, read and stop the processor while it runs.
    pub fn handle(&self) -> ProcessorHandle<K, V> {
        ProcessorHandle {
            inside: Arc::clone(&self.inside),
            hasher: self.config.hasher,
            codec: self.graph.group.codec.clone(),
            _key: PhantomData,
        }
    }

    /// Runs until SIGINT or SIGTERM, or until a handle stops it. Then commits, closes its stores and leaves
    /// the group.
    pub async fn run(self) -> Result<(), ProcessorError> {
        self.run_until(shutdown_signal()).await
    }

    /// As [`run`](Self::run), until `shutdown` is ready instead of a signal.
    ///
    /// The processor works on threads of its own: the runtime of the caller is only used to wait. When the
    /// returned future is dropped the processor stops in the same order, in the background.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), ProcessorError> {
        let (end, mut ended) = oneshot::channel();
        let (topology, config, inside) = (self.graph, self.config, Arc::clone(&self.inside));
        let stop_on_drop = StopOnDrop(&self.inside);
        let work = {
            let inside = Arc::clone(&inside);
            move || {
                let result = serve(|| session::run(topology, config, Arc::clone(&inside)));
                inside.board.set(State::Stopped);
                // The caller may have stopped waiting.
                let _ = end.send(result);
            }
        };
        let failed = |reason: String| ProcessorError::Thread { name: "roka-processor", reason };
        thread::Builder::new()
            .name("roka-processor".to_owned())
            .spawn(work)
            .map_err(|error| failed(format!("no thread: {error}")))?;
        let result = tokio::select! {
            biased;
            result = &mut ended => result,
            () = shutdown => {
                inside.stop.send_replace(true);
                ended.await
            }
        };
        drop(stop_on_drop);
        result.unwrap_or_else(|_| Err(failed("panicked: see its message".to_owned())))
    }
}

/// Runs a future on a runtime of this thread's own.
fn serve<F: Future<Output = Result<(), ProcessorError>>>(
    work: impl FnOnce() -> F,
) -> Result<(), ProcessorError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| ProcessorError::Thread {
        name: "roka-processor",
        reason: format!("no runtime: {error}"),
    })?;
    tokio::task::LocalSet::new().block_on(&runtime, work())
}

struct StopOnDrop<'a>(&'a Inside);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop.send_replace(true);
    }
}

/// Ready when the process receives SIGINT or SIGTERM (Ctrl-C elsewhere than on Unix).
///
/// Needs a Tokio runtime with I/O. Where signals cannot be received it never is ready.
pub async fn shutdown_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        if let (Ok(mut interrupt), Ok(mut terminate)) = signals {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_ok() {
        return;
    }
    tracing::warn!("signals cannot be received: stop the processor by its handle");
    std::future::pending::<()>().await;
}

/// Watches, reads and stops a processor. Clones are handles on the same processor.
pub struct ProcessorHandle<K: Key, V: 'static> {
    inside: Arc<Inside>,
    hasher: Hasher,
    codec: Option<AnyCodec<V>>,
    _key: PhantomData<fn() -> K>,
}

/// Why a row of a processor's table could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// The group has no table.
    #[error("the group has no table")]
    NoTable,
    /// The processor does not run, or does not know its topics yet.
    #[error("the processor is {0}: wait until it is ready")]
    NotRunning(State),
    /// The key's partition is with another member of the group, or is not recovered yet.
    #[error(
        "partition {partition} of the key is not here: ask the member that has it, or use a view"
    )]
    NotHere {
        /// The key's partition.
        partition: i32,
    },
    /// The row cannot be read.
    #[error("cannot read the row: {0}")]
    Read(BoxError),
}

impl<K: Key, V: 'static> ProcessorHandle<K, V> {
    /// Asks the processor to stop. It commits, closes its stores and leaves the group first.
    pub fn stop(&self) {
        self.inside.stop.send_replace(true);
    }

    /// Where the processor stands.
    pub fn state(&self) -> State {
        self.inside.board.get()
    }

    /// Where each partition stands that is here.
    pub fn partitions(&self) -> BTreeMap<i32, State> {
        self.inside.board.partitions()
    }

    /// Follows [`state`](Self::state).
    pub fn watch_state(&self) -> watch::Receiver<State> {
        self.inside.board.watch()
    }

    /// Waits until the processor has its partitions and all of their tables are recovered. False if it
    /// stops before.
    pub async fn wait_ready(&self) -> bool {
        let state = self.wait_for(|state| state >= State::Running).await;
        state == State::Running
    }

    /// Waits until the processor has stopped.
    pub async fn wait_stopped(&self) {
        self.wait_for(|state| state == State::Stopped).await;
    }

    async fn wait_for(&self, holds: impl Fn(State) -> bool) -> State {
        let mut watch = self.inside.board.watch();
        // The board is held here, so that the channel cannot be closed.
        watch.wait_for(|state| holds(*state)).await.map_or(State::Stopped, |state| *state)
    }

    /// What the processor has done, and how far it is behind.
    pub fn stats(&self) -> Stats {
        let board = &self.inside.board;
        self.inside.counters.snapshot(board.get(), &board.partitions())
    }

    /// The table's value under `key`, if its partition is here: as the last processed record left it, which may not
    /// be committed yet.
    pub async fn get(&self, key: &K::Ref) -> Result<Option<V>, GetError> {
        let Some(codec) = &self.codec else { return Err(GetError::NoTable) };
        let mut bytes = Vec::new();
        K::encode(key, &mut bytes);
        let partitions = *self.inside.partitions.borrow();
        let partitions = partitions.ok_or_else(|| GetError::NotRunning(self.state()))?;
        let partition = self.hasher.partition(&bytes, partitions);
        let not_here = || GetError::NotHere { partition };
        let worker = self.inside.routes.get(partition).ok_or_else(not_here)?;
        let (reply, row) = oneshot::channel();
        let order = Order::Get { partition, key: bytes, reply };
        worker.send(order).await.map_err(|_| not_here())?;
        let row = row.await.ok().flatten().ok_or_else(not_here)?.map_err(GetError::Read)?;
        row.map(|row| codec.decode(&row)).transpose().map_err(GetError::Read)
    }
}

impl<K: Key, V> Clone for ProcessorHandle<K, V> {
    fn clone(&self) -> Self {
        Self {
            inside: Arc::clone(&self.inside),
            hasher: self.hasher,
            codec: self.codec.clone(),
            _key: PhantomData,
        }
    }
}

impl<K: Key, V> fmt::Debug for ProcessorHandle<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessorHandle").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl<K: Key, V> fmt::Debug for Processor<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor").field("graph", &self.graph).finish_non_exhaustive()
    }
}
