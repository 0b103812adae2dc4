//! Stored positions of a group are deleted.

use crate::declare::{message, request};

request! { OffsetDeleteRequest(47) to GroupCoordinator -> OffsetDeleteResponse; }

message! {
    /// Partitions whose positions are to be deleted.
    pub struct OffsetDeleteRequest (versions 0..=0, never flexible) {
        pub group_id: String,
        pub topics: Vec<OffsetDeleteRequestTopic>,
    }

    /// Partitions of one topic.
    pub struct OffsetDeleteRequestTopic {
        pub name: String,
        pub partitions: Vec<OffsetDeleteRequestPartition>,
    }

    /// One partition.
    pub struct OffsetDeleteRequestPartition {
        pub partition_index: i32,
    }

    /// What became of the positions.
    pub struct OffsetDeleteResponse (versions 0..=0, never flexible) {
        pub error_code: i16,
        pub throttle_time_ms: i32,
        pub topics: Vec<OffsetDeleteResponseTopic>,
    }

    /// What became of one topic's positions.
    pub struct OffsetDeleteResponseTopic {
        pub name: String,
        pub partitions: Vec<OffsetDeleteResponsePartition>,
    }

    /// What became of one partition's position.
    pub struct OffsetDeleteResponsePartition {
        pub partition_index: i32,
        pub error_code: i16,
    }
}
