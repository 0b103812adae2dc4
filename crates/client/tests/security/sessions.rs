//! Sessions that end are renewed on the live connection, under load, and nothing is lost or out of order by it.

use std::time::{Duration, Instant};

use roka_broker::{Cluster, Fault};
use roka_client::producer::{ProducerConfig, RecordRef};
use roka_client::security::SaslConfig;
use roka_client::{ApiKey, Config, ErrorCode};

use crate::support::{connects, works};

async fn cluster(session: Duration) -> Cluster {
    let builder = Cluster::builder().nodes(2).user("alice", "x").sasl_session(session);
    let cluster = builder.start().await.unwrap();
    cluster.create_topic("t", 4, 2).unwrap();
    cluster
}

fn config(cluster: &Cluster) -> Config {
    let sasl = SaslConfig::scram_sha_256("alice").password("x");
    Config::new(cluster.bootstrap()).sasl(sasl)
}

fn ends(cluster: &Cluster) -> i64 {
    (0..4).map(|partition| cluster.end_offset("t", partition).unwrap()).sum()
}

#[tokio::test]
async fn connections_outlive_their_sessions_under_load() {
    let cluster = cluster(Duration::from_secs(2)).await;
    let client = works(config(&cluster)).await;
    let producer = client.producer(ProducerConfig::default()).unwrap();
    let topic = producer.topic("t").await.unwrap();
    let begin = Instant::now();
    let mut sent = 0i64;
    let renewed = |client: &roka_client::Client| {
        let counters = client.counters();
        counters.authentications - counters.connects
    };
    // Each of the producer's connections twice, whatever else there is.
    while renewed(&client) < 4 {
        for _ in 0..50 {
            let key = sent.to_be_bytes();
            topic.send_keyed(RecordRef::new(&key, b"v")).await.unwrap();
            sent += 1;
        }
        producer.flush().await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", client.counters());
    }
    assert_eq!(ends(&cluster), sent);
    let counters = client.counters();
    assert_eq!(counters.disconnects, 0, "{counters:?}");
    assert_eq!(connects(&cluster), counters.connects);
}

#[tokio::test]
async fn a_refused_renewal_costs_the_connection_and_no_record() {
    let cluster = cluster(Duration::from_secs(1)).await;
    let client = works(config(&cluster)).await;
    let producer = client.producer(ProducerConfig::default()).unwrap();
    let topic = producer.topic("t").await.unwrap();
    topic.send_keyed(RecordRef::new(b"k", b"v")).await.unwrap();
    producer.flush().await.unwrap();
    let fault = Fault::fail(ErrorCode::SASL_AUTHENTICATION_FAILED).on(ApiKey::SaslAuthenticate);
    cluster.inject(fault.times(1));
    let begin = Instant::now();
    let mut sent = 1i64;
    while cluster.faults_left() > 0 || begin.elapsed() < Duration::from_secs(2) {
        for _ in 0..20 {
            let key = sent.to_be_bytes();
            topic.send_keyed(RecordRef::new(&key, b"v")).await.unwrap();
            sent += 1;
        }
        producer.flush().await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(60));
    }
    assert_eq!(ends(&cluster), sent);
}

#[tokio::test]
async fn an_idle_connection_is_closed_instead_of_renewed() {
    let cluster = cluster(Duration::from_secs(1)).await;
    let client = works(config(&cluster)).await;
    let begin = Instant::now();
    // The first time counts what was done before; the second finds nothing.
    let (mut before, mut quiet) = (cluster.requests(ApiKey::SaslHandshake), Instant::now());
    while quiet.elapsed() < Duration::from_secs(3) {
        assert!(begin.elapsed() < Duration::from_secs(60), "it goes on for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = cluster.requests(ApiKey::SaslHandshake);
        if std::mem::replace(&mut before, now) != now {
            quiet = Instant::now();
        }
    }
    client.admin().describe_cluster().await.unwrap();
}
