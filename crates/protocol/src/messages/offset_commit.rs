//! A group's positions are stored.
//!
//! Versions 2 to 4 say how long to keep them; from version 10 on topics are named by id (KIP-848).

use crate::{
    Uuid,
    declare::{message, request},
};

request! { OffsetCommitRequest(8) to GroupCoordinator -> OffsetCommitResponse; }

message! {
    /// Positions to be stored for a group.
    pub struct OffsetCommitRequest (versions 0..=10, flexible 8..) {
        pub group_id: String,
        /// The generation; -1 for a group without members.
        pub generation_id_or_member_epoch: i32 [1.., ignorable] = -1,
        pub member_id: String [1.., ignorable],
        pub group_instance_id: Option<String> [7..],
        /// How long to keep the positions; -1 leaves that to the broker.
        pub retention_time_ms: i64 [2..=4, ignorable] = -1,
        pub topics: Vec<OffsetCommitRequestTopic>,
    }

    /// Positions in one topic.
    pub struct OffsetCommitRequestTopic {
        pub name: String [0..=9, ignorable],
        pub topic_id: Uuid [10.., ignorable],
        pub partitions: Vec<OffsetCommitRequestPartition>,
    }

    /// The position in one partition.
    pub struct OffsetCommitRequestPartition {
        pub partition_index: i32,
        pub committed_offset: i64,
        pub committed_leader_epoch: i32 [6.., ignorable] = -1,
        pub commit_timestamp: i64 [1..=1] = -1,
        pub committed_metadata: Option<String> = Some(String::new()),
    }

    /// What became of the commit.
    pub struct OffsetCommitResponse (versions 0..=10, flexible 8..) {
        pub throttle_time_ms: i32 [3.., ignorable],
        pub topics: Vec<OffsetCommitResponseTopic>,
    }

    /// What became of one topic's positions.
    pub struct OffsetCommitResponseTopic {
        pub name: String [0..=9, ignorable],
        pub topic_id: Uuid [10.., ignorable],
        pub partitions: Vec<OffsetCommitResponsePartition>,
    }

    /// What became of one partition's position.
    pub struct OffsetCommitResponsePartition {
        pub partition_index: i32,
        pub error_code: i16,
    }
}
