//! The thread on which the cluster runs.

use std::{
    fs::{self, File, TryLockError},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    Error,
    config::BrokerConfig,
    group,
    net::Port,
    security::{self, Security},
    state::{NodeInfo, Shared, snapshot::Snapshot},
    transaction,
};

/// What is to be started, checked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) racks: bool,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) config: BrokerConfig,
    /// The level of the feature `transaction.version`.
    pub(crate) transaction_version: i16,
    pub(crate) security: security::Settings,
}

/// A cluster's parts, ready to be commanded. No node listens yet.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) shared: Arc<Shared>,
    pub(crate) ports: Vec<Port>,
    pub(crate) handle: Handle,
    /// Ends the thread.
    pub(crate) end: oneshot::Sender<()>,
    /// Keeps other clusters out of the data folder.
    pub(crate) folder: Option<File>,
}

/// Starts the thread; `told` gets the outcome on it.
pub(crate) fn spawn(
    plan: Plan,
    told: impl FnOnce(Result<Started, Error>) + Send + 'static,
) -> Result<JoinHandle<()>, Error> {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime.map_err(Error::io("the runtime cannot be started")) {
            Ok(runtime) => runtime,
            Err(error) => return told(Err(error)),
        };
        let (end, ended) = oneshot::channel();
        let started = {
            let _within = runtime.enter();
            prepare(plan, runtime.handle().clone(), end)
        };
        let failed = started.is_err();
        told(started);
        if !failed {
            // A dropped sender ends it too.
            let _ = runtime.block_on(ended);
        }
    };
    thread::Builder::new()
        .name("roka-broker".to_owned())
        .spawn(run)
        .map_err(Error::io("the thread cannot be started"))
}

/// The thread ended before it said how the start went.
pub(crate) fn ended_early() -> Error {
    Error::io("the cluster's thread ended while it started")(io::Error::other(
        "see its panic message",
    ))
}

fn prepare(plan: Plan, handle: Handle, end: oneshot::Sender<()>) -> Result<Started, Error> {
    let mut ports = Vec::new();
    let mut nodes = Vec::new();
    for (address, id) in plan.addresses.into_iter().zip(1..) {
        let listen = |source| Error::Listen { node: id, address: address.to_string(), source };
        let port = Port::reserve(address).map_err(listen)?;
        let rack = plan.racks.then(|| format!("rack-{id}"));
        nodes.push(Arc::new(NodeInfo::new(id, port.address(), rack)));
        ports.push(port);
    }
    let mut held = None;
    let former = match &plan.data_dir {
        Some(dir) => {
            fs::create_dir_all(dir).map_err(Error::io(format!("cannot make {}", dir.display())))?;
            held = Some(hold(dir)?);
            let what = format!("cannot read the metadata in {}", dir.display());
            Snapshot::load(dir).map_err(Error::io(what))?
        }
        None => None,
    };
    let cluster_id = former.as_ref().map_or_else(new_cluster_id, |it| it.cluster_id.clone());
    let security = Security::new(plan.security)?;
    let shared = Shared::new(cluster_id, plan.data_dir, plan.config, nodes, security);
    shared.transactions.set_version(plan.transaction_version);
    if let Some(former) = former {
        shared.restore(former).map_err(Error::io("cannot open the topics of the data folder"))?;
    }
    let shared = Arc::new(shared);
    shared.groups.open(&shared).map_err(Error::io("cannot read the offsets in the data folder"))?;
    let what = "cannot read the transactions in the data folder";
    shared.transactions.open(&shared).map_err(Error::io(what))?;
    handle.spawn(group::keep_time(shared.clone()));
    handle.spawn(transaction::keep_time(shared.clone()));
    Ok(Started { shared, ports, handle, end, folder: held })
}

/// Two clusters in one folder would destroy each other's logs.
fn hold(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let what = || format!("cannot lock {}", path.display());
    let file = File::create(&path).map_err(Error::io(what()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let text = "the folder is in use by another cluster: stop it, or take another folder";
            Err(Error::io(what())(io::Error::other(text)))
        }
        Err(TryLockError::Error(error)) => Err(Error::io(what())(error)),
    }
}

/// 22 letters and digits, as Kafka's ids have.
fn new_cluster_id() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(22).collect()
}
