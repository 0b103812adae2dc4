//! The moves of partitions that are under way (KIP-455).

use crate::declare::{message, request};

request! { ListPartitionReassignmentsRequest(46) to Controller -> ListPartitionReassignmentsResponse; }

message! {
    /// Partitions asked about; null is all.
    pub struct ListPartitionReassignmentsRequest (versions 0..=0, flexible 0..) {
        pub timeout_ms: i32 = 60000,
        pub topics: Option<Vec<ListPartitionReassignmentsTopics>>,
    }

    /// Partitions of one topic.
    pub struct ListPartitionReassignmentsTopics {
        pub name: String,
        pub partition_indexes: Vec<i32>,
    }

    /// The moves under way.
    pub struct ListPartitionReassignmentsResponse (versions 0..=0, flexible 0..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub topics: Vec<OngoingTopicReassignment>,
    }

    /// The moves in one topic.
    pub struct OngoingTopicReassignment {
        pub name: String,
        pub partitions: Vec<OngoingPartitionReassignment>,
    }

    /// One partition's move.
    pub struct OngoingPartitionReassignment {
        pub partition_index: i32,
        pub replicas: Vec<i32>,
        pub adding_replicas: Vec<i32>,
        pub removing_replicas: Vec<i32>,
    }
}
