//! A group's stored positions are read.
//!
//! Versions up to 7 ask about one group, later ones about several at once (KIP-709).

use crate::{
    Uuid,
    declare::{message, request},
};

request! { OffsetFetchRequest(9) to GroupCoordinator -> OffsetFetchResponse; }

message! {
    /// Whose positions are wanted, in which partitions.
    pub struct OffsetFetchRequest (versions 0..=10, flexible 6..) {
        pub group_id: String [0..=7],
        /// The partitions; null is all that have a position.
        pub topics: Option<Vec<OffsetFetchRequestTopic>> [0..=7; null 2..=7] = Some(Vec::new()),
        pub groups: Vec<OffsetFetchRequestGroup> [8..],
        /// Whether to fail on positions that a transaction may still change.
        pub require_stable: bool [7..],
    }

    /// Partitions of one topic, up to version 7.
    pub struct OffsetFetchRequestTopic {
        pub name: String,
        pub partition_indexes: Vec<i32>,
    }

    /// One group's question, from version 8 on.
    pub struct OffsetFetchRequestGroup {
        pub group_id: String,
        pub member_id: Option<String> [9.., ignorable],
        pub member_epoch: i32 [9.., ignorable] = -1,
        pub topics: Option<Vec<OffsetFetchRequestTopics>> = Some(Vec::new()),
    }

    /// Partitions of one topic, from version 8 on.
    pub struct OffsetFetchRequestTopics {
        pub name: String [8..=9, ignorable],
        pub topic_id: Uuid [10.., ignorable],
        pub partition_indexes: Vec<i32>,
    }

    /// Stored positions.
    pub struct OffsetFetchResponse (versions 0..=10, flexible 6..) {
        pub throttle_time_ms: i32 [3.., ignorable],
        pub topics: Vec<OffsetFetchResponseTopic> [0..=7],
        pub error_code: i16 [2..=7, ignorable],
        pub groups: Vec<OffsetFetchResponseGroup> [8..],
    }

    /// Positions in one topic, up to version 7.
    pub struct OffsetFetchResponseTopic {
        pub name: String,
        pub partitions: Vec<OffsetFetchResponsePartition>,
    }

    /// The position in one partition, up to version 7.
    pub struct OffsetFetchResponsePartition {
        pub partition_index: i32,
        /// The position; -1 is none.
        pub committed_offset: i64,
        pub committed_leader_epoch: i32 [5..=7, ignorable] = -1,
        pub metadata: Option<String> = Some(String::new()),
        pub error_code: i16,
    }

    /// One group's positions, from version 8 on.
    pub struct OffsetFetchResponseGroup {
        pub group_id: String,
        pub topics: Vec<OffsetFetchResponseTopics>,
        pub error_code: i16,
    }

    /// Positions in one topic, from version 8 on.
    pub struct OffsetFetchResponseTopics {
        pub name: String [8..=9, ignorable],
        pub topic_id: Uuid [10.., ignorable],
        pub partitions: Vec<OffsetFetchResponsePartitions>,
    }

    /// The position in one partition, from version 8 on.
    pub struct OffsetFetchResponsePartitions {
        pub partition_index: i32,
        /// The position; -1 is none.
        pub committed_offset: i64,
        pub committed_leader_epoch: i32 = -1,
        pub metadata: Option<String> = Some(String::new()),
        pub error_code: i16,
    }
}
