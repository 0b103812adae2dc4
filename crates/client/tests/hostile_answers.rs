//! Connections that end anywhere, answers that come twice or not at all: the call succeeds all the same.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use roka_broker::{Cluster, Fault};
use roka_client::admin::{NewTopic, OffsetSpec};
use roka_client::{ApiKey, Client, Config, TopicPartition};

async fn start() -> (Cluster, Client) {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    cluster.create_topic("t", 3, 3).unwrap();
    let config = Config::new(cluster.bootstrap())
        .request_timeout(Duration::from_secs(1))
        .retry_backoff(Duration::from_millis(5))
        .retry_backoff_max(Duration::from_millis(20))
        .reconnect_backoff(Duration::from_millis(5))
        .reconnect_backoff_max(Duration::from_millis(20));
    (cluster, Client::new(config).unwrap())
}

async fn list(client: &Client) {
    let all: Vec<_> = (0..3).map(|it| (TopicPartition::new("t", it), OffsetSpec::Latest)).collect();
    for result in client.admin().list_offsets(&all).await {
        assert_eq!(result.unwrap().offset, Some(0));
    }
}

#[tokio::test]
async fn an_answer_cut_at_any_byte_is_asked_for_again() {
    let (cluster, client) = start().await;
    for bytes in 0..60 {
        cluster.inject(Fault::cut_after(bytes).on(ApiKey::ListOffsets));
        list(&client).await;
    }
    assert_eq!(cluster.faults_left(), 0);
    assert!(client.counters().disconnects >= 50, "{:?}", client.counters());
}

#[tokio::test]
async fn metadata_cut_at_any_byte_is_asked_for_again() {
    let (cluster, client) = start().await;
    for bytes in 0..60 {
        cluster.inject(Fault::cut_after(bytes).on(ApiKey::Metadata));
        assert_eq!(client.refresh_metadata().await.unwrap().brokers.len(), 3);
    }
}

#[tokio::test]
async fn an_answer_that_comes_twice_ends_the_connection_only() {
    let (cluster, client) = start().await;
    for _ in 0..10 {
        cluster.inject(Fault::repeat().on(ApiKey::ListOffsets));
        list(&client).await;
    }
    assert_eq!(cluster.faults_left(), 0);
}

#[tokio::test]
async fn an_answer_that_never_comes_costs_one_time_out() {
    let (cluster, client) = start().await;
    cluster.inject(Fault::swallow().on(ApiKey::ListOffsets));
    let begin = std::time::Instant::now();
    list(&client).await;
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(2), "{took:?}");
    assert_eq!(client.counters().request_timeouts, 1);
}

#[tokio::test]
async fn a_topic_created_by_a_lost_answer_exists() {
    let (cluster, client) = start().await;
    cluster.inject(Fault::disconnect().on(ApiKey::CreateTopics));
    let admin = client.admin();
    let error = admin.create_topic(NewTopic::new("new", 1, 1)).await.unwrap_err();
    assert!(error.is_topic_exists(), "{error}");
    admin.describe_topic("new").await.unwrap();
}
