//! Kafka's offset fetch.

use crate::{
    Uuid,
    message::{message, request},
};

request! { OffsetFetchRequest(9) to GroupCoordinator -> OffsetFetchResponse; }

message! {
    pub struct OffsetFetchRequest (versions 0..=10, flexible 6..) {
        pub group_id: String [0..=7],
        pub topics: Option<Vec<OffsetFetchRequestTopic>> [0..=7; null 2..=7] = Some(Vec::new()),
        pub groups: Vec<OffsetFetchRequestGroup> [8..],
        pub require_stable: bool [7..],
    }

    pub struct OffsetFetchRequestTopic {
        pub name: String,
        pub partition_indexes: Vec<i32>,
    }

    pub struct OffsetFetchRequestGroup {
        pub group_id: String,
        pub member_id: Option<String> [9.., ignorable],
        pub member_epoch: i32 [9.., ignorable] = -1,
        pub topics: Option<Vec<OffsetFetchRequestTopics>> = Some(Vec::new()),
    }

    pub struct OffsetFetchRequestTopics {
        pub name: String [8..=9, ignorable],
        pub topic_id: Uuid [10.., ignorable],
        pub partition_indexes: Vec<i32>,
    }

    pub struct OffsetFetchResponse (versions 0..=10, flexible 6..) {
        pub throttle_time_ms: i32 [3.., ignorable],
        pub topics: Vec<OffsetFetchResponseTopic> [0..=7],
        pub error_code: i16 [2..=7, ignorable],
        pub groups: Vec<OffsetFetchResponseGroup> [8..],
    }

    pub struct OffsetFetchResponseTopic {
        pub name: String,
        pub partitions: Vec<OffsetFetchResponsePartition>,
    }

    pub struct OffsetFetchResponsePartition {
        pub partition_index: i32,
        pub committed_offset: i64,
        pub committed_leader_epoch: i32 [5..=7, ignorable] = -1,
        pub metadata: Option<String> = Some(String::new()),
        pub error_code: i16,
    }

    pub struct OffsetFetchResponseGroup {
        pub group_id: String,
        pub topics: Vec<OffsetFetchResponseTopics>,
        pub error_code: i16,
    }

    pub struct OffsetFetchResponseTopics {
        pub name: String [8..=9, ignorable],
        pub topic_id: Uuid [10.., ignorable],
        pub partitions: Vec<OffsetFetchResponsePartitions>,
    }

    pub struct OffsetFetchResponsePartitions {
        pub partition_index: i32,
        pub committed_offset: i64,
        pub committed_leader_epoch: i32 = -1,
        pub metadata: Option<String> = Some(String::new()),
        pub error_code: i16,
    }
}
