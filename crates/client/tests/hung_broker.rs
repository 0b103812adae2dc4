//! A broker that hangs, as one stopped by SIGSTOP does, costs a call little and is avoided then.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use roka_broker::Cluster;
use roka_client::admin::OffsetSpec;
use roka_client::{Client, Config, TopicPartition};

#[tokio::test]
async fn metadata_comes_from_those_that_answer() {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    let client = Client::new(Config::new(cluster.bootstrap())).unwrap();
    client.refresh_metadata().await.unwrap();
    for hung in cluster.nodes() {
        cluster.hang(hung).unwrap();
        for round in 0..3 {
            let begin = Instant::now();
            client.refresh_metadata().await.unwrap();
            let limit = Duration::from_secs(if round == 0 { 4 } else { 2 });
            assert!(begin.elapsed() < limit, "node {hung}, round {round}: {:?}", begin.elapsed());
        }
        cluster.resume(hung).unwrap();
    }
}

/// Far below the 30 s that a request may take.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_call_goes_to_who_took_over() {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    cluster.create_topic("t", 6, 3).unwrap();
    let client = Client::new(Config::new(cluster.bootstrap())).unwrap();
    let admin = client.admin();
    let all: Vec<_> = (0..6).map(|it| (TopicPartition::new("t", it), OffsetSpec::Latest)).collect();
    let list = async || {
        for result in admin.list_offsets(&all).await {
            assert_eq!(result.unwrap().offset, Some(0));
        }
    };
    let offsets = async || admin.list_group_offsets("g").await.unwrap();
    list().await;
    offsets().await;
    let hung = cluster.leader("t", 0).unwrap().unwrap();
    let other = cluster.nodes().into_iter().find(|node| *node != hung).unwrap();
    cluster.move_coordinator("g", hung).unwrap();
    offsets().await;
    cluster.hang(hung).unwrap();
    let begin = Instant::now();
    let calls = async { tokio::join!(list(), offsets()) };
    let takes_over = async {
        // The calls are under way.
        tokio::time::sleep(Duration::from_millis(500)).await;
        for partition in 0..6 {
            if cluster.leader("t", partition).unwrap() == Some(hung) {
                cluster.move_leader("t", partition, other).unwrap();
            }
        }
        cluster.move_coordinator("g", other).unwrap();
    };
    tokio::join!(calls, takes_over);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert_eq!(client.counters().request_timeouts, 0);
}
