//! A transactional producer of the barest kind.

use bytes::Bytes;
use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode,
    messages::{
        add_offsets_to_txn::AddOffsetsToTxnRequest,
        add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic},
        describe_transactions::{DescribeTransactionsRequest, TransactionState},
        end_txn::EndTxnRequest,
        fetch::{FetchResponse, PartitionData},
        init_producer_id::InitProducerIdRequest,
        list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic},
        offset_fetch::{
            OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
            OffsetFetchResponsePartitions,
        },
        txn_offset_commit::{
            TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
        },
    },
    records::{Batches, Compression, Decompressor, ProducerFields},
};

use super::{NO_HEADERS, RawClient, builder, fetch_request, now_ms, produce_request};

/// Which protocol of transactions a producer uses (KIP-890).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    First,
    Second,
}

/// The versions in which it asks.
#[derive(Debug, Clone, Copy)]
struct Versions {
    produce: i16,
    end: i16,
    commit_offsets: i16,
}

impl Version {
    fn versions(self) -> Versions {
        match self {
            Self::First => Versions { produce: 11, end: 4, commit_offsets: 4 },
            Self::Second => Versions { produce: 12, end: 5, commit_offsets: 5 },
        }
    }
}

/// One instance of a producer.
pub struct Producer<'a> {
    pub cluster: &'a Cluster,
    pub id: String,
    pub producer_id: i64,
    pub epoch: i16,
    pub sequence: i32,
    pub version: Version,
}

impl<'a> Producer<'a> {
    /// Initialised, by as many attempts as it takes.
    pub fn new(cluster: &'a Cluster, id: &str, version: Version) -> Self {
        let mut producer =
            Self { cluster, id: id.to_owned(), producer_id: -1, epoch: -1, sequence: 0, version };
        producer.init();
        producer
    }

    /// With what it is called at present, if it is called anything.
    pub fn init(&mut self) {
        loop {
            match self.try_init(60_000) {
                ErrorCode::CONCURRENT_TRANSACTIONS => {}
                error => return assert_eq!(error, ErrorCode::NONE),
            }
        }
    }

    pub fn try_init(&mut self, timeout_ms: i32) -> ErrorCode {
        let request = InitProducerIdRequest {
            transactional_id: Some(self.id.clone()),
            transaction_timeout_ms: timeout_ms,
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            ..Default::default()
        };
        let response = self.coordinator().call(5, &request);
        if response.error_code == 0 {
            (self.producer_id, self.epoch) = (response.producer_id, response.producer_epoch);
            self.sequence = 0;
        }
        ErrorCode(response.error_code)
    }

    pub fn coordinator(&self) -> RawClient {
        RawClient::at(self.cluster, self.cluster.coordinator(&self.id).unwrap())
    }

    pub fn add(&self, topic: &str, partitions: &[i32]) -> ErrorCode {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.clone(),
            v3_and_below_producer_id: self.producer_id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: topic.to_owned(),
                partitions: partitions.to_vec(),
            }],
            ..Default::default()
        };
        let response = self.coordinator().call(3, &request);
        let results = &response.results_by_topic_v3_and_below[0].results_by_partition;
        ErrorCode(results[0].partition_error_code)
    }

    pub fn batch(&self, values: &[&str]) -> Bytes {
        let mut builder = builder(Compression::None);
        for value in values {
            builder.push(now_ms(), None, Some(value.as_bytes()), NO_HEADERS).unwrap();
        }
        self.build(builder)
    }

    pub fn build(&self, mut builder: roka_protocol::records::BatchBuilder) -> Bytes {
        let fields = ProducerFields {
            id: self.producer_id,
            epoch: self.epoch,
            base_sequence: self.sequence,
            transactional: true,
        };
        builder.build(fields).unwrap()
    }

    /// Adds the partition if it must, and writes one batch.
    pub fn write(&mut self, topic: &str, partition: i32, values: &[&str]) {
        if self.version == Version::First {
            assert_eq!(self.add(topic, &[partition]), ErrorCode::NONE);
        }
        assert_eq!(self.try_write(topic, partition, values), ErrorCode::NONE);
    }

    pub fn try_write(&mut self, topic: &str, partition: i32, values: &[&str]) -> ErrorCode {
        let error = self.try_write_in(self.version.versions().produce, topic, partition, values);
        if error == ErrorCode::NONE {
            self.sequence += values.len() as i32;
        }
        error
    }

    /// One batch of records with keys, to partition 0.
    pub fn write_keyed(&mut self, topic: &str, records: &[(&str, &str)]) {
        if self.version == Version::First {
            assert_eq!(self.add(topic, &[0]), ErrorCode::NONE);
        }
        let mut builder = builder(Compression::None);
        for (key, value) in records {
            let value = Some(value.as_bytes());
            builder.push(now_ms(), Some(key.as_bytes()), value, NO_HEADERS).unwrap();
        }
        let mut request = produce_request(topic, 0, self.build(builder), -1);
        request.transactional_id = Some(self.id.clone());
        let version = self.version.versions().produce;
        let response = RawClient::of_leader(self.cluster, topic, 0).call(version, &request);
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
        self.sequence += records.len() as i32;
    }

    pub fn try_write_in(
        &self,
        version: i16,
        topic: &str,
        partition: i32,
        values: &[&str],
    ) -> ErrorCode {
        let mut request = produce_request(topic, partition, self.batch(values), -1);
        request.transactional_id = Some(self.id.clone());
        let mut leader = RawClient::of_leader(self.cluster, topic, partition);
        let response = leader.call(version, &request);
        ErrorCode(response.responses[0].partition_responses[0].error_code)
    }

    pub fn end(&mut self, committed: bool) {
        assert_eq!(self.try_end(committed), ErrorCode::NONE);
    }

    pub fn try_end(&mut self, committed: bool) -> ErrorCode {
        let request = EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed,
        };
        let response = self.coordinator().call(self.version.versions().end, &request);
        if response.error_code == 0 && self.version == Version::Second {
            (self.producer_id, self.epoch) = (response.producer_id, response.producer_epoch);
            self.sequence = 0;
        }
        ErrorCode(response.error_code)
    }

    pub fn add_offsets(&self, group: &str) -> ErrorCode {
        let request = AddOffsetsToTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            group_id: group.to_owned(),
        };
        ErrorCode(self.coordinator().call(3, &request).error_code)
    }

    /// Keeps a position of partition 0, by nobody in particular.
    pub fn commit_offset(&self, group: &str, topic: &str, offset: i64) -> ErrorCode {
        self.commit_offset_as(group, ("", -1), topic, offset)
    }

    pub fn commit_offset_as(
        &self,
        group: &str,
        (member, generation): (&str, i32),
        topic: &str,
        offset: i64,
    ) -> ErrorCode {
        let position = TxnOffsetCommitRequestPartition {
            partition_index: 0,
            committed_offset: offset,
            ..Default::default()
        };
        let topic = TxnOffsetCommitRequestTopic {
            name: topic.to_owned(),
            partitions: vec![position],
            ..Default::default()
        };
        let request = TxnOffsetCommitRequest {
            transactional_id: self.id.clone(),
            group_id: group.to_owned(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            generation_id_or_member_epoch: generation,
            member_id: member.to_owned(),
            group_instance_id: None,
            topics: vec![topic],
        };
        let node = self.cluster.coordinator(group).unwrap();
        let version = self.version.versions().commit_offsets;
        let response = RawClient::at(self.cluster, node).call(version, &request);
        ErrorCode(response.topics[0].partitions[0].error_code)
    }
}

/// The stored position of partition 0; with `stable` none that a transaction may change.
pub fn position(
    cluster: &Cluster,
    group: &str,
    topic: &str,
    stable: bool,
) -> OffsetFetchResponsePartitions {
    let topics = vec![OffsetFetchRequestTopics {
        name: topic.to_owned(),
        partition_indexes: vec![0],
        ..Default::default()
    }];
    let group = OffsetFetchRequestGroup {
        group_id: group.to_owned(),
        topics: Some(topics),
        ..Default::default()
    };
    let node = cluster.coordinator(&group.group_id).unwrap();
    let request =
        OffsetFetchRequest { groups: vec![group], require_stable: stable, ..Default::default() };
    let mut response = RawClient::at(cluster, node).call(8, &request);
    response.groups.remove(0).topics.remove(0).partitions.remove(0)
}

pub fn fetch_committed(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    offset: i64,
) -> PartitionData {
    let mut request = fetch_request(topic, partition, offset, 0);
    request.isolation_level = 1;
    let mut leader = RawClient::of_leader(cluster, topic, partition);
    let mut response: FetchResponse = leader.call(12, &request);
    response.responses.remove(0).partitions.remove(0)
}

/// The values that a reader of committed records sees, found as Kafka's consumers find them.
pub fn committed(cluster: &Cluster, topic: &str, partition: i32) -> Vec<String> {
    let (mut offset, mut all) = (0, Vec::new());
    let mut decompressor = Decompressor::new();
    loop {
        let data = fetch_committed(cluster, topic, partition, offset);
        assert_eq!(ErrorCode(data.error_code), ErrorCode::NONE);
        let records = data.records.unwrap_or_default();
        if records.is_empty() {
            return all;
        }
        let mut aborted = data.aborted_transactions.unwrap_or_default();
        aborted.sort_by_key(|it| it.first_offset);
        let mut out: Vec<i64> = Vec::new();
        for batch in Batches::new(records) {
            let batch = batch.unwrap();
            batch.validate_crc().unwrap();
            let producer_id = batch.header().producer_id;
            aborted.retain(|it| {
                let begun = it.first_offset < batch.next_offset();
                out.extend(begun.then_some(it.producer_id));
                !begun
            });
            offset = batch.next_offset();
            if batch.is_control() {
                out.retain(|&id| id != producer_id);
                continue;
            }
            if batch.header().is_transactional() && out.contains(&producer_id) {
                continue;
            }
            for record in batch.records(&mut decompressor).unwrap() {
                let value = record.unwrap().value.unwrap_or_default().to_vec();
                all.push(String::from_utf8(value).unwrap());
            }
        }
    }
}

/// Where readers of committed records stop.
pub fn last_stable(cluster: &Cluster, topic: &str, partition: i32) -> i64 {
    let asked =
        ListOffsetsPartition { partition_index: partition, timestamp: -1, ..Default::default() };
    let topics = vec![ListOffsetsTopic { name: topic.into(), partitions: vec![asked] }];
    let request =
        ListOffsetsRequest { replica_id: -1, isolation_level: 1, topics, ..Default::default() };
    let response = RawClient::of_leader(cluster, topic, partition).call(7, &request);
    response.topics[0].partitions[0].offset
}

pub fn describe(cluster: &Cluster, id: &str) -> TransactionState {
    let request = DescribeTransactionsRequest { transactional_ids: vec![id.to_owned()] };
    let node = cluster.coordinator(id).unwrap();
    RawClient::at(cluster, node).call(0, &request).transaction_states.remove(0)
}
