//! The topics of the cluster, by name and by id.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use foldhash::HashMap;
use roka_protocol::Uuid;

use super::{
    Leadership, Partition, now_ms, read,
    snapshot::{PartitionSnapshot, TopicSnapshot},
    write,
};
use crate::{
    config::{BrokerConfig, TopicConfig},
    log::Log,
};

/// One topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    config: RwLock<Arc<TopicConfig>>,
    partitions: RwLock<Arc<[Arc<Partition>]>>,
}

impl Topic {
    pub(crate) fn config(&self) -> Arc<TopicConfig> {
        read(&self.config).clone()
    }

    /// Replaces the settings with what `change` makes of them; nothing when it gives none.
    pub(crate) fn alter_config<E>(
        &self,
        change: impl FnOnce(&TopicConfig) -> Result<Option<TopicConfig>, E>,
    ) -> Result<(), E> {
        let mut present = write(&self.config);
        if let Some(config) = change(&present)? {
            *present = Arc::new(config);
        }
        Ok(())
    }

    pub(crate) fn snapshot(&self) -> TopicSnapshot {
        let partition = |partition: &Arc<Partition>| {
            let state = partition.lock();
            PartitionSnapshot {
                replicas: state.leadership.replicas.clone(),
                leader: state.leadership.leader,
                epoch: state.leadership.epoch,
                log_start: state.log.start(),
            }
        };
        TopicSnapshot {
            name: self.name.to_string(),
            id: hex(self.id),
            config: self.config().overrides.clone(),
            partitions: self.partitions().iter().map(partition).collect(),
        }
    }

    pub(crate) fn partitions(&self) -> Arc<[Arc<Partition>]> {
        read(&self.partitions).clone()
    }

    pub(crate) fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        read(&self.partitions).get(usize::try_from(index).ok()?).cloned()
    }
}

/// A topic to be made: replicas per partition, and settings that differ from the defaults.
#[derive(Debug)]
pub(crate) struct NewTopic {
    pub(crate) name: String,
    /// The node ids of each partition, the preferred leader first.
    pub(crate) replicas: Vec<Vec<i32>>,
    pub(crate) config: TopicConfig,
}

#[derive(Debug, Default)]
struct Table {
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Topics {
    data_dir: Option<PathBuf>,
    table: RwLock<Table>,
    /// Where the next topic's leaders begin, so that small topics do not all sit on the first node.
    placements: AtomicUsize,
}

impl Topics {
    pub(crate) fn new(data_dir: Option<PathBuf>) -> Self {
        Self { data_dir, table: RwLock::default(), placements: AtomicUsize::new(0) }
    }

    /// A start for `placement::spread`.
    pub(crate) fn next_placement(&self) -> usize {
        self.placements.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Topic>> {
        read(&self.table).by_name.get(name).cloned()
    }

    pub(crate) fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        read(&self.table).by_id.get(&id).cloned()
    }

    /// By id where one is given, else by name: requests carry one of them, as their version has it.
    pub(crate) fn find(&self, id: Uuid, name: &str) -> Option<Arc<Topic>> {
        if id == Uuid::default() { self.by_name(name) } else { self.by_id(id) }
    }

    /// All topics, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        read(&self.table).by_name.values().cloned().collect()
    }

    /// Adds a topic with empty logs; `None` when there is one of that name.
    pub(crate) fn create(
        &self,
        new: NewTopic,
        is_live: &dyn Fn(i32) -> bool,
    ) -> io::Result<Option<Arc<Topic>>> {
        let mut table = write(&self.table);
        let name: Arc<str> = new.name.into();
        if table.by_name.contains_key(&name) {
            return Ok(None);
        }
        let topic = Topic {
            name: name.clone(),
            id: random_id(),
            config: RwLock::new(Arc::new(new.config)),
            partitions: RwLock::new(Arc::new([])),
        };
        self.add_partitions(&topic, new.replicas, is_live)?;
        let topic = Arc::new(topic);
        table.by_name.insert(name, topic.clone());
        table.by_id.insert(topic.id, topic.clone());
        Ok(Some(topic))
    }

    /// Adds partitions with empty logs after the present ones.
    pub(crate) fn add_partitions(
        &self,
        topic: &Topic,
        replicas: Vec<Vec<i32>>,
        is_live: &dyn Fn(i32) -> bool,
    ) -> io::Result<()> {
        let mut all = write(&topic.partitions);
        let mut partitions = all.to_vec();
        for replicas in replicas {
            let index = partitions.len() as i32;
            let log = Log::create(self.log_dir(topic, index))?;
            let live: Vec<i32> = replicas.iter().copied().filter(|&id| is_live(id)).collect();
            let leadership =
                Leadership { leader: live.first().copied(), epoch: 0, isr: live, replicas };
            let partition = Partition::new(topic.name.clone(), index, leadership, log);
            partitions.push(Arc::new(partition));
        }
        *all = partitions.into();
        Ok(())
    }

    /// Adds a topic as a former process left it, with its logs. No node lives yet: leaders are elected as they
    /// start, with a new epoch each.
    pub(crate) fn restore(&self, broker: &BrokerConfig, from: TopicSnapshot) -> io::Result<()> {
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
        let id = u128::from_str_radix(&from.id, 16)
            .map_err(|_| invalid(format!("topic {}: id {} is no id", from.name, from.id)))?;
        let config = TopicConfig::new(broker, from.config)
            .map_err(|error| invalid(format!("topic {}: {error}", from.name)))?;
        let topic = Topic {
            name: from.name.into(),
            id: Uuid(id.to_be_bytes()),
            config: RwLock::new(Arc::new(config)),
            partitions: RwLock::new(Arc::new([])),
        };
        let mut partitions = Vec::new();
        for (partition, index) in from.partitions.into_iter().zip(0..) {
            let log = match self.log_dir(&topic, index) {
                Some(dir) => Log::open(dir, partition.log_start, now_ms())?,
                None => Log::create(None)?,
            };
            let leadership = Leadership {
                leader: None,
                epoch: partition.epoch,
                isr: partition.leader.into_iter().collect(),
                replicas: partition.replicas,
            };
            let partition = Partition::new(topic.name.clone(), index, leadership, log);
            partitions.push(Arc::new(partition));
        }
        *write(&topic.partitions) = partitions.into();
        let topic = Arc::new(topic);
        let mut table = write(&self.table);
        table.by_id.insert(topic.id, topic.clone());
        table.by_name.insert(topic.name.clone(), topic);
        Ok(())
    }

    /// Topic names may hold any letters of Kafka's but no separators, and an id tells a topic from a former one
    /// of the same name.
    fn log_dir(&self, topic: &Topic, index: i32) -> Option<PathBuf> {
        let folder = format!("{}-{}-{index}", topic.name, hex(topic.id));
        self.data_dir.as_ref().map(|dir| dir.join("logs").join(folder))
    }

    /// Takes a topic out and deletes its records; who waits for them is told. `false` when somebody else did.
    pub(crate) fn remove(&self, topic: &Topic) -> io::Result<bool> {
        {
            let mut table = write(&self.table);
            if table.by_id.remove(&topic.id).is_none() {
                return Ok(false);
            }
            table.by_name.remove(&topic.name);
        }
        topic.partitions().iter().try_for_each(|it| it.lock().delete())?;
        Ok(true)
    }
}

/// Ids are random; the few that Kafka reserves begin with zeros.
fn random_id() -> Uuid {
    let high = fastrand::u64(1 << 32..);
    Uuid(((u128::from(high) << 64) | u128::from(fastrand::u64(..))).to_be_bytes())
}

fn hex(id: Uuid) -> String {
    format!("{:032x}", u128::from_be_bytes(id.0))
}
