//! A cluster, a producer, and an independent reader of logs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use roka_broker::Cluster;
use roka_client::producer::{Producer, ProducerConfig};
use roka_client::protocol::frame::{decode_response, encode_request};
use roka_client::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use roka_client::records::{Batches, Decompressor};
use roka_client::{Client, Config};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A record as it lies in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) headers: Vec<(String, Option<String>)>,
}

/// What a batch's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredBatch {
    pub(crate) magic: i8,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) count: usize,
    pub(crate) compression: roka_client::producer::Compression,
}

/// A cluster of three with the topic `t`, replicated thrice.
pub(crate) fn cluster(partitions: i32) -> Cluster {
    let cluster = Cluster::builder().nodes(3).start_blocking().unwrap();
    cluster.create_topic("t", partitions, 3).unwrap();
    cluster
}

pub(crate) fn client(cluster: &Cluster) -> Client {
    Client::new(Config::new(cluster.bootstrap())).unwrap()
}

pub(crate) fn producer(cluster: &Cluster, config: ProducerConfig) -> Producer {
    client(cluster).producer(config).unwrap()
}

/// No linger, so that each record goes as soon as it can.
pub(crate) fn eager() -> ProducerConfig {
    ProducerConfig::default().linger(Duration::ZERO)
}

/// Waits for a condition, not for luck.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The time of day, ms since 1970. Records much older are deleted by the broker at any moment.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// All records of the partition, read from its leader.
pub(crate) fn read(cluster: &Cluster, topic: &str, partition: i32) -> Vec<Stored> {
    read_batches(cluster, topic, partition).into_iter().flat_map(|(_, records)| records).collect()
}

/// The values of all records of the partition.
pub(crate) fn values(cluster: &Cluster, topic: &str, partition: i32) -> Vec<String> {
    read(cluster, topic, partition).into_iter().filter_map(|it| it.value).collect()
}

/// All batches of the partition with their records.
pub(crate) fn read_batches(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
) -> Vec<(StoredBatch, Vec<Stored>)> {
    let leader = cluster.leader(topic, partition).unwrap().expect("a leader to read from");
    let mut socket = TcpStream::connect(cluster.address(leader).unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let end = cluster.end_offset(topic, partition).unwrap();
    let (mut next, mut all) = (0, Vec::new());
    while next < end {
        let bytes = fetch(&mut socket, topic, partition, next);
        let before = next;
        for batch in Batches::new(bytes) {
            let batch = batch.unwrap();
            batch.validate_crc().unwrap();
            let mut decompressor = Decompressor::default();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let records: Vec<_> = batch
                .records(&mut decompressor)
                .unwrap()
                .map(Result::unwrap)
                .map(|record| Stored {
                    offset: record.offset,
                    timestamp_ms: record.timestamp_ms,
                    key: record.key.map(text),
                    value: record.value.map(text),
                    headers: record.headers.map(|(k, v)| (text(k), v.map(text))).collect(),
                })
                .filter(|record| record.offset >= before)
                .collect();
            let stored = StoredBatch {
                magic: batch.magic(),
                producer_id: batch.producer_id(),
                producer_epoch: batch.producer_epoch(),
                base_sequence: batch.base_sequence(),
                count: records.len(),
                compression: batch.compression(),
            };
            next = records.last().map_or(batch.next_offset(), |last| last.offset + 1);
            all.push((stored, records));
        }
        assert!(next > before, "no progress at offset {before}");
    }
    all
}

fn fetch(socket: &mut TcpStream, topic: &str, partition: i32, offset: i64) -> bytes::Bytes {
    const VERSION: i16 = 4;
    let partition = FetchPartition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let request = FetchRequest {
        max_wait_ms: 100,
        topics: vec![FetchTopic {
            topic: topic.into(),
            partitions: vec![partition],
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    };
    let frame = encode_request(VERSION, 1, Some("test"), &request).unwrap();
    socket.write_all(&frame.into_bytes()).unwrap();
    let mut length = [0; 4];
    socket.read_exact(&mut length).unwrap();
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut body).unwrap();
    let (_, mut response) = decode_response::<FetchRequest>(VERSION, body.into()).unwrap();
    let mut answer = response.responses.remove(0).partitions.remove(0);
    assert_eq!(answer.error_code, 0, "at offset {offset}");
    answer.records.take().unwrap_or_default()
}
