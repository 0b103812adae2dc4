//! What is known of the cluster: immutable snapshots, each with a generation.
//!
//! Rules:
//! - A snapshot never changes; news makes a new one with a higher generation.
//! - An answer without brokers is ignored: it comes from a broker that knows nothing yet.
//! - A leader with an older epoch than the known one is ignored, unless the topic was re-created.
//! - A partition without leader (-1) is kept, leaderless; its leader epoch is kept.
//! - A topic with a temporary error keeps the partitions known before.
//! - A leader hint (KIP-951) adds or replaces brokers, it never removes any.

mod merge;
mod refresh;
mod task;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use roka_protocol::{ErrorCode, Uuid};

pub(crate) use merge::{Hint, Update};
pub(crate) use refresh::Why;
pub(crate) use task::{Store, Tracked, keep_fresh};

use crate::Address;

/// A broker's number. Negative numbers stand for the bootstrap addresses, whose number is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub i32);

impl NodeId {
    /// The `index`-th bootstrap address.
    pub(crate) fn seed(index: usize) -> Self {
        Self(-1 - index as i32)
    }

    /// Which bootstrap address this is, if it is one.
    pub(crate) fn as_seed(self) -> Option<usize> {
        (self.0 < 0).then(|| (-1 - i64::from(self.0)) as usize)
    }

    /// The node a wire field names, none for -1.
    pub(crate) fn known(id: i32) -> Option<Self> {
        (id >= 0).then_some(Self(id))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_seed() {
            Some(index) => write!(f, "bootstrap {index}"),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A broker as the cluster advertises it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its number.
    pub id: NodeId,
    /// Where it listens.
    pub address: Address,
    /// Its rack, if configured.
    pub rack: Option<Arc<str>>,
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The leader; none during an election.
    pub leader: Option<NodeId>,
    /// Number of that leadership; -1 where the broker is too old to say (before 2.1).
    pub leader_epoch: i32,
    /// All replicas.
    pub replicas: Arc<[NodeId]>,
    /// The replicas in sync.
    pub isr: Arc<[NodeId]>,
    /// What the cluster says against the partition, `NONE` if nothing.
    pub error: ErrorCode,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; another id under the same name is another topic. Zero before Kafka 2.8.
    pub id: Uuid,
    /// The partitions, by number.
    pub partitions: Vec<Partition>,
    /// What the cluster says against the topic, `NONE` if nothing; the partitions are then those known before.
    pub error: ErrorCode,
    /// Whether it is Kafka's own.
    pub internal: bool,
}

impl Topic {
    /// The partition of that number.
    pub fn partition(&self, index: i32) -> Option<&Partition> {
        usize::try_from(index).ok().and_then(|index| self.partitions.get(index))
    }
}

/// A snapshot of the cluster.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// Counts the answers and hints; a higher one is newer.
    pub generation: u64,
    /// The generation that last brought news: equal values mean equal content.
    pub changed: u64,
    /// Cluster id, if the broker gives one (0.10.1).
    pub cluster_id: Option<Arc<str>>,
    /// The controller, or a broker that passes requests on to it.
    pub controller: Option<NodeId>,
    /// The brokers that live.
    pub brokers: HashMap<NodeId, Broker, foldhash::fast::RandomState>,
    /// The topics that were asked for.
    pub topics: HashMap<Arc<str>, Arc<Topic>, foldhash::fast::RandomState>,
}

impl Metadata {
    /// The topic of that name, if it was asked for and answered.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// The topic with that id (a scan: few topics are tracked).
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.topics.values().find(|topic| topic.id == id)
    }

    /// The partition of that topic and number.
    pub fn partition(&self, topic: &str, index: i32) -> Option<&Partition> {
        self.topic(topic)?.partition(index)
    }

    /// Who leads it, and since which epoch; none if unknown or leaderless.
    pub fn leader(&self, topic: &str, index: i32) -> Option<(NodeId, i32)> {
        let partition = self.partition(topic, index)?;
        Some((partition.leader?, partition.leader_epoch))
    }
}
