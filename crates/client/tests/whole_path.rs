//! Create, produce, look, consume in a group, commit, delete: on the embedded cluster as each release of Kafka,
//! and on the cluster named by `ROKA_TEST_BROKERS`, if there is one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, SystemTime};

use roka_broker::Cluster;
use roka_client::admin::{NewTopic, OffsetSpec};
use roka_client::consumer::{ConsumerConfig, Decompressor};
use roka_client::producer::{ProducerConfig, RecordRef};
use roka_client::{Client, Config, TopicPartition};
use tokio::time::timeout;

const RECORDS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes and reads back; `creates` is false for releases whose topics are made by other means.
async fn whole_path(bootstrap: &str, topic: &str, creates: bool) {
    let client = Client::new(Config::new(bootstrap)).unwrap();
    let admin = client.admin();
    let brokers = admin.describe_cluster().await.unwrap().brokers;
    if creates {
        let replication = brokers.len().min(2) as i16;
        admin.create_topic(NewTopic::new(topic, 3, replication)).await.unwrap();
    }

    let versions = admin.describe_versions(brokers[0].id).await.unwrap();
    let modern = versions.apis.contains_key(&roka_client::ApiKey::InitProducerId);
    let producer = client.producer(ProducerConfig::default().idempotent(modern)).unwrap();
    let handle = producer.topic(topic).await.unwrap();
    for i in 0..RECORDS {
        let (key, value) = (format!("key {i}"), format!("value {i}"));
        handle.send_keyed(RecordRef::new(key.as_bytes(), value.as_bytes())).await.unwrap();
    }
    producer.close().await.unwrap();

    let ends: Vec<_> =
        (0..3).map(|it| (TopicPartition::new(topic, it), OffsetSpec::Latest)).collect();
    let ends = admin.list_offsets(&ends).await;
    let total: i64 = ends.into_iter().map(|it| it.unwrap().offset.unwrap()).sum();
    assert_eq!(total, RECORDS as i64);

    let group = format!("group of {topic}");
    let mut consumer = client.consumer(ConsumerConfig::new(group.as_str(), [topic])).unwrap();
    let mut seen = Vec::new();
    let mut decompressor = Decompressor::new();
    while seen.len() < RECORDS {
        let chunk = timeout(PATIENCE, consumer.recv()).await.expect("no records").unwrap();
        chunk
            .for_each(&mut decompressor, |record| {
                let text =
                    |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
                let (key, value) = (text(record.key), text(record.value));
                assert_eq!(key.strip_prefix("key "), value.strip_prefix("value "));
                seen.push(value);
            })
            .unwrap();
    }
    consumer.commit().await.unwrap();
    consumer.close().await.unwrap();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), RECORDS);

    let all: Vec<_> = (0..3).map(|it| TopicPartition::new(topic, it)).collect();
    let committed = admin.list_group_offsets_of(&group, &all).await.unwrap();
    let committed = committed.into_iter().map(|it| it.committed.unwrap());
    let committed: i64 = committed.map(|it| it.map_or(0, |it| it.offset)).sum();
    assert_eq!(committed, RECORDS as i64);
    if creates {
        admin.delete_topic(topic).await.unwrap();
    }
    client.close().await;
}

#[tokio::test]
async fn on_every_release() {
    let releases =
        ["0.10.0", "0.10.2", "1.0", "1.1", "2.0", "2.4", "2.8", "3.3", "3.9", "4.0", "4.3"];
    for release in releases {
        let cluster = Cluster::builder().nodes(3).start().await.unwrap();
        cluster.pretend(release).unwrap();
        let creates = release != "0.10.0";
        if !creates {
            cluster.create_topic("t", 3, 1).unwrap();
        }
        println!("as {release}");
        whole_path(&cluster.bootstrap(), "t", creates).await;
    }
}

#[tokio::test]
async fn on_a_cluster_in_the_midst_of_an_upgrade() {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    for (node, release) in [(1, "2.8"), (2, "3.3"), (3, "4.0")] {
        cluster.pretend_at(node, release).unwrap();
    }
    whole_path(&cluster.bootstrap(), "t", true).await;
}

#[tokio::test]
async fn on_the_cluster_of_the_environment() {
    let Ok(bootstrap) = std::env::var("ROKA_TEST_BROKERS") else { return };
    // Before 0.10.1 a client cannot create topics: name one with three empty partitions.
    if let Ok(topic) = std::env::var("ROKA_TEST_TOPIC") {
        return whole_path(&bootstrap, &topic, false).await;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    whole_path(&bootstrap, &format!("whole-path-{}", now.as_nanos()), true).await;
}
