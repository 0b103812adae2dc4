//! Partitions are moved between brokers (KIP-455).

use crate::declare::{message, request};

request! { AlterPartitionReassignmentsRequest(45) to Controller -> AlterPartitionReassignmentsResponse; }

message! {
    /// Moves to be started or cancelled.
    pub struct AlterPartitionReassignmentsRequest (versions 0..=1, flexible 0..) {
        pub timeout_ms: i32 = 60000,
        pub allow_replication_factor_change: bool [1..] = true,
        pub topics: Vec<ReassignableTopic>,
    }

    /// Partitions of one topic.
    pub struct ReassignableTopic {
        pub name: String,
        pub partitions: Vec<ReassignablePartition>,
    }

    /// A partition and its new brokers; null cancels.
    pub struct ReassignablePartition {
        pub partition_index: i32,
        pub replicas: Option<Vec<i32>>,
    }

    /// What became of the moves.
    pub struct AlterPartitionReassignmentsResponse (versions 0..=1, flexible 0..) {
        pub throttle_time_ms: i32,
        pub allow_replication_factor_change: bool [1.., ignorable] = true,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub responses: Vec<ReassignableTopicResponse>,
    }

    /// What became of one topic.
    pub struct ReassignableTopicResponse {
        pub name: String,
        pub partitions: Vec<ReassignablePartitionResponse>,
    }

    /// What became of one partition.
    pub struct ReassignablePartitionResponse {
        pub partition_index: i32,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
    }
}
