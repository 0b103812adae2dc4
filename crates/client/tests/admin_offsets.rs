//! Offsets are asked of the leaders, also when they move, and one bad partition spoils no other.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use roka_broker::Cluster;
use roka_client::admin::OffsetSpec::{Earliest, Latest, MaxTimestamp, Timestamp};
use roka_client::producer::{ProducerConfig, RecordRef};
use roka_client::{Admin, ApiKey, Client, Config, Error, TopicPartition};

async fn start() -> (Cluster, Client, Admin) {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    cluster.create_topic("t", 30, 3).unwrap();
    let client = Client::new(Config::new(cluster.bootstrap())).unwrap();
    let admin = client.admin();
    (cluster, client, admin)
}

#[tokio::test]
async fn one_request_per_leader() {
    let (cluster, _client, admin) = start().await;
    let wanted: Vec<_> = (0..30).map(|it| (TopicPartition::new("t", it), Latest)).collect();
    let results = admin.list_offsets(&wanted).await;
    assert_eq!(results.len(), 30);
    for result in results {
        assert_eq!(result.unwrap().offset, Some(0));
    }
    assert_eq!(cluster.requests(ApiKey::ListOffsets), 3);
}

#[tokio::test]
async fn what_does_not_exist_spoils_nothing_else() {
    let (_cluster, _client, admin) = start().await;
    let wanted = [
        (TopicPartition::new("t", 0), Earliest),
        (TopicPartition::new("t", 30), Earliest),
        (TopicPartition::new("nosuch", 0), Earliest),
    ];
    let begin = Instant::now();
    let results = admin.list_offsets(&wanted).await;
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert_eq!(results[0].as_ref().unwrap().offset, Some(0));
    let error = results[1].as_ref().unwrap_err();
    assert!(matches!(error, Error::NoSuchPartition { partitions: 30, .. }), "{error:?}");
    assert!(results[2].as_ref().unwrap_err().is_unknown_topic());
}

#[tokio::test]
async fn leaders_that_moved_are_followed() {
    let (cluster, client, admin) = start().await;
    let wanted: Vec<_> = (0..30).map(|it| (TopicPartition::new("t", it), Latest)).collect();
    admin.list_offsets(&wanted).await;
    for partition in 0..30 {
        let leader = cluster.leader("t", partition).unwrap().unwrap();
        cluster.move_leader("t", partition, leader % 3 + 1).unwrap();
    }
    let begin = Instant::now();
    for result in admin.list_offsets(&wanted).await {
        result.unwrap();
    }
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(client.counters().metadata_refreshes <= 4);
}

#[tokio::test]
async fn a_killed_node_is_waited_out() {
    let (cluster, _client, admin) = start().await;
    let wanted: Vec<_> = (0..30).map(|it| (TopicPartition::new("t", it), Latest)).collect();
    admin.list_offsets(&wanted).await;
    cluster.kill(2).unwrap();
    let begin = Instant::now();
    for result in admin.list_offsets(&wanted).await {
        result.unwrap();
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn records_are_found_by_time_and_deleted_by_offset() {
    let (_cluster, client, admin) = start().await;
    let producer = client.producer(ProducerConfig::default()).unwrap();
    let topic = producer.topic("t").await.unwrap();
    for i in 0..10i64 {
        let record = RecordRef::new(b"key", b"value").timestamp_ms(1000 + i * 10);
        topic.send(5, record).await.unwrap();
    }
    producer.close().await.unwrap();
    let at = TopicPartition::new("t", 5);
    let found = async |spec| admin.list_offset(at.clone(), spec).await.unwrap();
    assert_eq!(found(Timestamp(1045)).await.offset, Some(5));
    assert_eq!(found(Timestamp(1045)).await.timestamp_ms, Some(1050));
    assert_eq!(found(Timestamp(2000)).await.offset, None);
    assert_eq!(found(MaxTimestamp).await.offset, Some(9));
    assert_eq!(found(Latest).await.offset, Some(10));

    let results = admin.delete_records(&[(at.clone(), 4)]).await;
    assert_eq!(*results[0].as_ref().unwrap(), 4);
    assert_eq!(found(Earliest).await.offset, Some(4));
    let results = admin.delete_records(&[(at.clone(), 99)]).await;
    let error = results[0].as_ref().unwrap_err();
    assert_eq!(error.code(), Some(roka_client::ErrorCode::OFFSET_OUT_OF_RANGE), "{error}");
    let results = admin.delete_records(&[(at.clone(), -1)]).await;
    assert_eq!(*results[0].as_ref().unwrap(), 10);
}
