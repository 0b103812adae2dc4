//! What the tests of reading share: a cluster with records whose value is their number, and readers with a deadline.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod members;

use std::{collections::BTreeMap, time::Duration};

use roka_broker::Cluster;
use roka_client::{
    ApiKey, Client, Config, TopicPartition,
    consumer::{Chunk, Decompressor, FetchEvent, FetchQueue},
    protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData},
    records::{BatchBuilder, BatchOptions, Compression, ProducerFields},
};
use tokio::time::timeout;

/// Nothing in these tests takes longer, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const TOPIC: &str = "numbers";

pub(crate) fn part(partition: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, partition)
}

/// Three nodes and the topic.
pub(crate) async fn cluster(partitions: i32) -> (Cluster, Client) {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    cluster.create_topic(TOPIC, partitions, 3).unwrap();
    // From version 13 on topics go by id, which a raw call does not know.
    cluster.cap_versions(ApiKey::Produce, 0..=12);
    let client = client(&cluster);
    (cluster, client)
}

pub(crate) fn client(cluster: &Cluster) -> Client {
    Client::new(Config::new(cluster.bootstrap())).unwrap()
}

/// One batch of the numbers from `from` to before `to`.
pub(crate) async fn produce(client: &Client, partition: i32, numbers: std::ops::Range<u64>) {
    produce_to(client, TOPIC, partition, numbers, Compression::None).await;
}

pub(crate) async fn produce_to(
    client: &Client,
    topic: &str,
    partition: i32,
    numbers: std::ops::Range<u64>,
    compression: Compression,
) {
    // Numbered, so that what is sent again after an answer was lost is not written twice.
    let producer = ProducerFields {
        id: 4000,
        epoch: 0,
        base_sequence: i32::try_from(numbers.start).unwrap(),
        transactional: false,
    };
    let mut builder = BatchBuilder::new(BatchOptions::with_compression(compression));
    for number in numbers {
        let value = format!("{number:0100}");
        builder.push(0, None, Some(value.as_bytes()), std::iter::empty()).unwrap();
    }
    let records = Some(builder.build(producer).unwrap());
    let data = PartitionProduceData { index: partition, records };
    let topic_data = TopicProduceData {
        name: topic.into(),
        partition_data: vec![data],
        ..TopicProduceData::default()
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 5000,
        topic_data: vec![topic_data],
        ..ProduceRequest::default()
    };
    let response =
        timeout(PATIENCE, client.call_leader(topic, partition, request)).await.unwrap().unwrap();
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

/// The numbers in a chunk.
pub(crate) fn numbers(chunk: &Chunk) -> Vec<u64> {
    let mut all = Vec::new();
    chunk
        .for_each(&mut Decompressor::new(), |record| {
            let value = std::str::from_utf8(record.value.unwrap()).unwrap();
            all.push(value.parse().unwrap());
        })
        .unwrap();
    all
}

pub(crate) async fn next(queue: &FetchQueue) -> FetchEvent {
    timeout(PATIENCE, queue.recv()).await.expect("nothing came").expect("the queue ended")
}

pub(crate) async fn next_chunk(queue: &FetchQueue) -> Chunk {
    loop {
        match next(queue).await {
            FetchEvent::Data(chunk) => return chunk,
            FetchEvent::Failed { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
}

/// Reads until each partition gave `count` numbers, and checks that they are 0, 1, 2, …
pub(crate) async fn read_all(queue: &FetchQueue, partitions: i32, count: u64) {
    let mut next: BTreeMap<i32, u64> = (0..partitions).map(|p| (p, 0)).collect();
    while next.values().any(|next| *next < count) {
        let chunk = next_chunk(queue).await;
        let next = next.get_mut(&chunk.partition().partition).unwrap();
        for number in numbers(&chunk) {
            assert_eq!(number, *next, "{}", chunk.partition());
            *next += 1;
        }
        assert_eq!(chunk.next().offset, i64::try_from(*next).unwrap());
    }
    assert!(next.values().all(|next| *next == count), "{next:?}");
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "never came: {what}");
}
