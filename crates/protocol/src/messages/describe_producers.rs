//! The producers that have written to partitions lately.

use crate::declare::{message, request};

request! { DescribeProducersRequest(61) to Leader -> DescribeProducersResponse; }

message! {
    /// Partitions whose producers are wanted.
    pub struct DescribeProducersRequest (versions 0..=0, flexible 0..) {
        pub topics: Vec<TopicRequest>,
    }

    /// Partitions of one topic.
    pub struct TopicRequest {
        pub name: String,
        pub partition_indexes: Vec<i32>,
    }

    /// The producers.
    pub struct DescribeProducersResponse (versions 0..=0, flexible 0..) {
        pub throttle_time_ms: i32,
        pub topics: Vec<TopicResponse>,
    }

    /// The producers of one topic.
    pub struct TopicResponse {
        pub name: String,
        pub partitions: Vec<PartitionResponse>,
    }

    /// The producers of one partition.
    pub struct PartitionResponse {
        pub partition_index: i32,
        pub error_code: i16,
        pub error_message: Option<String>,
        pub active_producers: Vec<ProducerState>,
    }

    /// A producer and what it last wrote.
    pub struct ProducerState {
        pub producer_id: i64,
        pub producer_epoch: i32,
        pub last_sequence: i32 = -1,
        pub last_timestamp: i64 = -1,
        pub coordinator_epoch: i32,
        pub current_txn_start_offset: i64 = -1,
    }
}
