//! S1: a producer is told that a partition's leader moved. It finds the new one at once, asks no more than needed, and
//! neither loses, doubles nor reorders anything.

use roka_broker::Cluster;
use roka_client::producer::{Producer, ProducerConfig, RecordRef, TopicHandle};
use roka_client::{ApiKey, Client};

use crate::support::{Since, client, cluster};
use crate::table::{Row, Scenario, row};

pub(crate) fn rows() -> Vec<Scenario> {
    vec![row("S1a", "0 Metadata; at most 5 refused Produce", s1a)]
}

/// Writes numbers to partition 0 of `t`, without linger.
struct Writer {
    client: Client,
    producer: Producer,
    topic: TopicHandle,
    sent: usize,
}

impl Writer {
    async fn new(cluster: &Cluster) -> Self {
        let client = client(cluster);
        let config = ProducerConfig::default().linger(std::time::Duration::ZERO);
        let producer = client.producer(config).unwrap();
        let topic = producer.topic("t").await.unwrap();
        let mut writer = Self { client, producer, topic, sent: 0 };
        writer.write(1).await;
        writer
    }

    async fn write(&mut self, records: usize) {
        for _ in 0..records {
            let value = format!("{:06}", self.sent);
            self.topic.send(0, RecordRef::value(value.as_bytes())).await.unwrap();
            self.sent += 1;
        }
        self.producer.flush().await.unwrap();
    }
}

fn another(cluster: &Cluster) -> i32 {
    let leader = cluster.leader("t", 0).unwrap().unwrap();
    cluster.nodes().into_iter().find(|node| *node != leader).unwrap()
}

async fn s1a(row: Row) {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster).await;
    let client = writer.client.clone();
    let since = Since::now(&cluster, &client, &[ApiKey::Metadata, ApiKey::Produce]);
    cluster.move_leader("t", 0, another(&cluster)).unwrap();
    writer.write(1).await;
    assert_eq!(since.got(ApiKey::Metadata), 0);
    assert_eq!(since.got(ApiKey::Produce), 2, "one refused, one taken");
    assert_eq!(since.sent(ApiKey::Produce), 2);
    row.measured(since.summary());
}
