//! Brokers go and come back one after the other, or all at once; calls go on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use roka_broker::Cluster;
use roka_client::admin::OffsetSpec;
use roka_client::{Client, Config, TopicPartition};

async fn list(client: &Client) -> Duration {
    let begin = Instant::now();
    let all: Vec<_> =
        (0..12).map(|it| (TopicPartition::new("t", it), OffsetSpec::Latest)).collect();
    for result in client.admin().list_offsets(&all).await {
        assert_eq!(result.unwrap().offset, Some(0));
    }
    begin.elapsed()
}

#[tokio::test]
async fn each_node_in_turn() {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    cluster.create_topic("t", 12, 3).unwrap();
    let client = Client::new(Config::new(cluster.bootstrap())).unwrap();
    list(&client).await;
    for node in cluster.nodes() {
        for kill in [false, true] {
            if kill { cluster.kill(node) } else { cluster.stop(node) }.unwrap();
            let took = list(&client).await;
            assert!(took < Duration::from_secs(3), "without node {node}: {took:?}");
            cluster.start(node).unwrap();
            list(&client).await;
        }
    }
    let counters = client.counters();
    assert!(counters.metadata_refreshes < 100, "{counters:?}");
}

#[tokio::test]
async fn all_nodes_at_once() {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    cluster.create_topic("t", 12, 3).unwrap();
    let client = Client::new(Config::new(cluster.bootstrap())).unwrap();
    list(&client).await;
    for node in cluster.nodes() {
        cluster.kill(node).unwrap();
    }
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { list(&client).await }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!waiting.is_finished());
    for node in cluster.nodes() {
        cluster.start(node).unwrap();
    }
    let back = Instant::now();
    waiting.await.unwrap();
    assert!(back.elapsed() < Duration::from_secs(4), "{:?}", back.elapsed());
}
