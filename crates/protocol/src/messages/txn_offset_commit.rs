//! A group's positions are stored when the transaction commits.

use crate::{
    Uuid,
    declare::{message, request},
};

request! { TxnOffsetCommitRequest(28) to GroupCoordinator -> TxnOffsetCommitResponse; }

message! {
    /// Positions to be stored with the transaction.
    pub struct TxnOffsetCommitRequest (versions 0..=6, flexible 3..) {
        pub transactional_id: String,
        pub group_id: String,
        pub producer_id: i64,
        pub producer_epoch: i16,
        pub generation_id_or_member_epoch: i32 [3..] = -1,
        pub member_id: String [3..],
        pub group_instance_id: Option<String> [3..],
        pub topics: Vec<TxnOffsetCommitRequestTopic>,
    }

    /// Positions in one topic.
    pub struct TxnOffsetCommitRequestTopic {
        pub name: String [0..=5, ignorable],
        pub topic_id: Uuid [6.., ignorable],
        pub partitions: Vec<TxnOffsetCommitRequestPartition>,
    }

    /// The position in one partition.
    pub struct TxnOffsetCommitRequestPartition {
        pub partition_index: i32,
        pub committed_offset: i64,
        pub committed_leader_epoch: i32 [2.., ignorable] = -1,
        pub committed_metadata: Option<String> = Some(String::new()),
    }

    /// What became of the positions.
    pub struct TxnOffsetCommitResponse (versions 0..=6, flexible 3..) {
        pub throttle_time_ms: i32,
        pub topics: Vec<TxnOffsetCommitResponseTopic>,
    }

    /// What became of one topic's positions.
    pub struct TxnOffsetCommitResponseTopic {
        pub name: String [0..=5, ignorable],
        pub topic_id: Uuid [6.., ignorable],
        pub partitions: Vec<TxnOffsetCommitResponsePartition>,
    }

    /// What became of one partition's position.
    pub struct TxnOffsetCommitResponsePartition {
        pub partition_index: i32,
        pub error_code: i16,
    }
}
