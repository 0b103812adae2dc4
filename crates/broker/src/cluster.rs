//! The handle of a running cluster: what a test or a program asks of it and does to it.
//!
//! All methods may be called from any thread, inside and outside of async code. They change the shared state at once;
//! those that start or stop a node return when it listens or refuses.

mod faults;
mod followers;

use std::{
    fs::File,
    net::SocketAddr,
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use roka_protocol::{ApiKey, messages::create_topics::CreatableTopic};
use tokio::{runtime::Handle, sync::oneshot};
use tracing::warn;

use crate::{
    Builder, Error, api,
    net::{self, Port},
    node::Node,
    runtime::Started,
    state::{Mode, NodeInfo, Partition, Shared, lock, upkeep},
};

/// How long a node may take to close its connections before a command gives up waiting.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A running cluster. Dropping it stops all nodes.
#[derive(Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
    ports: Vec<Port>,
    handle: Handle,
    /// Per node: hears when it has stopped listening and its connections have ended.
    serving: Mutex<Vec<Option<mpsc::Receiver<()>>>>,
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
        let serving = Mutex::new(ports.iter().map(|_| None).collect());
        let cluster = Self {
            shared,
            ports,
            handle,
            serving,
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

    /// The addresses of all nodes, as clients take them: `127.0.0.1:9092,127.0.0.1:9093`.
    pub fn bootstrap(&self) -> String {
        let addresses = self.shared.nodes.iter().map(|it| it.address().to_string());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// The address of one node. It stays the same when the node stops and starts.
    pub fn address(&self, node: i32) -> Result<SocketAddr, Error> {
        self.info(node).map(NodeInfo::address)
    }

    /// The ids of all nodes, running or not.
    pub fn nodes(&self) -> Vec<i32> {
        self.shared.nodes.iter().map(|it| it.id).collect()
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

    /// How many requests of this API all nodes together have received.
    pub fn requests(&self, api: ApiKey) -> u64 {
        self.shared.nodes.iter().map(|it| it.requests(api.key())).sum()
    }

    /// How many requests of this API the node has received.
    pub fn requests_at(&self, node: i32, api: ApiKey) -> Result<u64, Error> {
        self.info(node).map(|it| it.requests(api.key()))
    }

    /// How many connections the node has accepted.
    pub fn connects(&self, node: i32) -> Result<u64, Error> {
        self.info(node).map(NodeInfo::connects)
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

    /// Starts a node that was stopped or killed; nothing when it runs. It takes part in its partitions again, and
    /// leads those that had no leader.
    pub fn start(&self, node: i32) -> Result<(), Error> {
        self.begin(node)?;
        self.shared.elect_all();
        Ok(())
    }

    fn begin(&self, node: i32) -> Result<(), Error> {
        let at = self.position(node)?;
        let mut serving = lock(&self.serving);
        if self.shared.nodes[at].is_live() {
            return Ok(());
        }
        // Its last connections may still be about to end.
        await_end(serving[at].take(), node);
        let listener = {
            let _within = self.handle.enter();
            self.ports[at].listen().map_err(|source| Error::Listen {
                node,
                address: self.ports[at].address().to_string(),
                source,
            })?
        };
        lock(&self.shared.nodes[at].sessions).clear();
        self.shared.nodes[at].set_mode(Mode::Running);
        let (ended, hear) = mpsc::channel();
        let served = Node::new(self.shared.clone(), at);
        self.handle.spawn(async move {
            net::serve(served, listener).await;
            let _ = ended.send(());
        });
        serving[at] = Some(hear);
        Ok(())
    }

    /// Stops a node in order: its partitions get other leaders, then its connections are closed and it refuses new
    /// ones.
    pub fn stop(&self, node: i32) -> Result<(), Error> {
        self.end_node(node, Mode::Stopped)
    }

    /// Stops a node as a crash does: clients see a reset.
    pub fn kill(&self, node: i32) -> Result<(), Error> {
        self.end_node(node, Mode::Killed)
    }

    fn end_node(&self, node: i32, mode: Mode) -> Result<(), Error> {
        let at = self.position(node)?;
        let mut serving = lock(&self.serving);
        self.shared.nodes[at].set_mode(mode);
        self.shared.elect_all();
        await_end(serving[at].take(), node);
        Ok(())
    }

    /// Stops all nodes and gives the data to the disk. Dropping the cluster does the same.
    pub fn shutdown(mut self) {
        self.end_all();
    }

    fn end_all(&mut self) {
        for node in &self.shared.nodes {
            node.set_mode(Mode::Stopped);
        }
        for (serving, node) in lock(&self.serving).iter_mut().zip(&self.shared.nodes) {
            await_end(serving.take(), node.id);
        }
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

    fn position(&self, node: i32) -> Result<usize, Error> {
        self.shared.nodes.iter().position(|it| it.id == node).ok_or(Error::UnknownNode(node))
    }

    fn info(&self, node: i32) -> Result<&NodeInfo, Error> {
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

/// Waits until a node that was told to has closed everything.
fn await_end(serving: Option<mpsc::Receiver<()>>, node: i32) {
    if let Some(ended) = serving
        && let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(STOP_TIMEOUT)
    {
        warn!(node, "the node has not ended its connections in time");
    }
}
