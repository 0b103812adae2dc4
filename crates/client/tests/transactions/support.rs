//! A cluster with a topic of this test's own, transactional producers, and readers of what is committed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roka_broker::Cluster;
use roka_client::admin::{NewTopic, OffsetSpec};
use roka_client::consumer::{
    Decompressor, FetchEvent, FetcherConfig, Isolation, ResetPolicy, Start,
};
use roka_client::producer::{
    ProducerConfig, RecordRef, TopicHandle, TransactionError, TransactionalConfig,
    TransactionalProducer,
};
use roka_client::{Client, Config, TopicPartition};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

static NEXT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Place {
    pub(crate) client: Client,
    /// None on a cluster that is not ours.
    pub(crate) cluster: Option<Cluster>,
    pub(crate) name: String,
    pub(crate) level: i16,
}

impl Place {
    /// A cluster of three whose `transaction.version` is `level`, and a topic.
    pub(crate) async fn new(level: i16, partitions: i32) -> Self {
        let real = std::env::var("ROKA_TEST_BROKERS").ok().filter(|it| !it.is_empty());
        let (cluster, bootstrap) = if let Some(bootstrap) = real {
            (None, bootstrap)
        } else {
            let cluster =
                Cluster::builder().nodes(3).transaction_version(level).start().await.unwrap();
            let bootstrap = cluster.bootstrap();
            (Some(cluster), bootstrap)
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let name = format!("txn-{now}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let client = Client::new(Config::new(bootstrap)).unwrap();
        let brokers = client.admin().describe_cluster().await.unwrap().brokers.len();
        let topic = NewTopic::new(name.as_str(), partitions, brokers.min(3) as i16);
        client.admin().create_topic(topic).await.unwrap();
        Self { client, cluster, name, level }
    }

    pub(crate) async fn producer(&self) -> TransactionalProducer {
        self.producer_with(&self.name).await.unwrap()
    }

    pub(crate) async fn producer_with(
        &self,
        id: &str,
    ) -> Result<TransactionalProducer, TransactionError> {
        let config = ProducerConfig::default().linger(Duration::from_millis(1));
        let config = TransactionalConfig::new(id).producer(config);
        self.client.transactional_producer(config).await
    }

    pub(crate) fn partition(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(self.name.as_str(), partition)
    }

    /// The values of the partition that are seen, up to its present end.
    pub(crate) async fn values(&self, partition: i32, isolation: Isolation) -> Vec<String> {
        let partition = self.partition(partition);
        let admin = self.client.admin();
        let end = admin.list_offset(partition.clone(), OffsetSpec::Latest).await.unwrap();
        let end = end.offset.unwrap();
        let mut values = Vec::new();
        if end == 0 {
            return values;
        }
        let fetcher = self.client.fetcher(FetcherConfig::default().isolation(isolation)).unwrap();
        let queue = fetcher.queue(1 << 20);
        fetcher.assign(partition, Start::Earliest, ResetPolicy::Fail, &queue, 0);
        loop {
            let event = tokio::time::timeout(PATIENCE, queue.recv()).await;
            match event.expect("nothing came").expect("the queue ended") {
                FetchEvent::Data(chunk) => {
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    let mut decompressor = Decompressor::new();
                    chunk
                        .for_each(&mut decompressor, |it| values.push(text(it.value.unwrap())))
                        .unwrap();
                    if chunk.next().offset >= end {
                        return values;
                    }
                }
                FetchEvent::Failed { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
    }

    pub(crate) async fn committed(&self, partition: i32) -> Vec<String> {
        self.values(partition, Isolation::ReadCommitted).await
    }
}

pub(crate) async fn send(topic: &TopicHandle, partition: i32, value: &str) {
    topic.send(partition, RecordRef::value(value.as_bytes())).await.unwrap();
}
