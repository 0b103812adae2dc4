//! The handle of a client, and the thread that does its I/O.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use roka_protocol::{Request, Route};
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

use crate::admin::Admin;
use crate::connection::Lane;
use crate::coordinator::CoordinatorKind;
use crate::core::Core;
use crate::metadata::Tracked;
use crate::outcome::Outcome;
use crate::router::Target;
use crate::transport::{TcpTransport, Transport};
use crate::{Config, Counters, Error, Metadata, NodeId};

/// A client of one cluster. Cheap to clone; all clones share connections, metadata and the I/O thread.
///
/// Its futures may be awaited from any thread and any runtime: the work is done on the client's own
/// thread, `roka-io`, so that nothing that blocks elsewhere delays a heartbeat. The thread ends when the
/// last clone, and everything made from one, is dropped, or after [`close`](Self::close).
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    core: Arc<Core>,
    /// The thread; none on a runtime of the user's.
    thread: Option<IoThread>,
}

#[derive(Debug)]
struct IoThread {
    stop: watch::Sender<bool>,
    /// Closed when the thread is done.
    done: watch::Receiver<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Client {
    /// A client over TCP. Checks the configuration and starts the I/O thread; no broker needs to be
    /// reachable yet, and none is asked before the first call.
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::with_transport(config, Arc::new(TcpTransport))
    }

    /// As [`new`](Self::new), over a transport of your own.
    pub fn with_transport(config: Config, transport: Arc<dyn Transport>) -> Result<Self, Error> {
        config.validate()?;
        let cannot = |error| Error::Thread(Arc::new(error));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let core = Core::start(config, transport, runtime.handle().clone())?;
        let (stop, mut stopped) = watch::channel(false);
        let (finished, done) = watch::channel(());
        let serve = move || {
            // An error means that the client is gone, which says the same.
            let _ = runtime.block_on(stopped.wait_for(|stop| *stop));
            // A name resolution that hangs must not keep anybody waiting.
            runtime.shutdown_background();
            drop(finished);
        };
        let thread = std::thread::Builder::new().name("roka-io".into()).spawn(serve);
        let thread = Mutex::new(Some(thread.map_err(cannot)?));
        let thread = Some(IoThread { stop, done, thread });
        Ok(Self { inner: Arc::new(Inner { core, thread }) })
    }

    /// A client on a runtime of yours instead of a thread of its own. The runtime must have time enabled,
    /// and I/O if the transport needs it; with paused time and a simulated transport, runs are repeatable.
    pub fn on_runtime(
        config: Config,
        transport: Arc<dyn Transport>,
        handle: Handle,
    ) -> Result<Self, Error> {
        let core = Core::start(config, transport, handle)?;
        Ok(Self { inner: Arc::new(Inner { core, thread: None }) })
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.inner.core
    }

    /// Administrative calls.
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        self.core().config()
    }

    /// What is known of the cluster right now, without asking; empty before the first answer.
    pub fn metadata(&self) -> Arc<Metadata> {
        self.core().metadata()
    }

    /// Asks the cluster now. Fails with [`Error::Timeout`] after `api_timeout` if no broker answers.
    pub async fn refresh_metadata(&self) -> Result<Arc<Metadata>, Error> {
        let core = self.core().clone();
        let patience = core.config().api_timeout;
        self.core()
            .run(async move {
                let newer = async { Ok(core.refresh_anew().await) };
                let refreshed = tokio::time::timeout(patience, core.unless_distrusted(newer)).await;
                refreshed.map_err(|_| Error::Timeout {
                    operation: "asking for metadata".into(),
                    after: patience,
                    last: None,
                })?
            })
            .await
    }

    /// Sends one request to whoever must answer it, any broker or the controller, and finds them again when
    /// they moved. Gives the response as it is: error codes that repeating cannot cure are for the caller.
    ///
    /// Requests that go to a coordinator or leader need its key: [`call_group`](Self::call_group),
    /// [`call_transaction`](Self::call_transaction), [`call_leader`](Self::call_leader). A request type
    /// that needs one does not compile here.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), roka_client::Error> {
    /// use roka_client::protocol::messages::list_groups::ListGroupsRequest;
    /// let client = roka_client::Client::new(roka_client::Config::new("localhost:9092"))?;
    /// let groups = client.call(ListGroupsRequest::default()).await?.groups;
    /// # Ok(()) }
    /// ```
    pub async fn call<R>(&self, request: R) -> Result<R::Response, Error>
    where
        R: Request<Response: Outcome>,
    {
        let target = const {
            match R::ROUTE {
                Route::Any => Target::Any,
                Route::Controller => Target::Controller,
                _ => panic!("this request needs a key: call_group, call_transaction, call_leader"),
            }
        };
        self.route(target, request).await
    }

    /// As [`call`](Self::call), to that broker.
    pub async fn call_node<R>(&self, node: NodeId, request: R) -> Result<R::Response, Error>
    where
        R: Request<Response: Outcome>,
    {
        self.route(Target::Node(node), request).await
    }

    /// As [`call`](Self::call), to the coordinator of the consumer group.
    pub async fn call_group<R>(&self, group: &str, request: R) -> Result<R::Response, Error>
    where
        R: Request<Response: Outcome>,
    {
        self.route(Target::group(group), request).await
    }

    /// As [`call`](Self::call), to the coordinator of the transactional id.
    pub async fn call_transaction<R>(&self, id: &str, request: R) -> Result<R::Response, Error>
    where
        R: Request<Response: Outcome>,
    {
        let target = Target::Coordinator(CoordinatorKind::Transaction, id.into());
        self.route(target, request).await
    }

    /// As [`call`](Self::call), to the leader of the partition.
    pub async fn call_leader<R>(
        &self,
        topic: &str,
        partition: i32,
        request: R,
    ) -> Result<R::Response, Error>
    where
        R: Request<Response: Outcome>,
    {
        let _tracked = Tracked::new(self.core(), vec![topic.into()]);
        self.route(Target::Leader(topic.into(), partition), request).await
    }

    async fn route<R>(&self, target: Target, request: R) -> Result<R::Response, Error>
    where
        R: Request<Response: Outcome>,
    {
        let core = self.core().clone();
        self.core()
            .run(async move {
                let deadline = core.api_deadline();
                core.route(target, Lane::General, deadline, |_| request.clone()).await
            })
            .await
    }

    /// What was done so far, counted.
    pub fn counters(&self) -> Counters {
        self.core().counters()
    }

    /// Ends all connections and the I/O thread, and waits for it. Calls under way, and later ones, end with
    /// [`Error::Closed`]. Close producers and groups before, so that they can finish.
    pub async fn close(&self) {
        self.core().close();
        if let Some(thread) = &self.inner.thread {
            thread.stop.send_replace(true);
            // An error says that the thread is done.
            while thread.done.clone().changed().await.is_ok() {}
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.core.close();
        let Some(io) = &self.thread else { return };
        io.stop.send_replace(true);
        let thread = io.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // The last owner may be a task of the I/O thread itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
