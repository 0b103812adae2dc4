//! Calls reach whoever must answer, over a cluster of three brokers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use roka_broker::Cluster;
use roka_client::protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use roka_client::{ApiKey, Client, Config};

fn topic(name: &str) -> CreateTopicsRequest {
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: 3,
        replication_factor: 3,
        ..CreatableTopic::default()
    };
    CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() }
}

#[tokio::test]
async fn metadata_names_all_brokers() {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    let client = Client::new(Config::new(cluster.bootstrap())).unwrap();
    assert!(client.metadata().brokers.is_empty(), "nothing was asked yet");
    let metadata = client.refresh_metadata().await.unwrap();
    let mut ids: Vec<_> = metadata.brokers.keys().map(|node| node.0).collect();
    ids.sort_unstable();
    assert_eq!(ids, cluster.nodes());
    assert_eq!(cluster.requests(ApiKey::Metadata), 1);
    client.close().await;
    assert!(client.refresh_metadata().await.is_err());
}

#[tokio::test]
async fn the_controller_creates_a_topic() {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    let client = Client::new(Config::new(cluster.bootstrap())).unwrap();
    let response = client.call(topic("clicks")).await.unwrap();
    assert_eq!(response.topics[0].error_code, 0);
    let counters = client.counters();
    assert_eq!(counters.requests(ApiKey::CreateTopics), 1);
    assert_eq!(counters.api(ApiKey::CreateTopics).retries, 0);
    // The same again: an error of the request, given to the caller as it is.
    let again = client.call(topic("clicks")).await.unwrap();
    assert_eq!(again.topics[0].error_code, 36);
}

#[test]
fn any_thread_and_no_runtime_will_do() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    let client = Client::new(Config::new(cluster.bootstrap())).unwrap();
    let waker = std::task::Waker::noop();
    let mut call = std::pin::pin!(client.refresh_metadata());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let metadata = loop {
        match call.as_mut().poll(&mut std::task::Context::from_waker(waker)) {
            std::task::Poll::Ready(metadata) => break metadata.unwrap(),
            std::task::Poll::Pending => std::thread::yield_now(),
        }
        assert!(std::time::Instant::now() < deadline, "no answer");
    };
    assert_eq!(metadata.brokers.len(), 1);
}
