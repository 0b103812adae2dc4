//! All brokers that are known are gone, or the cluster says so: the client starts from its bootstrap addresses again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use roka_broker::{Cluster, Fault};
use roka_client::producer::{ProducerConfig, RecordRef};
use roka_client::{
    Address, ApiKey, Client, Config, Connecting, ErrorCode, TcpTransport, Transport,
};

use crate::support::{Since, cluster, ms};
use crate::table::{Row, Scenario, row};
use crate::writer::Writer;

pub(crate) fn rows() -> Vec<Scenario> {
    vec![
        row("R1", "KIP-899: all brokers replaced, the bootstrap name follows: 0 failures", r1),
        row(
            "R2",
            "KIP-1102: 1 Metadata refused, 1 from a bootstrap address; in flight unharmed",
            r2,
        ),
    ]
}

/// A name service with one name, `boot`.
#[derive(Clone)]
struct Names(Arc<Mutex<SocketAddr>>);

impl Transport for Names {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        Box::pin(async move {
            if &*address.host != "boot" {
                return TcpTransport.connect(address).await;
            }
            let now = *self.0.lock().unwrap();
            TcpTransport.connect(&Address::new(now.ip().to_string(), now.port())).await
        })
    }
}

async fn write(topic: &roka_client::producer::TopicHandle, value: &str) {
    let receipt = topic.send_with_receipt(0, RecordRef::value(value.as_bytes())).await.unwrap();
    receipt.await.unwrap();
}

fn replace_all(cluster: &Cluster) {
    for node in cluster.nodes() {
        cluster.kill(node).unwrap();
        cluster.readdress(node).unwrap();
    }
}

async fn r1(row: Row) {
    let cluster = cluster(1);
    let names = Names(Arc::new(Mutex::new(cluster.address(1).unwrap())));
    let config = Config::new("boot:9092");
    let client = Client::with_transport(config, Arc::new(names.clone())).unwrap();
    let config = ProducerConfig::default().linger(Duration::ZERO);
    let producer = client.producer(config).unwrap();
    let topic = producer.topic("t").await.unwrap();
    write(&topic, "a").await;
    for round in 0..2 {
        replace_all(&cluster);
        let since = Since::now(&cluster, &client, &[ApiKey::Metadata]);
        let pending = tokio::spawn({
            let topic = topic.clone();
            async move { write(&topic, "b").await }
        });
        tokio::time::sleep(Duration::from_millis(1500)).await;
        row.measured(format!("{round}: {} failed dials in 1.5 s", since.failed_dials()));
        *names.0.lock().unwrap() = cluster.address(2).unwrap();
        cluster.nodes().into_iter().for_each(|node| cluster.start(node).unwrap());
        let begin = Instant::now();
        pending.await.unwrap();
        row.measured(format!(
            "delivered {} after, {} Metadata",
            ms(begin.elapsed()),
            since.got(ApiKey::Metadata)
        ));
    }
    assert_eq!(cluster.end_offset("t", 0).unwrap(), 3);
}

async fn r2(row: Row) {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster).await;
    let client = writer.client.clone();
    let late = Fault::answer_late(Duration::from_millis(500)).on(ApiKey::Produce);
    cluster.inject(late);
    writer.fill(1).await;
    cluster.fail(ApiKey::Metadata, ErrorCode::REBOOTSTRAP_REQUIRED, 1);
    let since = Since::now(&cluster, &client, &[ApiKey::Metadata, ApiKey::Produce]);
    client.refresh_metadata().await.unwrap();
    assert_eq!(since.got(ApiKey::Metadata), 2);
    writer.producer.flush().await.unwrap();
    assert_eq!(since.errors(ApiKey::Produce), 0, "what was in flight is answered");
    row.measured(since.summary());
    writer.write(5).await;
    writer.check(&cluster).await;
}
