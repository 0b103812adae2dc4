//! Records are written to partitions.
//!
//! With acks 0 the broker sends no response at all. From version 13 on topics are named by id only
//! (KIP-516); version 10 answers a misrouted batch with the new leader (KIP-951). Versions 0 to 2
//! carry message sets instead of record batches.

use bytes::Bytes;

use crate::{
    Uuid,
    declare::{message, request},
};

request! { ProduceRequest(0) to Leader -> ProduceResponse; }

message! {
    /// Batches to be written.
    pub struct ProduceRequest (versions 0..=13, flexible 9..) {
        /// The producer's transactional id; null outside of transactions.
        pub transactional_id: Option<String> [3..],
        /// 0 waits for nothing, 1 for the leader, -1 for all replicas in sync.
        pub acks: i16,
        /// How long the broker may wait for the replicas.
        pub timeout_ms: i32,
        pub topic_data: Vec<TopicProduceData>,
    }

    /// The batches for one topic.
    pub struct TopicProduceData {
        pub name: String [0..=12, ignorable],
        pub topic_id: Uuid [13.., ignorable],
        pub partition_data: Vec<PartitionProduceData>,
    }

    /// The batches for one partition.
    pub struct PartitionProduceData {
        pub index: i32,
        /// One batch from version 3 on, a message set before.
        pub records: Option<Bytes>,
    }

    /// What became of the batches.
    pub struct ProduceResponse (versions 0..=13, flexible 9..) {
        pub responses: Vec<TopicProduceResponse>,
        pub throttle_time_ms: i32 [1.., ignorable],
        tagged {
            0 => pub node_endpoints: Vec<NodeEndpoint> [10..],
        }
    }

    /// What became of one topic's batches.
    pub struct TopicProduceResponse {
        pub name: String [0..=12, ignorable],
        pub topic_id: Uuid [13.., ignorable],
        pub partition_responses: Vec<PartitionProduceResponse>,
    }

    /// What became of one partition's batches.
    pub struct PartitionProduceResponse {
        pub index: i32,
        pub error_code: i16,
        /// The offset of the first record.
        pub base_offset: i64,
        /// The broker's timestamp if the topic uses it, else -1.
        pub log_append_time_ms: i64 [2.., ignorable] = -1,
        /// The first offset of the log.
        pub log_start_offset: i64 [5.., ignorable] = -1,
        /// The records that spoil the batch, if the broker can tell.
        pub record_errors: Vec<BatchIndexAndErrorMessage> [8.., ignorable],
        pub error_message: Option<String> [8.., ignorable],
        tagged {
            0 => pub current_leader: LeaderIdAndEpoch [10..],
        }
    }

    /// A record that the broker refused.
    pub struct BatchIndexAndErrorMessage {
        pub batch_index: i32,
        pub batch_index_error_message: Option<String>,
    }

    /// The leader that should have been asked.
    pub struct LeaderIdAndEpoch {
        pub leader_id: i32 = -1,
        pub leader_epoch: i32 = -1,
    }

    /// Where a leader named in the response is reached.
    pub struct NodeEndpoint {
        pub node_id: i32,
        pub host: String,
        pub port: i32,
        pub rack: Option<String>,
    }
}
