//! What the behaviour tests share: a cluster, unique names, a processor in the background, waiting.
//!
//! The cluster is the embedded one, or the real Kafka that `ROKA_TEST_BROKERS` names. Names of topics and groups carry a
//! random part, so that tests can share a cluster.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    sync::Once,
    time::{Duration, Instant},
};

use roka::{
    Config, GroupGraph, Key, Processor, ProcessorError, ProcessorHandle, State, StoreKind, Stream,
};
use roka_client::{
    Client, TopicPartition,
    admin::{NewTopic, OffsetSpec},
    consumer::{Decompressor, FetchEvent, FetcherConfig, ResetPolicy, Start},
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster and a folder for local state.
pub struct Env {
    /// None on real Kafka.
    pub cluster: Option<roka_broker::Cluster>,
    brokers: Vec<String>,
    suffix: String,
    pub folder: TempDir,
    pub client: Client,
}

impl Env {
    /// Three nodes.
    pub fn new() -> Self {
        show_logs();
        let brokers = std::env::var("ROKA_TEST_BROKERS").ok().filter(|brokers| !brokers.is_empty());
        let cluster = match brokers {
            Some(_) => None,
            None => Some(roka_broker::Cluster::builder().nodes(3).start_blocking().unwrap()),
        };
        let brokers = brokers.unwrap_or_else(|| cluster.as_ref().unwrap().bootstrap());
        let client = Client::new(roka_client::Config::new(&brokers)).unwrap();
        Self {
            cluster,
            brokers: brokers.split(',').map(str::to_owned).collect(),
            suffix: format!("{:08x}", fastrand::u32(..)),
            folder: TempDir::new().unwrap(),
            client,
        }
    }

    /// A name that no other test uses.
    pub fn name(&self, base: &str) -> String {
        format!("{base}-{}", self.suffix)
    }

    /// Local state in `folder` below the test's own; commits often.
    pub fn config(&self, folder: &str) -> Config {
        Config {
            state_dir: self.folder.path().join(folder),
            replication: 3,
            workers: 2,
            commit_interval: Duration::from_millis(100),
            store_interval: Duration::from_millis(500),
            session_timeout: Duration::from_secs(10),
            ..Config::new(self.brokers.clone())
        }
    }

    /// As [`config`](Self::config), without anything on disk.
    pub fn memory(&self) -> Config {
        Config { store: StoreKind::Memory, ..self.config("unused") }
    }

    pub fn brokers(&self) -> &[String] {
        &self.brokers
    }

    pub async fn topic(&self, name: &str, partitions: i32) {
        self.topic_with(name, partitions, &[]).await;
    }

    pub async fn topic_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let topic = NewTopic::new(name, partitions, 3);
        let topic = settings.iter().fold(topic, |topic, (name, value)| topic.config(*name, *value));
        self.client.admin().create_topic(topic).await.unwrap();
    }

    /// How many partitions a topic has, which not every broker knows as soon as it is made.
    async fn partitions(&self, topic: &str) -> i32 {
        let started = Instant::now();
        loop {
            match self.client.admin().describe_topic(topic).await {
                Ok(topic) => return topic.partitions.len() as i32,
                Err(error) => {
                    assert!(error.is_unknown_topic() && started.elapsed() < PATIENCE, "{error}");
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All records of a topic: key and value by partition and offset order.
    pub async fn records(&self, topic: &str) -> Vec<Seen> {
        let partitions = self.partitions(topic).await;
        let mut all = Vec::new();
        let fetcher = self.client.fetcher(FetcherConfig::default()).unwrap();
        for partition in 0..partitions {
            let name = TopicPartition::new(topic, partition);
            let end = self.client.admin().list_offset(name.clone(), OffsetSpec::Latest).await;
            let end = end.unwrap().offset.unwrap();
            let queue = fetcher.queue(16 << 20);
            fetcher.assign(name, Start::Earliest, ResetPolicy::Fail, &queue, 0);
            let mut position = 0;
            let mut decompressor = Decompressor::new();
            while position < end {
                let event = tokio::time::timeout(PATIENCE, queue.recv()).await.unwrap().unwrap();
                match event {
                    FetchEvent::Data(chunk) => {
                        position = chunk.next().offset;
                        let take = |record: roka_client::consumer::Record<'_>| {
                            all.push(Seen {
                                partition,
                                key: record.key.map(<[u8]>::to_vec),
                                value: record.value.map(<[u8]>::to_vec),
                                headers: record
                                    .headers
                                    .map(|(name, value)| {
                                        let value = value.unwrap_or_default();
                                        (text(name), text(value))
                                    })
                                    .collect(),
                            });
                        };
                        chunk.for_each(&mut decompressor, take).unwrap();
                    }
                    FetchEvent::Reset(reset) => position = reset.to,
                    other => panic!("{other:?}"),
                }
            }
        }
        all
    }

    /// The last value of each key of a table topic; deleted rows are left out.
    pub async fn table(&self, topic: &str) -> BTreeMap<String, String> {
        let mut rows = BTreeMap::new();
        for record in self.records(topic).await {
            let key = text(&record.key.unwrap_or_default());
            match record.value {
                Some(value) => rows.insert(key, text(&value)),
                None => rows.remove(&key),
            };
        }
        rows
    }

    /// How much of the topic the group has not committed.
    pub async fn lag(&self, group: &str, topic: &str) -> i64 {
        let partitions = self.partitions(topic).await;
        let committed = self.client.admin().list_group_offsets(group).await.unwrap();
        let mut lag = 0;
        for partition in 0..partitions {
            let name = TopicPartition::new(topic, partition);
            let end = self.client.admin().list_offset(name.clone(), OffsetSpec::Latest).await;
            let end = end.unwrap().offset.unwrap();
            let done = committed.iter().find(|offset| offset.partition == name);
            let done = done.and_then(|done| done.committed.as_ref().unwrap().as_ref());
            lag += end - done.map_or(0, |done| done.offset);
        }
        lag
    }

    /// Waits until the group has committed all of the topic.
    pub async fn drained(&self, group: &str, topic: &str) {
        until(&format!("{group} has committed all of {topic}"), async || {
            self.lag(group, topic).await == 0
        })
        .await;
    }
}

/// A record as it lies in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, String)>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A processor in the background.
pub struct Running<K: Key, V: 'static> {
    pub handle: ProcessorHandle<K, V>,
    task: JoinHandle<Result<(), ProcessorError>>,
}

/// Starts a processor.
pub fn start<K: Key, V: 'static>(graph: GroupGraph<K, V>, config: Config) -> Running<K, V> {
    let processor = Processor::new(graph, config).unwrap();
    let handle = processor.handle();
    let task = tokio::spawn(processor.run_until(std::future::pending()));
    Running { handle, task }
}

impl<K: Key, V: 'static> Running<K, V> {
    /// Waits until all partitions are recovered.
    pub async fn ready(&self) {
        let ready = tokio::time::timeout(PATIENCE, self.handle.wait_ready()).await;
        assert!(ready.expect("the processor is not ready in time"), "the processor has stopped");
    }

    /// Stops it in order.
    pub async fn stop(self) -> Result<(), ProcessorError> {
        self.handle.stop();
        self.ended().await
    }

    /// Waits until it has ended by itself.
    pub async fn ended(self) -> Result<(), ProcessorError> {
        let result = tokio::time::timeout(PATIENCE, self.task).await;
        let result = result.expect("the processor does not end in time").unwrap();
        assert_eq!(self.handle.state(), State::Stopped);
        result
    }
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A stream of text under another name.
pub fn stream(topic: &str) -> Stream<String, String> {
    Stream::text("").renamed(topic)
}

/// Logs go to the test's output with `RUST_LOG` set.
pub fn show_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().init();
    });
}
