//! Without faults: everything arrives, once, in order, and is told so.

use std::collections::HashMap;
use std::time::Duration;

use roka_client::producer::{
    Acks, Compression, Partitioning, ProduceError, ProducerConfig, RecordMetadata, RecordRef,
};
use roka_client::protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use roka_client::{ApiKey, ErrorCode};

use crate::support::{client, cluster, eager, now_ms, producer, read, read_batches, until, values};

#[tokio::test]
async fn all_parts_of_a_record_arrive() {
    let cluster = cluster(2);
    let producer = producer(&cluster, ProducerConfig::default());
    let topic = producer.topic("t").await.unwrap();
    assert_eq!((topic.name(), topic.partitions()), ("t", 2));
    let headers: [(&[u8], Option<&[u8]>); 3] = [(b"h", Some(b"1")), (b"h", Some(b"")), (b"", None)];
    let now = now_ms();
    let record = RecordRef::new(b"key", b"value").headers(&headers).timestamp_ms(now - 1234);
    topic.send(1, record).await.unwrap();
    topic.send(1, RecordRef::tombstone(b"gone")).await.unwrap();
    topic.send(1, RecordRef::value(b"")).await.unwrap();
    producer.flush().await.unwrap();

    let stored = read(&cluster, "t", 1);
    assert_eq!(stored.len(), 3);
    assert_eq!((stored[0].timestamp_ms, stored[0].offset), (now - 1234, 0));
    assert_eq!(stored[0].key.as_deref(), Some("key"));
    let text = |text: &str| Some(text.to_owned());
    let expected = [("h".to_owned(), text("1")), ("h".into(), text("")), (String::new(), None)];
    assert_eq!(stored[0].headers, expected);
    assert_eq!((stored[1].key.as_deref(), &stored[1].value), (Some("gone"), &None));
    assert_eq!((&stored[2].key, &stored[2].value), (&None, &text("")));
    assert!((now..=now_ms()).contains(&stored[2].timestamp_ms));
    assert_eq!((topic.acked_offset(1), topic.acked_offset(0)), (Some(2), None));
    assert_eq!(read(&cluster, "t", 0), []);
    assert_eq!(producer.buffered_bytes(), 0);
}

#[tokio::test]
async fn many_batches_keep_the_order_of_each_partition() {
    for compression in Compression::ALL {
        let cluster = cluster(4);
        let config = ProducerConfig::default()
            .batch_bytes_max(2048usize)
            .compression(compression)
            .linger(Duration::from_millis(1));
        let producer = producer(&cluster, config);
        let topic = producer.topic("t").await.unwrap();
        for i in 0..4000 {
            topic.send(i % 4, RecordRef::value(format!("{i}").as_bytes())).await.unwrap();
        }
        producer.close().await.unwrap();
        for p in 0..4 {
            let expected: Vec<_> =
                (0..4000).filter(|i| i % 4 == p).map(|i| i.to_string()).collect();
            assert_eq!(values(&cluster, "t", p), expected, "{compression:?} {p}");
            assert_eq!(topic.acked_offset(p), Some(999));
            let batches = read_batches(&cluster, "t", p);
            assert!(batches.iter().all(|(batch, _)| batch.compression == compression));
            let mut sequence = 0;
            for (batch, _) in batches {
                assert_eq!((batch.base_sequence, batch.producer_epoch), (sequence, 0));
                sequence += batch.count as i32;
            }
        }
    }
}

#[tokio::test]
async fn threads_share_a_producer() {
    let cluster = cluster(3);
    let producer = producer(&cluster, ProducerConfig::default().batch_bytes_max(4096usize));
    let topic = producer.topic("t").await.unwrap();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let topic = topic.clone();
            std::thread::spawn(move || {
                for i in 0..2000 {
                    let value = format!("{thread}-{i:05}");
                    topic.try_send(i % 3, RecordRef::value(value.as_bytes())).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    producer.close().await.unwrap();
    let mut of_thread: HashMap<String, Vec<String>> = HashMap::new();
    for p in 0..3 {
        for value in values(&cluster, "t", p) {
            let thread = value.split('-').next().unwrap().to_owned();
            of_thread.entry(format!("{thread}/{p}")).or_default().push(value);
        }
    }
    assert_eq!(of_thread.values().map(Vec::len).sum::<usize>(), 8000);
    assert!(of_thread.values().all(|values| values.is_sorted()), "a thread's order is kept");
}

#[tokio::test]
async fn keys_go_where_goka_and_java_look_for_them() {
    let cluster = cluster(3);
    for (partitioning, partition) in [(Partitioning::Fnv1a, 2), (Partitioning::Murmur2, 0)] {
        let config = ProducerConfig::default().partitioning(partitioning);
        let producer = producer(&cluster, config);
        let topic = producer.topic("t").await.unwrap();
        let sent = topic.send_keyed(RecordRef::new(b"Alice", b"x")).await.unwrap();
        assert_eq!((sent, topic.partition_of(b"Alice")), (partition, partition));
        producer.close().await.unwrap();
        let stored = read(&cluster, "t", partition);
        assert_eq!(stored.last().unwrap().key.as_deref(), Some("Alice"));
    }
}

#[tokio::test]
async fn keyless_records_fill_batches_and_reach_all_partitions() {
    let cluster = cluster(4);
    let config = ProducerConfig::default().batch_bytes_max(4096usize);
    let producer = producer(&cluster, config.linger(Duration::from_secs(1)));
    let topic = producer.topic("t").await.unwrap();
    let value = [b'v'; 100];
    for _ in 0..4000 {
        topic.send_keyed(RecordRef::value(&value)).await.unwrap();
    }
    producer.close().await.unwrap();
    let batches: Vec<_> = (0..4).map(|p| read_batches(&cluster, "t", p)).collect();
    assert!(batches.iter().all(|it| !it.is_empty()), "each partition gets some");
    let batches: Vec<_> = batches.into_iter().flatten().collect();
    let records: usize = batches.iter().map(|(batch, _)| batch.count).sum();
    let full = batches.iter().filter(|(batch, _)| batch.count >= 30).count();
    assert_eq!(records, 4000);
    assert!(full * 10 >= batches.len() * 8, "{full} of {} batches are full", batches.len());
}

#[tokio::test]
async fn each_receipt_names_its_offset() {
    let cluster = cluster(1);
    let producer = producer(&cluster, ProducerConfig::default());
    let topic = producer.topic("t").await.unwrap();
    let mut receipts = Vec::new();
    let now = now_ms();
    for i in 0..300 {
        let record = RecordRef::value(b"v").timestamp_ms(now + i);
        receipts.push(topic.send_with_receipt(0, record).await.unwrap());
    }
    for (i, receipt) in (0..).zip(receipts) {
        let expected = RecordMetadata { partition: 0, offset: Some(i), timestamp_ms: now + i };
        assert_eq!(receipt.await.unwrap(), expected);
    }
    assert!(cluster.requests(ApiKey::Produce) < 100, "receipts do not make batches smaller");
}

#[tokio::test]
async fn the_brokers_clock_is_in_the_receipt_if_the_topic_wants_it() {
    let cluster = cluster(1);
    let settings = [("message.timestamp.type", "LogAppendTime")];
    cluster.create_topic_with("stamped", 1, 1, &settings).unwrap();
    let producer = producer(&cluster, eager());
    let topic = producer.topic("stamped").await.unwrap();
    let before = now_ms();
    let record = RecordRef::value(b"v").timestamp_ms(5);
    let receipt = topic.send_with_receipt(0, record).await.unwrap().await.unwrap();
    assert!(receipt.timestamp_ms >= before, "{receipt:?}");
    assert_eq!(read(&cluster, "stamped", 0)[0].timestamp_ms, receipt.timestamp_ms);
}

#[tokio::test]
async fn linger_collects_and_flush_does_not_wait_for_it() {
    let cluster = cluster(1);
    let config = ProducerConfig::default().linger(Duration::from_secs(60));
    let producer = producer(&cluster, config);
    let topic = producer.topic("t").await.unwrap();
    for i in 0..50 {
        topic.send(0, RecordRef::value(format!("{i}").as_bytes())).await.unwrap();
    }
    assert_eq!(cluster.requests(ApiKey::Produce), 0);
    tokio::time::timeout(Duration::from_secs(20), producer.flush()).await.unwrap().unwrap();
    assert_eq!((cluster.requests(ApiKey::Produce), read(&cluster, "t", 0).len()), (1, 50));
    producer.flush().await.unwrap();
    assert_eq!(cluster.requests(ApiKey::Produce), 1, "nothing more to send");
}

#[tokio::test]
async fn a_batch_goes_by_itself_after_the_linger_time() {
    let cluster = cluster(1);
    let producer = producer(&cluster, ProducerConfig::default());
    let topic = producer.topic("t").await.unwrap();
    topic.try_send(0, RecordRef::value(b"v")).unwrap();
    until("it is acknowledged", || topic.acked_offset(0) == Some(0)).await;
}

#[tokio::test]
async fn one_request_carries_the_partitions_of_a_leader() {
    let cluster = cluster(30);
    let config = ProducerConfig::default().linger(Duration::from_secs(60));
    let producer = producer(&cluster, config);
    let topic = producer.topic("t").await.unwrap();
    for p in 0..30 {
        topic.try_send(p, RecordRef::value(b"v")).unwrap();
    }
    producer.flush().await.unwrap();
    assert_eq!(cluster.requests(ApiKey::Produce), 3, "one per broker");
    assert_eq!(cluster.requests(ApiKey::InitProducerId), 1);
}

#[tokio::test]
async fn without_idempotence_there_is_no_producer_id() {
    let cluster = cluster(1);
    let config = eager().idempotent(false).acks(Acks::Leader);
    let producer = producer(&cluster, config);
    let topic = producer.topic("t").await.unwrap();
    for i in 0..200 {
        topic.send(0, RecordRef::value(format!("{i:03}").as_bytes())).await.unwrap();
    }
    producer.close().await.unwrap();
    assert!(read_batches(&cluster, "t", 0).iter().all(|(batch, _)| batch.producer_id == -1));
    let stored = values(&cluster, "t", 0);
    assert!(stored.len() == 200 && stored.is_sorted());
    assert_eq!(cluster.requests(ApiKey::InitProducerId), 0);
}

#[tokio::test]
async fn an_unknown_topic_and_partition_are_typed_errors() {
    let cluster = cluster(2);
    let producer = producer(&cluster, ProducerConfig::default());
    let error = producer.topic("nowhere").await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert!(error.to_string().contains("nowhere"), "{error}");

    let topic = producer.topic("t").await.unwrap();
    let error = topic.send(2, RecordRef::value(b"v")).await.unwrap_err();
    assert!(
        matches!(&error, ProduceError::NoSuchPartition { partition: 2, partitions: 2, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_closed_producer_delivers_what_it_has_and_takes_no_more() {
    let cluster = cluster(1);
    let client = client(&cluster);
    let config = ProducerConfig::default().linger(Duration::from_secs(60));
    let producer = client.producer(config).unwrap();
    let topic = producer.topic("t").await.unwrap();
    let receipt = topic.send_with_receipt(0, RecordRef::value(b"v")).await.unwrap();
    producer.close().await.unwrap();
    assert_eq!(receipt.await.unwrap().offset, Some(0));
    let error = topic.send(0, RecordRef::value(b"v")).await.unwrap_err();
    assert!(matches!(&error, ProduceError::Closed { partition: 0, .. }), "{error}");
    assert!(producer.flush().await.is_err() && producer.close().await.is_err());
    assert!(producer.topic("t").await.is_ok(), "a known topic can still be looked at");
    assert!(producer.topic("other").await.is_err());
}

#[tokio::test]
async fn a_closed_client_tells_all_who_wait() {
    let cluster = cluster(1);
    let client = client(&cluster);
    let config =
        ProducerConfig::default().linger(Duration::from_secs(60)).buffer_bytes_max(1usize << 20);
    let producer = client.producer(config).unwrap();
    let topic = producer.topic("t").await.unwrap();
    cluster.nodes().into_iter().for_each(|node| cluster.hang(node).unwrap());
    let receipt = topic.send_with_receipt(0, RecordRef::value(b"v")).await.unwrap();
    let sending = tokio::spawn({
        let topic = topic.clone();
        async move {
            loop {
                if let Err(error) = topic.send(0, RecordRef::value(&[b'v'; 1000])).await {
                    return error;
                }
            }
        }
    });
    until("memory is used up", || producer.buffered_bytes() > (1 << 20) - 4096).await;
    client.close().await;
    assert!(matches!(receipt.await.unwrap_err(), ProduceError::Closed { .. }));
    assert!(matches!(sending.await.unwrap(), ProduceError::Closed { .. }));
    assert!(producer.flush().await.is_err());
}

#[tokio::test]
async fn a_topic_that_grows_is_noticed() {
    let cluster = cluster(1);
    cluster.create_topic("grows", 2, 3).unwrap();
    let client = client(&cluster);
    let producer = client.producer(eager()).unwrap();
    let topic = producer.topic("grows").await.unwrap();
    let grow = CreatePartitionsTopic { name: "grows".into(), count: 5, ..Default::default() };
    let grow = CreatePartitionsRequest {
        topics: vec![grow],
        timeout_ms: 5000,
        ..CreatePartitionsRequest::default()
    };
    assert_eq!(client.call(grow).await.unwrap().results[0].error_code, 0);
    client.refresh_metadata().await.unwrap();
    until("five partitions", || topic.partitions() == 5).await;
    topic.send(4, RecordRef::value(b"v")).await.unwrap();
    producer.flush().await.unwrap();
    assert_eq!(values(&cluster, "grows", 4), ["v"]);
}
