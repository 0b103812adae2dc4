//! Where a leader epoch ended, so that a client notices a log that was cut (KIP-101, KIP-320).

use crate::declare::{message, request};

request! { OffsetForLeaderEpochRequest(23) to Leader -> OffsetForLeaderEpochResponse; }

message! {
    /// Epochs whose ends are wanted.
    pub struct OffsetForLeaderEpochRequest (versions 0..=4, flexible 4..) {
        pub replica_id: i32 [3.., ignorable] = -2,
        pub topics: Vec<OffsetForLeaderTopic>,
    }

    /// Partitions of one topic.
    pub struct OffsetForLeaderTopic {
        pub topic: String,
        pub partitions: Vec<OffsetForLeaderPartition>,
    }

    /// A partition and an epoch in it.
    pub struct OffsetForLeaderPartition {
        pub partition: i32,
        pub current_leader_epoch: i32 [2.., ignorable] = -1,
        pub leader_epoch: i32,
    }

    /// The ends of the epochs.
    pub struct OffsetForLeaderEpochResponse (versions 0..=4, flexible 4..) {
        pub throttle_time_ms: i32 [2.., ignorable],
        pub topics: Vec<OffsetForLeaderTopicResult>,
    }

    /// The ends in one topic.
    pub struct OffsetForLeaderTopicResult {
        pub topic: String,
        pub partitions: Vec<EpochEndOffset>,
    }

    /// The end in one partition.
    pub struct EpochEndOffset {
        pub error_code: i16,
        pub partition: i32,
        pub leader_epoch: i32 [1.., ignorable] = -1,
        pub end_offset: i64 = -1,
    }
}
