//! Kafka's offset for leader epoch.

use crate::message::{message, request};

request! { OffsetForLeaderEpochRequest(23) to Leader -> OffsetForLeaderEpochResponse; }

message! {
    pub struct OffsetForLeaderEpochRequest (versions 0..=4, flexible 4..) {
        pub replica_id: i32 [3.., ignorable] = -2,
        pub topics: Vec<OffsetForLeaderTopic>,
    }

    pub struct OffsetForLeaderTopic {
        pub topic: String,
        pub partitions: Vec<OffsetForLeaderPartition>,
    }

    pub struct OffsetForLeaderPartition {
        pub partition: i32,
        pub current_leader_epoch: i32 [2.., ignorable] = -1,
        pub leader_epoch: i32,
    }

    pub struct OffsetForLeaderEpochResponse (versions 0..=4, flexible 4..) {
        pub throttle_time_ms: i32 [2.., ignorable],
        pub topics: Vec<OffsetForLeaderTopicResult>,
    }

    pub struct OffsetForLeaderTopicResult {
        pub topic: String,
        pub partitions: Vec<EpochEndOffset>,
    }

    pub struct EpochEndOffset {
        pub error_code: i16,
        pub partition: i32,
        pub leader_epoch: i32 [1.., ignorable] = -1,
        pub end_offset: i64 = -1,
    }
}
