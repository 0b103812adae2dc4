//! The handle of a running cluster: what a test or a program asks of it and does to it.
//!
//! All methods may be called from any thread, inside and outside of async code. They change the shared state at once;
//! those that start or stop a node return when it listens or refuses.

mod faults;
mod followers;
mod lies;
mod nodes;

use std::{
    fs::File,
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use roka_protocol::{ApiKey, messages::create_topics::CreatableTopic};
use tokio::{runtime::Handle, sync::oneshot};
use tracing::warn;

use self::nodes::Seat;
use crate::{
    Builder, Error, api,
    runtime::Started,
    state::{Mode, NodeInfo, Partition, Shared, lock, upkeep},
};

/// A running cluster. Dropping it stops all nodes.
#[derive(Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
    handle: Handle,
    seats: Mutex<Vec<Seat>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Keeps other clusters out of the data folder; let go when everything has ended.
    _folder: Option<File>,
}

impl Cluster {
    /// What the cluster is to be.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn launch(started: Started, thread: JoinHandle<()>) -> Result<Self, Error> {
        let Started { shared, ports, handle, end, folder } = started;
        let seats = shared.nodes().into_iter().zip(ports).map(|(info, port)| Seat::new(info, port));
        let cluster = Self {
            seats: Mutex::new(seats.collect()),
            shared,
            handle,
            end: Some(end),
            thread: Some(thread),
            _folder: folder,
        };
        // Leaders are chosen when all are there, so that they are spread as they were placed.
        cluster.nodes().into_iter().try_for_each(|node| cluster.begin(node))?;
        cluster.shared.elect_all();
        cluster.handle.spawn(upkeep::run(cluster.shared.clone()));
        Ok(cluster)
    }

    /// The addresses of all nodes, running or not, as clients take them: `127.0.0.1:9092,127.0.0.1:9093`.
    pub fn bootstrap(&self) -> String {
        let addresses = self.shared.nodes().into_iter().map(|it| it.address().to_string());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// The address of one node. It stays the same when the node stops and starts, and changes by
    /// [`readdress`](Self::readdress).
    pub fn address(&self, node: i32) -> Result<SocketAddr, Error> {
        self.info(node).map(|it| it.address())
    }

    /// The ids of all nodes, running or not.
    pub fn nodes(&self) -> Vec<i32> {
        self.shared.nodes().iter().map(|it| it.id).collect()
    }

    /// Makes a topic with the cluster's default settings.
    pub fn create_topic(&self, name: &str, partitions: i32, replication: i16) -> Result<(), Error> {
        self.create_topic_with(name, partitions, replication, &[])
    }

    /// Makes a topic with settings of its own, such as `("cleanup.policy", "compact")`. The errors are those of
    /// Kafka's `CreateTopics`.
    pub fn create_topic_with(
        &self,
        name: &str,
        partitions: i32,
        replication: i16,
        settings: &[(&str, &str)],
    ) -> Result<(), Error> {
        let asked = CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: replication,
            configs: api::topic_settings(settings),
            ..Default::default()
        };
        let made = api::create_topic(&self.shared, asked);
        made.map_err(|(error, text)| Error::Refused { topic: name.to_owned(), error, text })
    }

    /// Ends the active segments of the topic and compacts what came before, whatever its `cleanup.policy`: of each key
    /// only the newest record stays, tombstones until `delete.retention.ms` after the first compaction that saw them.
    pub fn compact(&self, topic: &str) -> Result<(), Error> {
        let found = self.shared.topics.by_name(topic);
        let found = found
            .ok_or_else(|| Error::UnknownPartition { topic: topic.to_owned(), partition: 0 })?;
        Shared::compact_now(&found).map_err(Error::io(format!("topic {topic} cannot be compacted")))
    }

    /// Deletes now what the topics' `retention.ms` and `retention.bytes` do not keep, which happens by itself every
    /// `log.retention.check.interval.ms`.
    pub fn enforce_retention(&self) {
        self.shared.retain_all();
    }

    /// How many requests of this API all nodes together have received, without those that were removed.
    pub fn requests(&self, api: ApiKey) -> u64 {
        self.shared.nodes().iter().map(|it| it.requests(api.key())).sum()
    }

    /// How many requests of this API the node has received.
    pub fn requests_at(&self, node: i32, api: ApiKey) -> Result<u64, Error> {
        self.info(node).map(|it| it.requests(api.key()))
    }

    /// How many connections the node has accepted.
    pub fn connects(&self, node: i32) -> Result<u64, Error> {
        self.info(node).map(|it| it.connects())
    }

    /// How many connections to the node are open.
    pub fn connections(&self, node: i32) -> Result<usize, Error> {
        self.info(node).map(|it| it.open())
    }

    /// The node that leads the partition; `None` when it is leaderless.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<Option<i32>, Error> {
        Ok(self.partition(topic, partition)?.leadership().leader)
    }

    /// The node that coordinates the group, or the transactional id; `None` when no node lives.
    pub fn coordinator(&self, group: &str) -> Option<i32> {
        self.shared.groups.coordinator(&self.shared, group)
    }

    /// Where the partition's log ends: the offset that the next record gets.
    pub fn end_offset(&self, topic: &str, partition: i32) -> Result<i64, Error> {
        Ok(self.partition(topic, partition)?.lock().log.end())
    }

    /// Stops all nodes and gives the data to the disk. Dropping the cluster does the same.
    pub fn shutdown(mut self) {
        self.end_all();
    }

    fn end_all(&mut self) {
        let mut seats = lock(&self.seats);
        seats.iter().for_each(|seat| seat.info.set_mode(Mode::Stopped));
        seats.iter_mut().for_each(Seat::await_end);
        drop(seats);
        for topic in self.shared.topics.all() {
            for partition in topic.partitions().iter() {
                if let Err(error) = partition.lock().log.sync() {
                    warn!(topic = &*topic.name, partition = partition.index, %error, "sync failed");
                }
            }
        }
        if let Some(end) = self.end.take() {
            let _ = end.send(());
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            warn!("the cluster's thread had panicked");
        }
    }

    fn info(&self, node: i32) -> Result<Arc<NodeInfo>, Error> {
        self.shared.node(node).ok_or(Error::UnknownNode(node))
    }

    fn partition(&self, topic: &str, partition: i32) -> Result<Arc<Partition>, Error> {
        let found = self.shared.topics.by_name(topic).and_then(|it| it.partition(partition));
        found.ok_or_else(|| Error::UnknownPartition { topic: topic.to_owned(), partition })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end_all();
    }
}
