//! What all nodes of the cluster share: they are one process, so there is one copy of everything.

mod followers;
mod nodes;
mod partition;
pub(crate) mod placement;
pub(crate) mod snapshot;
mod topics;
pub(crate) mod upkeep;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

pub use followers::Follower;
pub(crate) use followers::Shown;
pub(crate) use nodes::{Mode, NodeInfo};
pub(crate) use partition::{Leadership, Partition, PartitionState};
use snapshot::Snapshot;
pub(crate) use topics::{NewTopic, Topic, Topics};

use crate::{
    caps::Caps, config::BrokerConfig, faults::Faults, group::Groups, lies::Lies,
    security::Security, transaction::Transactions,
};

/// The cluster's state; every node holds the same.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cluster_id: String,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) config: BrokerConfig,
    /// In the order of their ids.
    nodes: RwLock<Vec<Arc<NodeInfo>>>,
    pub(crate) topics: Topics,
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    pub(crate) faults: Faults,
    pub(crate) lies: Lies,
    pub(crate) caps: Caps,
    pub(crate) security: Security,
    /// Whether Produce and Fetch name the new leader in their errors (KIP-951).
    pub(crate) leader_hints: AtomicBool,
    producer_ids: ProducerIds,
    /// Held while the metadata file is written, so that the newest state is the last one written.
    saving: Mutex<()>,
}

/// Producer ids are given out in blocks, so that not each costs a write of the metadata.
#[derive(Debug, Default)]
struct ProducerIds {
    next: AtomicI64,
    reserved: AtomicI64,
}

const PRODUCER_ID_BLOCK: i64 = 1000;

impl Shared {
    pub(crate) fn new(
        cluster_id: String,
        data_dir: Option<PathBuf>,
        config: BrokerConfig,
        nodes: Vec<Arc<NodeInfo>>,
        security: Security,
    ) -> Self {
        Self {
            cluster_id,
            topics: Topics::new(data_dir.clone()),
            groups: Groups::default(),
            transactions: Transactions::default(),
            data_dir,
            config,
            nodes: RwLock::new(nodes),
            faults: Faults::default(),
            lies: Lies::default(),
            caps: Caps::default(),
            security,
            leader_hints: AtomicBool::new(true),
            producer_ids: ProducerIds::default(),
            saving: Mutex::new(()),
        }
    }

    /// Takes over what a former process left: its topics with their logs.
    pub(crate) fn restore(&self, snapshot: Snapshot) -> io::Result<()> {
        self.producer_ids.next.store(snapshot.producer_ids_from, Ordering::Relaxed);
        self.producer_ids.reserved.store(snapshot.producer_ids_from, Ordering::Relaxed);
        snapshot.topics.into_iter().try_for_each(|it| self.topics.restore(&self.config, it))
    }

    /// Writes the metadata, when the cluster has a folder. To be called after every change of topics, settings,
    /// leaders and log starts, without any lock.
    pub(crate) fn save(&self) -> io::Result<()> {
        let Some(dir) = &self.data_dir else { return Ok(()) };
        let _saving = lock(&self.saving);
        let topics = self.topics.all().iter().map(|it| it.snapshot()).collect();
        let reserved = self.producer_ids.reserved.load(Ordering::Relaxed);
        Snapshot::new(self.cluster_id.clone(), reserved, topics).save(dir)
    }

    /// As [`save`](Self::save), where nobody can be told that it failed.
    pub(crate) fn save_or_warn(&self) {
        if let Err(error) = self.save() {
            tracing::error!(%error, "the cluster's metadata cannot be written");
        }
    }

    /// All nodes as they are now, running or not, in the order of their ids.
    pub(crate) fn nodes(&self) -> Vec<Arc<NodeInfo>> {
        read(&self.nodes).clone()
    }

    pub(crate) fn node(&self, id: i32) -> Option<Arc<NodeInfo>> {
        read(&self.nodes).iter().find(|node| node.id == id).cloned()
    }

    /// Nodes that are in the cluster: running, or hanging and not yet given up.
    pub(crate) fn live_nodes(&self) -> impl Iterator<Item = Arc<NodeInfo>> {
        self.nodes().into_iter().filter(|node| node.is_live())
    }

    pub(crate) fn is_live(&self, id: i32) -> bool {
        read(&self.nodes).iter().any(|node| node.id == id && node.is_live())
    }

    /// Takes a node into the cluster; false if there is one with its id.
    pub(crate) fn add_node(&self, node: Arc<NodeInfo>) -> bool {
        let mut nodes = write(&self.nodes);
        let Err(at) = nodes.binary_search_by_key(&node.id, |it| it.id) else { return false };
        nodes.insert(at, node);
        true
    }

    pub(crate) fn remove_node(&self, id: i32) {
        write(&self.nodes).retain(|it| it.id != id);
    }

    /// The node that counts as controller: the one chosen by hand if it lives, else the first that does. Every node carries out what a controller does.
    pub(crate) fn controller(&self) -> i32 {
        let chosen = self.lies.controller().filter(|&id| self.is_live(id));
        chosen.unwrap_or_else(|| self.live_nodes().next().map_or(-1, |node| node.id))
    }

    /// A producer id that nobody had before.
    pub(crate) fn new_producer_id(&self) -> i64 {
        let id = self.producer_ids.next.fetch_add(1, Ordering::Relaxed);
        if id >= self.producer_ids.reserved.load(Ordering::Relaxed) {
            self.producer_ids.reserved.store(id + PRODUCER_ID_BLOCK, Ordering::Relaxed);
            self.save_or_warn();
        }
        id
    }

    /// Elects leaders where the present one is not live, after nodes came or went.
    pub(crate) fn elect_all(&self) {
        for topic in self.topics.all() {
            for partition in topic.partitions().iter() {
                partition.reelect(&|id| self.is_live(id));
            }
        }
        self.save_or_warn();
    }
}

/// Milliseconds since 1970 by the system's clock.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The guard also when another thread panicked with it: state is changed only in whole steps.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
