//! Leaders move, nodes stop, connections break: nothing is lost, doubled or overtaken, and nobody asks more than needed.

use std::time::{Duration, Instant};

use roka_broker::{Cluster, Fault};
use roka_client::producer::{Producer, ProducerConfig, RecordRef, TopicHandle};
use roka_client::{ApiKey, ErrorCode};

use crate::support::{client, cluster, eager, producer, read_batches, until, values};

/// Writes numbers to partition 0, one batch each as a rule.
struct Writer {
    producer: Producer,
    topic: TopicHandle,
    sent: usize,
}

impl Writer {
    async fn new(cluster: &Cluster, config: ProducerConfig) -> Self {
        let producer = producer(cluster, config);
        let topic = producer.topic("t").await.unwrap();
        let mut writer = Self { producer, topic, sent: 0 };
        writer.send(1).await;
        writer.producer.flush().await.unwrap();
        writer
    }

    async fn send(&mut self, records: usize) {
        for _ in 0..records {
            let value = format!("{:06}", self.sent);
            self.topic.send(0, RecordRef::value(value.as_bytes())).await.unwrap();
            self.sent += 1;
        }
    }

    /// Waits until all is acknowledged, then compares the log with what was sent.
    async fn check(self, cluster: &Cluster) {
        self.producer.flush().await.unwrap();
        let expected: Vec<_> = (0..self.sent).map(|i| format!("{i:06}")).collect();
        assert_eq!(values(cluster, "t", 0), expected);
        assert_eq!(self.topic.acked_offset(0), Some(self.sent as i64 - 1));
        let mut sequence = 0;
        for (batch, _) in read_batches(cluster, "t", 0) {
            assert_eq!((batch.producer_epoch, batch.base_sequence), (0, sequence));
            sequence += batch.count as i32;
        }
    }
}

fn another(cluster: &Cluster) -> i32 {
    let leader = cluster.leader("t", 0).unwrap().unwrap();
    cluster.nodes().into_iter().find(|node| *node != leader).unwrap()
}

#[tokio::test]
async fn a_hint_is_followed_without_asking_for_metadata() {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster, eager()).await;
    let asked = cluster.requests(ApiKey::Metadata);
    let started = Instant::now();
    for _ in 0..10 {
        cluster.move_leader("t", 0, another(&cluster)).unwrap();
        writer.send(20).await;
        writer.producer.flush().await.unwrap();
    }
    assert_eq!(cluster.requests(ApiKey::Metadata), asked);
    // Ten moves with a back-off each would take a second at least.
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
    writer.check(&cluster).await;
}

#[tokio::test]
async fn without_a_hint_one_question_finds_the_leaders_of_all_partitions() {
    let cluster = cluster(60);
    cluster.leader_hints(false);
    let producer = producer(&cluster, ProducerConfig::default().linger(Duration::from_secs(60)));
    let topic = producer.topic("t").await.unwrap();
    let write = async || {
        for p in 0..60 {
            topic.try_send(p, RecordRef::value(b"v")).unwrap();
        }
        producer.flush().await.unwrap();
    };
    write().await;
    let asked = cluster.requests(ApiKey::Metadata);
    for p in 0..60 {
        let leader = cluster.leader("t", p).unwrap().unwrap();
        cluster.move_leader("t", p, leader % 3 + 1).unwrap();
    }
    write().await;
    let asked = cluster.requests(ApiKey::Metadata) - asked;
    assert!((1..=2).contains(&asked), "{asked} questions for 60 partitions");
    assert!((0..60).all(|p| values(&cluster, "t", p) == ["v", "v"]));
}

#[tokio::test]
async fn old_metadata_is_asked_again_with_growing_distance() {
    let cluster = cluster(1);
    cluster.leader_hints(false);
    let mut writer = Writer::new(&cluster, eager()).await;
    let (asked, sent) = (cluster.requests(ApiKey::Metadata), cluster.requests(ApiKey::Produce));
    // The leader denies that it leads, metadata says that it does.
    cluster.fail(ApiKey::Produce, ErrorCode::NOT_LEADER_OR_FOLLOWER, 4);
    writer.send(1).await;
    writer.producer.flush().await.unwrap();
    let (asked, sent) =
        (cluster.requests(ApiKey::Metadata) - asked, cluster.requests(ApiKey::Produce) - sent);
    assert_eq!(sent, 5);
    assert!((1..=5).contains(&asked), "{asked}");
    writer.check(&cluster).await;
}

#[tokio::test]
async fn a_partition_without_leader_waits_and_sends_nothing() {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster, eager()).await;
    cluster.leaderless("t", 0).unwrap();
    writer.send(1).await;
    // The first attempt may still go to the old leader, who denies.
    let asked = cluster.requests(ApiKey::Metadata);
    until("metadata is asked for", || cluster.requests(ApiKey::Metadata) > asked + 1).await;
    let sent = cluster.requests(ApiKey::Produce);
    writer.send(10).await;
    let asked = cluster.requests(ApiKey::Metadata);
    until("it is asked again", || cluster.requests(ApiKey::Metadata) > asked + 1).await;
    assert_eq!(cluster.requests(ApiKey::Produce), sent);
    cluster.elect("t", 0).unwrap();
    writer.check(&cluster).await;
}

#[tokio::test]
async fn a_leader_that_hangs_is_left_as_soon_as_another_leads() {
    let cluster = cluster(1);
    let client = client(&cluster);
    let producer = client.producer(eager()).unwrap();
    let topic = producer.topic("t").await.unwrap();
    topic.send(0, RecordRef::value(b"a")).await.unwrap();
    producer.flush().await.unwrap();
    let hanging = cluster.leader("t", 0).unwrap().unwrap();
    cluster.hang(hanging).unwrap();
    topic.send(0, RecordRef::value(b"b")).await.unwrap();
    topic.send(0, RecordRef::value(b"c")).await.unwrap();
    cluster.move_leader("t", 0, another(&cluster)).unwrap();
    // Nobody tells the producer: it asks when the acknowledgement is late.
    tokio::time::timeout(Duration::from_secs(10), producer.flush()).await.unwrap().unwrap();
    cluster.resume(hanging).unwrap();
    topic.send(0, RecordRef::value(b"d")).await.unwrap();
    producer.flush().await.unwrap();
    assert_eq!(values(&cluster, "t", 0), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn rolling_the_cluster_loses_nothing() {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster, eager()).await;
    for node in cluster.nodes() {
        cluster.stop(node).unwrap();
        writer.send(30).await;
        writer.producer.flush().await.unwrap();
        cluster.start(node).unwrap();
        writer.send(30).await;
    }
    for node in cluster.nodes() {
        writer.send(30).await;
        cluster.kill(node).unwrap();
        writer.send(30).await;
        cluster.start(node).unwrap();
    }
    writer.check(&cluster).await;
}

#[tokio::test]
async fn broken_connections_double_nothing() {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster, eager()).await;
    for round in 0..30 {
        writer.send(20).await;
        match round % 3 {
            // Written, then the connection ends instead of an answer.
            0 => cluster.inject(Fault::disconnect().on(ApiKey::Produce)),
            1 => cluster.inject(Fault::cut_after(9).on(ApiKey::Produce)),
            _ => cluster.nodes().into_iter().for_each(|node| cluster.cut(node).unwrap()),
        }
    }
    writer.check(&cluster).await;
}

#[tokio::test]
async fn an_answer_that_never_comes_ends_the_connection_not_the_order() {
    let cluster = cluster(1);
    let config =
        roka_client::Config::new(cluster.bootstrap()).request_timeout(Duration::from_millis(300));
    let client = roka_client::Client::new(config).unwrap();
    let producer = client.producer(eager()).unwrap();
    let topic = producer.topic("t").await.unwrap();
    for fault in [Fault::drop_response(), Fault::swallow()] {
        cluster.inject(fault.on(ApiKey::Produce));
        for i in 0..10 {
            topic.send(0, RecordRef::value(format!("{i}").as_bytes())).await.unwrap();
        }
        producer.flush().await.unwrap();
    }
    let expected: Vec<_> = (0..10).chain(0..10).map(|i| i.to_string()).collect();
    assert_eq!(values(&cluster, "t", 0), expected);
}

#[tokio::test]
async fn what_passes_is_retried() {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster, eager()).await;
    for code in [2, 3, 5, 6, 7, 19, 20, 56, 72, 74, 75, 89, 100] {
        cluster.fail(ApiKey::Produce, ErrorCode(code), 1);
        writer.send(5).await;
        writer.producer.flush().await.unwrap();
        assert_eq!(cluster.faults_left(), 0, "{code}");
    }
    writer.check(&cluster).await;
}

#[tokio::test]
async fn without_idempotence_the_order_holds_too() {
    let cluster = cluster(1);
    let producer = producer(&cluster, eager().idempotent(false));
    let topic = producer.topic("t").await.unwrap();
    for i in 0..200 {
        if i % 20 == 0 {
            cluster.fail(ApiKey::Produce, ErrorCode::NOT_ENOUGH_REPLICAS, 1);
        }
        if i % 50 == 0 {
            cluster.move_leader("t", 0, another(&cluster)).unwrap();
        }
        topic.send(0, RecordRef::value(format!("{i:03}").as_bytes())).await.unwrap();
    }
    producer.flush().await.unwrap();
    let stored = values(&cluster, "t", 0);
    assert!(stored.len() == 200 && stored.is_sorted(), "{stored:?}");
}
