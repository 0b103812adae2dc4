//! Kafka's offset commit.

use crate::{
    Uuid,
    message::{message, request},
};

request! { OffsetCommitRequest(8) to GroupCoordinator -> OffsetCommitResponse; }

message! {
    pub struct OffsetCommitRequest (versions 0..=10, flexible 8..) {
        pub group_id: String,
        pub generation_id_or_member_epoch: i32 [1.., ignorable] = -1,
        pub member_id: String [1.., ignorable],
        pub group_instance_id: Option<String> [7..],
        pub retention_time_ms: i64 [2..=4, ignorable] = -1,
        pub topics: Vec<OffsetCommitRequestTopic>,
    }

    pub struct OffsetCommitRequestTopic {
        pub name: String [0..=9, ignorable],
        pub topic_id: Uuid [10.., ignorable],
        pub partitions: Vec<OffsetCommitRequestPartition>,
    }

    pub struct OffsetCommitRequestPartition {
        pub partition_index: i32,
        pub committed_offset: i64,
        pub committed_leader_epoch: i32 [6.., ignorable] = -1,
        pub commit_timestamp: i64 [1..=1] = -1,
        pub committed_metadata: Option<String> = Some(String::new()),
    }

    pub struct OffsetCommitResponse (versions 0..=10, flexible 8..) {
        pub throttle_time_ms: i32 [3.., ignorable],
        pub topics: Vec<OffsetCommitResponseTopic>,
    }

    pub struct OffsetCommitResponseTopic {
        pub name: String [0..=9, ignorable],
        pub topic_id: Uuid [10.., ignorable],
        pub partitions: Vec<OffsetCommitResponsePartition>,
    }

    pub struct OffsetCommitResponsePartition {
        pub partition_index: i32,
        pub error_code: i16,
    }
}
