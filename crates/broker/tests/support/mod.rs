//! A client of the barest kind: one blocking connection, one request at a time.
#![allow(
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test uses a part of it"
)]

pub mod group;
pub mod txn;

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use bytes::Bytes;
use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode, Message, Request, frame,
    messages::{
        fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData},
        list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic},
        produce::{
            PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
        },
    },
    records::{BatchBuilder, BatchOptions, Batches, Compression, Decompressor, ProducerFields},
};

pub struct RawClient {
    stream: TcpStream,
    next_id: i32,
}

impl RawClient {
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap()
    }

    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self { stream, next_id: 1 })
    }

    /// The first node of the cluster.
    pub fn of(cluster: &Cluster) -> Self {
        Self::at(cluster, 1)
    }

    pub fn at(cluster: &Cluster, node: i32) -> Self {
        Self::connect(cluster.address(node).unwrap())
    }

    /// The leader of a partition.
    pub fn of_leader(cluster: &Cluster, topic: &str, partition: i32) -> Self {
        Self::at(cluster, cluster.leader(topic, partition).unwrap().unwrap())
    }

    pub fn set_timeout(&self, timeout: Duration) {
        self.stream.set_read_timeout(Some(timeout)).unwrap();
    }

    /// Sends without waiting; gives the correlation id.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.try_send(version, request).unwrap()
    }

    pub fn try_send<R: Request>(&mut self, version: i16, request: &R) -> io::Result<i32> {
        let id = self.next_id;
        self.next_id += 1;
        let frame = frame::encode_request(version, id, Some("raw"), request).unwrap();
        self.stream.write_all(&frame.into_bytes())?;
        Ok(id)
    }

    /// The next response, without its length.
    pub fn receive(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut body)?;
        Ok(body.into())
    }

    /// The next response, which answers a request of this kind.
    pub fn answer<R: Request>(&mut self, version: i16) -> R::Response {
        frame::decode_response::<R>(version, self.receive().unwrap()).unwrap().1
    }

    pub fn try_call<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        let id = self.try_send(version, request)?;
        let (got, response) = frame::decode_response::<R>(version, self.receive()?).unwrap();
        assert_eq!(got, id, "responses come in the order of the requests");
        Ok(response)
    }

    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.try_call(version, request).unwrap()
    }

    /// In the newest version that this crate speaks by name, not by topic id.
    pub fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        records: Bytes,
    ) -> PartitionProduceResponse {
        self.produce_with(12, topic, partition, records, -1)
    }

    pub fn produce_with(
        &mut self,
        version: i16,
        topic: &str,
        partition: i32,
        records: Bytes,
        acks: i16,
    ) -> PartitionProduceResponse {
        let request = produce_request(topic, partition, records, acks);
        let mut response = self.call(version, &request);
        response.responses.remove(0).partition_responses.remove(0)
    }

    /// Produces values without keys and gives their base offset.
    pub fn produce_values(&mut self, topic: &str, partition: i32, values: &[&str]) -> i64 {
        let response = self.produce(topic, partition, batch_of(values));
        assert_eq!(ErrorCode(response.error_code), ErrorCode::NONE);
        response.base_offset
    }

    pub fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> PartitionData {
        let request = fetch_request(topic, partition, offset, 0);
        let mut response: FetchResponse = self.call(12, &request);
        response.responses.remove(0).partitions.remove(0)
    }

    /// All values from `offset` on, fetch after fetch.
    pub fn values(&mut self, topic: &str, partition: i32, mut offset: i64) -> Vec<(i64, String)> {
        let mut all = Vec::new();
        loop {
            let data = self.fetch(topic, partition, offset);
            assert_eq!(ErrorCode(data.error_code), ErrorCode::NONE);
            let records = data.records.unwrap_or_default();
            if records.is_empty() {
                return all;
            }
            for (at, value) in values_of(&records) {
                if at >= offset {
                    all.push((at, value));
                }
            }
            offset = next_offset(&records);
        }
    }

    pub fn list_offset(&mut self, topic: &str, partition: i32, timestamp: i64) -> (i64, i64) {
        let asked =
            ListOffsetsPartition { partition_index: partition, timestamp, ..Default::default() };
        let topics = vec![ListOffsetsTopic { name: topic.into(), partitions: vec![asked] }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        let response = self.call(7, &request);
        let found = &response.topics[0].partitions[0];
        assert_eq!(ErrorCode(found.error_code), ErrorCode::NONE);
        (found.offset, found.timestamp)
    }
}

pub fn produce_request(topic: &str, partition: i32, records: Bytes, acks: i16) -> ProduceRequest {
    let data = PartitionProduceData { index: partition, records: Some(records) };
    let topic =
        TopicProduceData { name: topic.into(), partition_data: vec![data], ..Default::default() };
    ProduceRequest { acks, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() }
}

pub fn fetch_request(topic: &str, partition: i32, offset: i64, max_wait_ms: i32) -> FetchRequest {
    let asked = FetchPartition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let topic = FetchTopic { topic: topic.into(), partitions: vec![asked], ..Default::default() };
    FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 50 << 20,
        topics: vec![topic],
        ..Default::default()
    }
}

pub fn builder(compression: Compression) -> BatchBuilder {
    BatchBuilder::new(BatchOptions::with_compression(compression))
}

/// One batch of values without keys, stamped with the present time.
pub fn batch_of(values: &[&str]) -> Bytes {
    batch_at(now_ms(), values)
}

pub fn batch_at(timestamp_ms: i64, values: &[&str]) -> Bytes {
    let mut builder = builder(Compression::None);
    for value in values {
        let pushed = builder.push(timestamp_ms, None, Some(value.as_bytes()), NO_HEADERS);
        pushed.unwrap();
    }
    builder.build(ProducerFields::NONE).unwrap()
}

/// One batch of keys and values; no value is a tombstone.
pub fn keyed_batch(compression: Compression, records: &[(&str, Option<&str>)]) -> Bytes {
    let mut builder = builder(compression);
    for (key, value) in records {
        let value = value.map(str::as_bytes);
        builder.push(now_ms(), Some(key.as_bytes()), value, NO_HEADERS).unwrap();
    }
    builder.build(ProducerFields::NONE).unwrap()
}

/// One batch of an idempotent producer.
pub fn sequenced_batch(id: i64, epoch: i16, base_sequence: i32, values: &[&str]) -> Bytes {
    let mut builder = builder(Compression::None);
    for value in values {
        builder.push(now_ms(), None, Some(value.as_bytes()), NO_HEADERS).unwrap();
    }
    builder.build(ProducerFields { id, epoch, base_sequence, transactional: false }).unwrap()
}

pub const NO_HEADERS: [(&[u8], Option<&[u8]>); 0] = [];

pub fn values_of(records: &Bytes) -> Vec<(i64, String)> {
    let mut decompressor = Decompressor::new();
    let mut all = Vec::new();
    for batch in Batches::new(records.clone()) {
        let batch = batch.unwrap();
        batch.validate_crc().unwrap();
        for record in batch.records(&mut decompressor).unwrap() {
            let record = record.unwrap();
            let value = record.value.map(|it| String::from_utf8_lossy(it).into_owned());
            all.push((record.offset, value.unwrap_or_default()));
        }
    }
    all
}

pub fn next_offset(records: &Bytes) -> i64 {
    Batches::new(records.clone()).last().unwrap().unwrap().next_offset()
}

pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_millis() as i64
}

/// Waits for a condition, at most ten seconds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Any message decodes to what it was.
pub fn newest<M: Message>() -> i16 {
    *M::VERSIONS.end()
}
