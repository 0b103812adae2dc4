//! The beginning of partitions is deleted.

use crate::declare::{message, request};

request! { DeleteRecordsRequest(21) to Leader -> DeleteRecordsResponse; }

message! {
    /// Offsets before which everything goes.
    pub struct DeleteRecordsRequest (versions 0..=2, flexible 2..) {
        pub topics: Vec<DeleteRecordsTopic>,
        pub timeout_ms: i32,
    }

    /// Partitions of one topic.
    pub struct DeleteRecordsTopic {
        pub name: String,
        pub partitions: Vec<DeleteRecordsPartition>,
    }

    /// A partition and its new first offset; -1 is the high watermark.
    pub struct DeleteRecordsPartition {
        pub partition_index: i32,
        pub offset: i64,
    }

    /// Where the logs begin now.
    pub struct DeleteRecordsResponse (versions 0..=2, flexible 2..) {
        pub throttle_time_ms: i32,
        pub topics: Vec<DeleteRecordsTopicResult>,
    }

    /// Where one topic's logs begin now.
    pub struct DeleteRecordsTopicResult {
        pub name: String,
        pub partitions: Vec<DeleteRecordsPartitionResult>,
    }

    /// Where one partition's log begins now.
    pub struct DeleteRecordsPartitionResult {
        pub partition_index: i32,
        pub low_watermark: i64,
        pub error_code: i16,
    }
}
