//! Kafka's offset delete.

use crate::message::{message, request};

request! { OffsetDeleteRequest(47) to GroupCoordinator -> OffsetDeleteResponse; }

message! {
    pub struct OffsetDeleteRequest (versions 0..=0, never flexible) {
        pub group_id: String,
        pub topics: Vec<OffsetDeleteRequestTopic>,
    }

    pub struct OffsetDeleteRequestTopic {
        pub name: String,
        pub partitions: Vec<OffsetDeleteRequestPartition>,
    }

    pub struct OffsetDeleteRequestPartition {
        pub partition_index: i32,
    }

    pub struct OffsetDeleteResponse (versions 0..=0, never flexible) {
        pub error_code: i16,
        pub throttle_time_ms: i32,
        pub topics: Vec<OffsetDeleteResponseTopic>,
    }

    pub struct OffsetDeleteResponseTopic {
        pub name: String,
        pub partitions: Vec<OffsetDeleteResponsePartition>,
    }

    pub struct OffsetDeleteResponsePartition {
        pub partition_index: i32,
        pub error_code: i16,
    }
}
