//! What lies in the log directories of a broker.

use crate::declare::{message, request};

request! { DescribeLogDirsRequest(35) to Any -> DescribeLogDirsResponse; }

message! {
    /// Partitions asked about; null is all.
    pub struct DescribeLogDirsRequest (versions 0..=5, flexible 2..) {
        pub topics: Option<Vec<DescribableLogDirTopic>> = Some(Vec::new()),
    }

    /// Partitions of one topic.
    pub struct DescribableLogDirTopic {
        pub topic: String,
        pub partitions: Vec<i32>,
    }

    /// The directories.
    pub struct DescribeLogDirsResponse (versions 0..=5, flexible 2..) {
        pub throttle_time_ms: i32,
        pub error_code: i16 [3.., ignorable],
        pub results: Vec<DescribeLogDirsResult>,
    }

    /// One directory.
    pub struct DescribeLogDirsResult {
        pub error_code: i16,
        pub log_dir: String,
        pub topics: Vec<DescribeLogDirsTopic>,
        pub total_bytes: i64 [4.., ignorable] = -1,
        pub usable_bytes: i64 [4.., ignorable] = -1,
        pub is_cordoned: bool [5.., ignorable],
    }

    /// One topic in a directory.
    pub struct DescribeLogDirsTopic {
        pub name: String,
        pub partitions: Vec<DescribeLogDirsPartition>,
    }

    /// One partition's size in bytes.
    pub struct DescribeLogDirsPartition {
        pub partition_index: i32,
        pub partition_size: i64,
        pub offset_lag: i64,
        pub is_future_key: bool,
    }
}
