//! Kafka's delete records.

use crate::message::{message, request};

request! { DeleteRecordsRequest(21) to Leader -> DeleteRecordsResponse; }

message! {
    pub struct DeleteRecordsRequest (versions 0..=2, flexible 2..) {
        pub topics: Vec<DeleteRecordsTopic>,
        pub timeout_ms: i32,
    }

    pub struct DeleteRecordsTopic {
        pub name: String,
        pub partitions: Vec<DeleteRecordsPartition>,
    }

    pub struct DeleteRecordsPartition {
        pub partition_index: i32,
        pub offset: i64,
    }

    pub struct DeleteRecordsResponse (versions 0..=2, flexible 2..) {
        pub throttle_time_ms: i32,
        pub topics: Vec<DeleteRecordsTopicResult>,
    }

    pub struct DeleteRecordsTopicResult {
        pub name: String,
        pub partitions: Vec<DeleteRecordsPartitionResult>,
    }

    pub struct DeleteRecordsPartitionResult {
        pub partition_index: i32,
        pub low_watermark: i64,
        pub error_code: i16,
    }
}
