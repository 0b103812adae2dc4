//! Bounded memory, and what happens at the bound.

use std::time::Duration;

use roka_client::producer::{ProduceError, ProducerConfig, RecordRef, TrySendError};

use crate::support::{cluster, producer, until, values};

fn small() -> ProducerConfig {
    ProducerConfig::default()
        .batch_bytes_max(4096usize)
        .request_bytes_max(8192usize)
        .buffer_bytes_max(32usize << 10)
}

#[tokio::test]
async fn a_full_buffer_refuses_or_waits() {
    let cluster = cluster(2);
    let producer = producer(&cluster, small());
    let topic = producer.topic("t").await.unwrap();
    let nodes = cluster.nodes();
    for node in &nodes {
        cluster.hang(*node).unwrap();
    }
    let mut taken = 0;
    let error = loop {
        let value = format!("{taken:0500}");
        match topic.try_send(0, RecordRef::value(value.as_bytes())) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, TrySendError::Full { max: 32768 }), "{error}");
    assert!((55..=65).contains(&taken), "{taken}");
    assert!(producer.buffered_bytes() <= 32768);

    let waiting = tokio::spawn({
        let topic = topic.clone();
        async move {
            for i in taken..taken + 200 {
                let value = format!("{i:0500}");
                topic.send(0, RecordRef::value(value.as_bytes())).await.unwrap();
            }
        }
    });
    // A sender that stops waiting has sent nothing.
    let value = [b'x'; 500];
    let given_up = topic.send(1, RecordRef::value(&value));
    assert!(tokio::time::timeout(Duration::from_millis(30), given_up).await.is_err());
    assert!(!waiting.is_finished());
    for node in &nodes {
        cluster.resume(*node).unwrap();
    }
    waiting.await.unwrap();
    producer.flush().await.unwrap();
    let expected: Vec<_> = (0..taken + 200).map(|i| format!("{i:0500}")).collect();
    assert_eq!(values(&cluster, "t", 0), expected);
    assert_eq!(values(&cluster, "t", 1), [""; 0]);
    assert_eq!(producer.buffered_bytes(), 0);
}

#[tokio::test]
async fn who_waits_for_memory_does_not_wait_for_linger() {
    let cluster = cluster(1);
    let producer = producer(&cluster, small().linger(Duration::from_secs(100)));
    let topic = producer.topic("t").await.unwrap();
    let sending = async {
        for i in 0..500 {
            topic.send(0, RecordRef::value(format!("{i:0500}").as_bytes())).await.unwrap();
        }
        producer.flush().await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(20), sending).await.unwrap();
    assert_eq!(values(&cluster, "t", 0).len(), 500);
}

#[tokio::test]
async fn many_senders_share_little_memory() {
    let cluster = cluster(4);
    let producer = producer(&cluster, small().buffer_bytes_max(8192usize));
    let topic = producer.topic("t").await.unwrap();
    let tasks: Vec<_> = (0..20)
        .map(|task| {
            let topic = topic.clone();
            tokio::spawn(async move {
                for i in 0..50 {
                    let value = format!("{task:02}-{i:0400}");
                    topic.send(task % 4, RecordRef::value(value.as_bytes())).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    producer.close().await.unwrap();
    let stored: usize = (0..4).map(|p| values(&cluster, "t", p).len()).sum();
    assert_eq!(stored, 1000);
}

#[tokio::test]
async fn records_in_bulk() {
    let cluster = cluster(1);
    let producer = producer(&cluster, small());
    let topic = producer.topic("t").await.unwrap();
    let all: Vec<_> = (0..1000).map(|i| format!("{i:0300}")).collect();
    let mut rest = &all[..];
    while !rest.is_empty() {
        let records = rest.iter().map(|value| RecordRef::value(value.as_bytes()));
        let (taken, why) = topic.try_send_all(0, records);
        rest = &rest[taken..];
        match why {
            Ok(()) => assert!(rest.is_empty()),
            Err(TrySendError::Full { .. }) => {
                topic.send(0, RecordRef::value(rest[0].as_bytes())).await.unwrap();
                rest = &rest[1..];
            }
            Err(error) => panic!("{error}"),
        }
    }
    producer.flush().await.unwrap();
    assert_eq!(values(&cluster, "t", 0), all);
}

#[tokio::test]
async fn a_record_larger_than_a_request_is_refused_at_once() {
    let cluster = cluster(1);
    let producer = producer(&cluster, small());
    let topic = producer.topic("t").await.unwrap();
    topic.send(0, RecordRef::value(&[b'v'; 8000])).await.unwrap();
    let error = topic.send(0, RecordRef::value(&[b'v'; 8192])).await.unwrap_err();
    assert!(matches!(error, ProduceError::TooLarge { max: 8192, .. }), "{error}");
    producer.flush().await.unwrap();
    assert_eq!(values(&cluster, "t", 0).len(), 1);
    until("memory is given back", || producer.buffered_bytes() == 0).await;
}
