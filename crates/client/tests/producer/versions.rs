//! Brokers of all ages.

use std::ops::RangeInclusive;
use std::time::Duration;

use roka_client::ApiKey;
use roka_client::producer::{Compression, ProduceError, ProducerConfig, RecordRef};

use crate::support::{cluster, eager, now_ms, producer, read, read_batches, values};

/// No version at all: the API is unknown.
const NONE: RangeInclusive<i16> = RangeInclusive::new(0, -1);

#[tokio::test]
async fn every_version_of_produce() {
    for version in 3..=13 {
        let cluster = cluster(1);
        cluster.cap_versions(ApiKey::Produce, 0..=version);
        let producer = producer(&cluster, eager());
        let topic = producer.topic("t").await.unwrap();
        let headers: [(&[u8], Option<&[u8]>); 1] = [(b"h", Some(b"1"))];
        for value in ["a", "b"] {
            let record = RecordRef::value(value.as_bytes()).headers(&headers);
            topic.send(0, record).await.unwrap();
        }
        producer.flush().await.unwrap();
        assert_eq!(values(&cluster, "t", 0), ["a", "b"], "v{version}");
        let (batch, records) = &read_batches(&cluster, "t", 0)[0];
        assert!(batch.producer_id >= 0 && batch.magic == 2);
        assert_eq!(records[0].headers.len(), 1);
    }
}

#[tokio::test]
async fn a_broker_before_0_11_gets_message_sets_and_no_sequences() {
    for compression in [Compression::None, Compression::Gzip, Compression::Lz4] {
        let cluster = cluster(1);
        cluster.cap_versions(ApiKey::Produce, 0..=2);
        cluster.cap_versions(ApiKey::InitProducerId, NONE);
        let config = ProducerConfig::default().compression(compression);
        let producer = producer(&cluster, config);
        let topic = producer.topic("t").await.unwrap();
        let now = now_ms();
        for i in 0..100 {
            let value = format!("{i:02}");
            let record = RecordRef::new(b"k", value.as_bytes()).timestamp_ms(now);
            topic.send(0, record).await.unwrap();
        }
        producer.flush().await.unwrap();
        let stored = read(&cluster, "t", 0);
        let expected: Vec<_> = (0..100).map(|i| format!("{i:02}")).collect();
        assert_eq!(values(&cluster, "t", 0), expected);
        assert!(stored.iter().all(|it| it.timestamp_ms == now));
        assert_eq!(topic.acked_offset(0), Some(99));
    }
}

#[tokio::test]
async fn what_the_broker_lacks_is_named() {
    let cluster = cluster(1);
    cluster.cap_versions(ApiKey::Produce, 0..=6);
    let zstd = producer(&cluster, eager().compression(Compression::Zstd));
    let topic = zstd.topic("t").await.unwrap();
    topic.send(0, RecordRef::value(b"a")).await.unwrap();
    let error = zstd.flush().await.unwrap_err();
    assert!(
        matches!(&error, ProduceError::BrokerTooOld { need: 7, have: 6, partition: 0, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("zstd"), "{error}");

    cluster.cap_versions(ApiKey::Produce, 0..=2);
    cluster.cap_versions(ApiKey::InitProducerId, NONE);
    cluster.nodes().into_iter().for_each(|node| cluster.cut(node).unwrap());
    let plain = producer(&cluster, eager());
    let topic = plain.topic("t").await.unwrap();
    let headers: [(&[u8], Option<&[u8]>); 1] = [(b"h", None)];
    topic.send(0, RecordRef::value(b"a").headers(&headers)).await.unwrap();
    let error = plain.flush().await.unwrap_err();
    assert!(error.to_string().contains("header"), "{error}");
    topic.send(0, RecordRef::value(b"b")).await.unwrap();
    plain.flush().await.unwrap();
    assert_eq!(values(&cluster, "t", 0), ["b"]);
}

#[tokio::test]
async fn a_retried_batch_is_encoded_for_the_broker_it_goes_to() {
    let cluster = cluster(1);
    let config = ProducerConfig::default().linger(Duration::from_millis(1));
    let producer = producer(&cluster, config);
    let topic = producer.topic("t").await.unwrap();
    for (node, version) in [(1, 13), (2, 9), (3, 5)] {
        cluster.cap_versions_at(node, ApiKey::Produce, 0..=version).unwrap();
    }
    for i in 0..60 {
        cluster.move_leader("t", 0, i % 3 + 1).unwrap();
        topic.send(0, RecordRef::value(format!("{i:02}").as_bytes())).await.unwrap();
        if i % 5 == 0 {
            producer.flush().await.unwrap();
        }
    }
    producer.flush().await.unwrap();
    let stored = values(&cluster, "t", 0);
    assert!(stored.len() == 60 && stored.is_sorted(), "{stored:?}");
}
