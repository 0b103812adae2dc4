//! Kafka's describe producers.

use crate::message::{message, request};

request! { DescribeProducersRequest(61) to Leader -> DescribeProducersResponse; }

message! {
    pub struct DescribeProducersRequest (versions 0..=0, flexible 0..) {
        pub topics: Vec<TopicRequest>,
    }

    pub struct TopicRequest {
        pub name: String,
        pub partition_indexes: Vec<i32>,
    }

    pub struct DescribeProducersResponse (versions 0..=0, flexible 0..) {
        pub throttle_time_ms: i32,
        pub topics: Vec<TopicResponse>,
    }

    pub struct TopicResponse {
        pub name: String,
        pub partitions: Vec<PartitionResponse>,
    }

    pub struct PartitionResponse {
        pub partition_index: i32,
        pub error_code: i16,
        pub error_message: Option<String>,
        pub active_producers: Vec<ProducerState>,
    }

    pub struct ProducerState {
        pub producer_id: i64,
        pub producer_epoch: i32,
        pub last_sequence: i32 = -1,
        pub last_timestamp: i64 = -1,
        pub coordinator_epoch: i32,
        pub current_txn_start_offset: i64 = -1,
    }
}
