//! What producer, consumer, groups and administration share: connections, metadata, coordinators, time,
//! chance and counters. Everything async here runs on the I/O runtime.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roka_protocol::Request;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::connection::Lane;
use crate::connections::Connections;
use crate::coordinator::Coordinators;
use crate::counters::Recorder;
use crate::metadata::{Hint, Store, Update};
use crate::retry::{Backoff, Deadline};
use crate::security::TlsTransport;
use crate::transport::Transport;
use crate::{Address, Broker, Config, Counters, Error, Metadata, NodeId, SendError};

/// The shared core of a client.
pub(crate) struct Core {
    config: Config,
    seeds: Vec<Address>,
    handle: Handle,
    rng: Mutex<fastrand::Rng>,
    closed: AtomicBool,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) connections: Connections,
    pub(crate) store: Store,
    pub(crate) coordinators: Coordinators,
}

impl Core {
    /// Checks the configuration and starts the metadata task on the runtime of `handle`. Asks nobody
    /// anything before it is needed.
    pub(crate) fn start(
        config: Config,
        transport: Arc<dyn Transport>,
        handle: Handle,
    ) -> Result<Arc<Self>, Error> {
        config.validate()?;
        let seeds = config.addresses()?;
        let transport = match &config.tls {
            Some(tls) => Arc::new(TlsTransport::new(transport, tls.clone())),
            None => transport,
        };
        let rng = config.random_seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let core = Arc::new(Self {
            store: Store::new(&config),
            config,
            seeds,
            handle,
            rng: Mutex::new(rng),
            closed: AtomicBool::new(false),
            transport,
            recorder: Arc::default(),
            connections: Connections::default(),
            coordinators: Coordinators::default(),
        });
        core.spawn(crate::metadata::keep_fresh(core.clone()));
        Ok(core)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Runs the future on the I/O runtime.
    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Runs the future on the I/O runtime and waits for it from wherever this is; the future is dropped
    /// when this one is. [`Error::Closed`] if the client is closed meanwhile.
    pub(crate) async fn run<T, F>(&self, future: F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
        T: Send + 'static,
    {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let mut task = AbortOnDrop(self.spawn(future));
        (&mut task.0).await.unwrap_or(Err(Error::Closed))
    }

    /// Chance, for jitter and choices.
    pub(crate) fn with_rng<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A back-off between retries as configured.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.config.retry_backoff, self.config.retry_backoff_max)
    }

    /// The next wait of `backoff`.
    pub(crate) fn next_wait(&self, backoff: &mut Backoff) -> Duration {
        self.with_rng(|rng| backoff.next(rng))
    }

    /// The deadline of one call of the user.
    pub(crate) fn api_deadline(&self) -> Deadline {
        Deadline::after(self.config.api_timeout)
    }

    pub(crate) fn counters(&self) -> Counters {
        self.recorder.snapshot()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// No new connections; those there are end when what is in flight is answered.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.connections.close();
        self.store.wake();
    }

    /// The newest snapshot of the cluster.
    pub(crate) fn metadata(&self) -> Arc<Metadata> {
        self.store.snapshot()
    }

    /// Follows the snapshots. The value is marked seen.
    pub(crate) fn metadata_changed(&self) -> watch::Receiver<Arc<Metadata>> {
        self.store.subscribe()
    }

    /// Where the broker (or bootstrap address) listens, as far as is known.
    pub(crate) fn address_of(&self, node: NodeId) -> Option<Address> {
        match node.as_seed() {
            Some(index) => self.seeds.get(index).cloned(),
            None => self.metadata().brokers.get(&node).map(|broker| broker.address.clone()),
        }
    }

    /// The bootstrap addresses as nodes.
    pub(crate) fn seeds(&self) -> impl Iterator<Item = NodeId> {
        (0..self.seeds.len()).map(NodeId::seed)
    }

    /// Leaders (and where they listen) as told by a Produce or Fetch response (KIP-951). Only newer epochs
    /// count. Give all hints of a response at once.
    pub(crate) fn apply_leader_hints(&self, leaders: Vec<Hint>, brokers: Vec<Broker>) {
        self.apply(Update::Hints { leaders, brokers });
    }

    /// Makes the next snapshot; then, not before, connections to brokers that left are retired.
    pub(crate) fn apply(&self, update: Update) -> bool {
        let applied = self.store.apply(update);
        if applied {
            self.connections.reconcile(&self.metadata(), &self.seeds);
        }
        applied
    }

    /// Runs `work`, which may wait for brokers to answer, until it ends or no broker answers because they and this client
    /// do not trust each other. `work` only waits: nothing is lost with it.
    pub(crate) async fn unless_distrusted<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => done,
            error = self.store.distrusted() => Err(error.into()),
        }
    }

    /// The broker could not be reached: nothing that rests on it can be trusted.
    pub(crate) fn unreachable(&self, node: NodeId) {
        self.coordinators.forget_node(node);
        self.store.forget_controller(node);
        self.store.want_newer();
    }

    /// Sends one request to one broker, in the highest common version not above `cap`, and gives the
    /// response with that version. Dials if needed; does not retry. Requests that must keep an order are
    /// started on a [`connection`](Self::connection) instead.
    pub(crate) async fn send<R: Request>(
        self: &Arc<Self>,
        node: NodeId,
        lane: Lane,
        request: &R,
        cap: Option<i16>,
        timeout: Duration,
    ) -> Result<(R::Response, i16), SendError> {
        let connection = self.connection(node, lane).await?;
        let reply = connection.start(request, cap, timeout)?;
        let version = reply.version();
        Ok((reply.await?, version))
    }

    /// The version in which `R` would go to the broker now. Dials if needed.
    pub(crate) async fn version_of<R: Request>(
        self: &Arc<Self>,
        node: NodeId,
        lane: Lane,
    ) -> Result<i16, SendError> {
        self.connection(node, lane).await?.version_of::<R>(None)
    }
}

/// A task that ends with its owner.
#[derive(Debug)]
pub(crate) struct AbortOnDrop<T>(pub(crate) JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("client_id", &self.config.client_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
