//! A broker that hangs, as one stopped by SIGSTOP does, costs a call little and is avoided then.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use roka_broker::Cluster;
use roka_client::{Client, Config};

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
