//! What all nodes of the cluster share: they are one process, so there is one copy of everything.

mod nodes;
mod partition;
pub(crate) mod placement;
mod topics;

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

pub(crate) use nodes::{Mode, NodeInfo};
pub(crate) use partition::{Leadership, Partition, PartitionState};
pub(crate) use topics::{NewTopic, Topic, Topics};

use crate::{caps::Caps, config::BrokerConfig, faults::Faults};

/// The cluster's state; every node holds the same.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cluster_id: String,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) config: BrokerConfig,
    pub(crate) nodes: Vec<NodeInfo>,
    pub(crate) topics: Topics,
    pub(crate) faults: Faults,
    pub(crate) caps: Caps,
    /// Whether Produce and Fetch name the new leader in their errors (KIP-951).
    pub(crate) leader_hints: AtomicBool,
    next_producer_id: AtomicI64,
}

impl Shared {
    pub(crate) fn new(
        cluster_id: String,
        data_dir: Option<PathBuf>,
        config: BrokerConfig,
        nodes: Vec<NodeInfo>,
    ) -> Self {
        Self {
            cluster_id,
            topics: Topics::new(data_dir.clone()),
            data_dir,
            config,
            nodes,
            faults: Faults::default(),
            caps: Caps::default(),
            leader_hints: AtomicBool::new(true),
            next_producer_id: AtomicI64::new(0),
        }
    }

    pub(crate) fn node(&self, id: i32) -> Option<&NodeInfo> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// Nodes that are in the cluster: running, or hanging and not yet given up.
    pub(crate) fn live_nodes(&self) -> impl Iterator<Item = &NodeInfo> {
        self.nodes.iter().filter(|node| node.is_live())
    }

    pub(crate) fn is_live(&self, id: i32) -> bool {
        self.node(id).is_some_and(NodeInfo::is_live)
    }

    /// The node that counts as controller: the first that lives. Every node carries out what a controller does.
    pub(crate) fn controller(&self) -> i32 {
        self.live_nodes().next().map_or(-1, |node| node.id)
    }

    /// A producer id that nobody had before.
    pub(crate) fn new_producer_id(&self) -> i64 {
        self.next_producer_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Elects leaders where the present one is not live, after nodes came or went.
    pub(crate) fn elect_all(&self) {
        for topic in self.topics.all() {
            for partition in topic.partitions().iter() {
                partition.reelect(&|id| self.is_live(id));
            }
        }
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
