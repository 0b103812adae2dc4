//! Kafka's describe log dirs.

use crate::message::{message, request};

request! { DescribeLogDirsRequest(35) to Any -> DescribeLogDirsResponse; }

message! {
    pub struct DescribeLogDirsRequest (versions 0..=5, flexible 2..) {
        pub topics: Option<Vec<DescribableLogDirTopic>> = Some(Vec::new()),
    }

    pub struct DescribableLogDirTopic {
        pub topic: String,
        pub partitions: Vec<i32>,
    }

    pub struct DescribeLogDirsResponse (versions 0..=5, flexible 2..) {
        pub throttle_time_ms: i32,
        pub error_code: i16 [3.., ignorable],
        pub results: Vec<DescribeLogDirsResult>,
    }

    pub struct DescribeLogDirsResult {
        pub error_code: i16,
        pub log_dir: String,
        pub topics: Vec<DescribeLogDirsTopic>,
        pub total_bytes: i64 [4.., ignorable] = -1,
        pub usable_bytes: i64 [4.., ignorable] = -1,
        pub is_cordoned: bool [5.., ignorable],
    }

    pub struct DescribeLogDirsTopic {
        pub name: String,
        pub partitions: Vec<DescribeLogDirsPartition>,
    }

    pub struct DescribeLogDirsPartition {
        pub partition_index: i32,
        pub partition_size: i64,
        pub offset_lag: i64,
        pub is_future_key: bool,
    }
}
