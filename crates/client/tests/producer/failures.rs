//! What is lost is told: typed, with topic and partition, once. What comes after it arrives.

use std::time::Duration;

use roka_client::producer::{Obstacle, ProduceError, ProducerConfig, RecordRef};
use roka_client::{ApiKey, ErrorCode};

use crate::support::{client, cluster, eager, producer, read_batches, until, values};

/// Epoch, base sequence and count of each batch of the partition.
fn batches(cluster: &roka_broker::Cluster) -> Vec<(i16, i32, usize)> {
    let stored = read_batches(cluster, "t", 0);
    stored.iter().map(|(it, _)| (it.producer_epoch, it.base_sequence, it.count)).collect()
}

#[tokio::test]
async fn a_refused_batch_is_told_once_and_the_next_arrives() {
    let cluster = cluster(2);
    let producer = producer(&cluster, eager());
    let topic = producer.topic("t").await.unwrap();
    topic.send(0, RecordRef::value(b"a")).await.unwrap();
    producer.flush().await.unwrap();
    cluster.fail(ApiKey::Produce, ErrorCode::INVALID_RECORD, 1);
    let refused = topic.send_with_receipt(0, RecordRef::value(b"b")).await.unwrap();
    let error = producer.flush().await.unwrap_err();
    assert_eq!(error.partition(), Some(("t", 0)));
    assert_eq!(error.code(), Some(ErrorCode::INVALID_RECORD));
    assert!(error.to_string().contains("t/0"), "{error}");
    assert!(matches!(refused.await.unwrap_err(), ProduceError::Refused { records: 1, .. }));
    producer.flush().await.unwrap();
    topic.send(0, RecordRef::value(b"c")).await.unwrap();
    topic.send(1, RecordRef::value(b"d")).await.unwrap();
    producer.flush().await.unwrap();
    assert_eq!(values(&cluster, "t", 0), ["a", "c"]);
    // The refused batch had a sequence: the partition goes on under a new epoch.
    assert_eq!(batches(&cluster), [(0, 0, 1), (1, 0, 1)]);
}

#[tokio::test]
async fn a_failure_between_flushes_is_not_forgotten() {
    let cluster = cluster(1);
    let producer = producer(&cluster, eager());
    let topic = producer.topic("t").await.unwrap();
    cluster.fail(ApiKey::Produce, ErrorCode::INVALID_RECORD, 1);
    let receipt = topic.send_with_receipt(0, RecordRef::value(b"a")).await.unwrap();
    receipt.await.unwrap_err();
    topic.send(0, RecordRef::value(b"b")).await.unwrap();
    assert_eq!(producer.flush().await.unwrap_err().code(), Some(ErrorCode::INVALID_RECORD));
    producer.flush().await.unwrap();
    assert_eq!(values(&cluster, "t", 0), ["b"]);
}

#[tokio::test]
async fn nothing_to_be_had_before_the_delivery_timeout_is_a_typed_error() {
    let cluster = cluster(1);
    let client = client(&cluster);
    let producer = client.producer(eager().delivery_timeout(Duration::from_millis(400))).unwrap();
    let topic = producer.topic("t").await.unwrap();
    topic.send(0, RecordRef::value(b"a")).await.unwrap();
    producer.flush().await.unwrap();
    cluster.leaderless("t", 0).unwrap();
    topic.send(0, RecordRef::value(b"b")).await.unwrap();
    topic.send(0, RecordRef::value(b"c")).await.unwrap();
    let error = producer.flush().await.unwrap_err();
    let ProduceError::DeliveryTimeout { last: Some(last), timeout, .. } = &error else {
        panic!("{error}")
    };
    assert!(matches!(**last, Obstacle::Leaderless), "{error}");
    assert_eq!(*timeout, Duration::from_millis(400));
    assert_eq!(error.code(), Some(ErrorCode::LEADER_NOT_AVAILABLE));
    producer.flush().await.unwrap();
    assert_eq!(producer.buffered_bytes(), 0);

    cluster.elect("t", 0).unwrap();
    // By now the client asks less often than the little time that the next record has.
    client.refresh_metadata().await.unwrap();
    topic.send(0, RecordRef::value(b"d")).await.unwrap();
    producer.flush().await.unwrap();
    assert_eq!(values(&cluster, "t", 0), ["a", "d"]);
}

#[tokio::test]
async fn records_that_may_have_been_written_are_called_so() {
    let cluster = cluster(1);
    let config = eager().delivery_timeout(Duration::from_millis(400));
    let producer = producer(&cluster, config);
    let topic = producer.topic("t").await.unwrap();
    topic.send(0, RecordRef::value(b"a")).await.unwrap();
    producer.flush().await.unwrap();
    let node = cluster.leader("t", 0).unwrap().unwrap();
    cluster.hang(node).unwrap();
    let sent = cluster.requests(ApiKey::Produce);
    let first = topic.send_with_receipt(0, RecordRef::value(b"b")).await.unwrap();
    let error = first.await.unwrap_err();
    assert!(matches!(error, ProduceError::DeliveryTimeout { maybe_written: true, .. }), "{error}");
    assert!(error.to_string().contains("may have been written"), "{error}");
    // Who was given up may still be written when the broker goes on; what follows comes after it.
    topic.send(0, RecordRef::value(b"c")).await.unwrap();
    cluster.resume(node).unwrap();
    until("the broker has read it", || cluster.requests(ApiKey::Produce) > sent).await;
    assert!(producer.flush().await.is_err());
    topic.send(0, RecordRef::value(b"d")).await.unwrap();
    producer.flush().await.unwrap();
    let stored = values(&cluster, "t", 0);
    assert_eq!(stored.first().map(String::as_str), Some("a"));
    assert_eq!(stored.last().map(String::as_str), Some("d"));
    assert!(stored.is_sorted() && stored.len() <= 4, "{stored:?}");
}

#[tokio::test]
async fn a_hole_in_the_sequence_begins_a_new_epoch() {
    let cluster = cluster(1);
    let producer = producer(&cluster, eager());
    let topic = producer.topic("t").await.unwrap();
    topic.send(0, RecordRef::value(b"a")).await.unwrap();
    producer.flush().await.unwrap();
    cluster.fail(ApiKey::Produce, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, 1);
    topic.send(0, RecordRef::value(b"b")).await.unwrap();
    producer.flush().await.unwrap();
    cluster.fail(ApiKey::Produce, ErrorCode::UNKNOWN_PRODUCER_ID, 4);
    topic.send(0, RecordRef::value(b"c")).await.unwrap();
    producer.flush().await.unwrap();
    assert_eq!(values(&cluster, "t", 0), ["a", "b", "c"]);
    assert_eq!(batches(&cluster), [(0, 0, 1), (1, 0, 1), (2, 0, 1)]);
    assert_eq!(cluster.requests(ApiKey::InitProducerId), 1, "an epoch is raised without asking");
}

#[tokio::test]
async fn a_stolen_producer_id_is_replaced() {
    let cluster = cluster(1);
    let producer = producer(&cluster, eager());
    let topic = producer.topic("t").await.unwrap();
    topic.send(0, RecordRef::value(b"a")).await.unwrap();
    producer.flush().await.unwrap();
    cluster.fail(ApiKey::Produce, ErrorCode::INVALID_PRODUCER_EPOCH, 1);
    topic.send(0, RecordRef::value(b"b")).await.unwrap();
    producer.flush().await.unwrap();
    let ids: Vec<_> = read_batches(&cluster, "t", 0).iter().map(|it| it.0.producer_id).collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!((values(&cluster, "t", 0).len(), cluster.requests(ApiKey::InitProducerId)), (2, 2));
}

#[tokio::test]
async fn a_duplicate_is_a_success_without_an_offset() {
    let cluster = cluster(1);
    let producer = producer(&cluster, eager());
    let topic = producer.topic("t").await.unwrap();
    cluster.fail(ApiKey::Produce, ErrorCode::DUPLICATE_SEQUENCE_NUMBER, 1);
    let receipt = topic.send_with_receipt(0, RecordRef::value(b"a")).await.unwrap();
    assert_eq!(receipt.await.unwrap().offset, None);
    producer.flush().await.unwrap();
}

#[tokio::test]
async fn a_batch_too_large_for_the_topic_is_split() {
    let cluster = cluster(1);
    cluster.create_topic_with("small", 1, 3, &[("max.message.bytes", "1000")]).unwrap();
    let config = ProducerConfig::default().linger(Duration::from_secs(60));
    let producer = producer(&cluster, config);
    let topic = producer.topic("small").await.unwrap();
    let mut receipts = Vec::new();
    for i in 0..100 {
        let value = format!("{i:0100}");
        let record = RecordRef::value(value.as_bytes());
        receipts.push(topic.send_with_receipt(0, record).await.unwrap());
    }
    producer.flush().await.unwrap();
    let expected: Vec<_> = (0..100).map(|i| format!("{i:0100}")).collect();
    assert_eq!(values(&cluster, "small", 0), expected);
    for (i, receipt) in (0..).zip(receipts) {
        assert_eq!(receipt.await.unwrap().offset, Some(i));
    }
    let mut sequence = 0;
    for (batch, _) in read_batches(&cluster, "small", 0) {
        assert_eq!((batch.producer_epoch, batch.base_sequence), (0, sequence));
        sequence += batch.count as i32;
    }

    topic.send(0, RecordRef::value(&[b'v'; 2000])).await.unwrap();
    topic.send(0, RecordRef::value(b"last")).await.unwrap();
    let error = producer.flush().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::MESSAGE_TOO_LARGE));
    assert!(matches!(error, ProduceError::Refused { records: 1, .. }), "{error}");
    assert_eq!(values(&cluster, "small", 0).last().unwrap(), "last", "the others arrive");
}

#[tokio::test]
async fn no_producer_id_is_waited_for() {
    let cluster = cluster(1);
    cluster.fail(ApiKey::InitProducerId, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, 2);
    let producer = producer(&cluster, eager());
    let topic = producer.topic("t").await.unwrap();
    topic.send(0, RecordRef::value(b"a")).await.unwrap();
    producer.flush().await.unwrap();
    assert_eq!(cluster.faults_left(), 0);
    assert_eq!(values(&cluster, "t", 0), ["a"]);
}

#[tokio::test]
async fn a_topic_that_is_created_again_is_told_and_written_on() {
    let cluster = cluster(2);
    let client = client(&cluster);
    let producer = client.producer(eager()).unwrap();
    let topic = producer.topic("t").await.unwrap();
    topic.send(0, RecordRef::value(b"old")).await.unwrap();
    producer.flush().await.unwrap();
    // What is on its way cannot arrive any more.
    cluster.leaderless("t", 0).unwrap();
    let receipt = topic.send_with_receipt(0, RecordRef::value(b"between")).await.unwrap();
    until("metadata says so", || client.metadata().leader("t", 0).is_none()).await;
    client.admin().delete_topic("t").await.unwrap();
    cluster.create_topic("t", 1, 3).unwrap();
    client.refresh_metadata().await.unwrap();
    let error = receipt.await.unwrap_err();
    let ProduceError::TopicRecreated { partition: 0, records: 1, was, is, .. } = &error else {
        panic!("{error}")
    };
    assert_ne!(was, is);
    assert!(producer.flush().await.is_err());
    assert_eq!(topic.partitions(), 1);
    for value in ["new", "newer"] {
        topic.send(0, RecordRef::value(value.as_bytes())).await.unwrap();
        producer.flush().await.unwrap();
    }
    assert_eq!(values(&cluster, "t", 0), ["new", "newer"]);
}
