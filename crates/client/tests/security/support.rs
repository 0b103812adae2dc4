//! What the tests share.

use std::time::{Duration, Instant};

use roka_broker::Cluster;
use roka_client::security::SecurityError;
use roka_client::{Client, Config};

/// "Within 5 s" for the busiest machine: an error that came by a time-out would take 60 s.
const SOON: Duration = Duration::from_secs(20);

pub(crate) fn connects(cluster: &Cluster) -> u64 {
    cluster.nodes().into_iter().map(|node| cluster.connects(node).unwrap()).sum()
}

/// A call works.
pub(crate) async fn works(config: Config) -> Client {
    let client = Client::new(config).unwrap();
    let described = client.admin().describe_cluster().await.unwrap();
    assert!(!described.brokers.is_empty());
    client
}

/// Calls of every kind fail soon, for a reason of trust, and with few dials.
pub(crate) async fn refused(cluster: &Cluster, config: Config) -> SecurityError {
    let begin = Instant::now();
    let before = connects(cluster);
    let client = Client::new(config).unwrap();
    let error = client.admin().describe_cluster().await.unwrap_err();
    let metadata = client.refresh_metadata().await.unwrap_err();
    let producer = client.producer(roka_client::producer::ProducerConfig::default()).unwrap();
    let topic = producer.topic("t").await.unwrap_err();
    let groups = client.admin().list_groups().await.unwrap_err();
    for error in [&metadata, &topic, &groups] {
        assert!(error.security().is_some(), "{error:?}");
    }
    assert!(begin.elapsed() < SOON, "it took {:?}", begin.elapsed());
    // Whoever goes on asking gets the same answer without a dial for each.
    for _ in 0..200 {
        client.admin().describe_cluster().await.unwrap_err();
    }
    let dials = connects(cluster) - before;
    // One or two at each address (five where it takes so many to know), and then one each second at first.
    let most = 4 + 2 * (cluster.nodes().len() as u64) * (2 + begin.elapsed().as_secs());
    assert!(dials <= most, "{dials} dials in {:?}", begin.elapsed());
    client.close().await;
    match error.security() {
        Some(security) => {
            assert!(error.to_string().contains(&security.to_string()), "{error}");
            println!("{error}");
            security.clone()
        }
        None => panic!("not refused for a reason of trust: {error:?}"),
    }
}
