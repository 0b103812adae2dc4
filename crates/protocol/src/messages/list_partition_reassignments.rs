//! Kafka's list partition reassignments.

use crate::message::{message, request};

request! { ListPartitionReassignmentsRequest(46) to Controller -> ListPartitionReassignmentsResponse; }

message! {
    pub struct ListPartitionReassignmentsRequest (versions 0..=0, flexible 0..) {
        pub timeout_ms: i32 = 60000,
        pub topics: Option<Vec<ListPartitionReassignmentsTopics>>,
    }

    pub struct ListPartitionReassignmentsTopics {
        pub name: String,
        pub partition_indexes: Vec<i32>,
    }

    pub struct ListPartitionReassignmentsResponse (versions 0..=0, flexible 0..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub topics: Vec<OngoingTopicReassignment>,
    }

    pub struct OngoingTopicReassignment {
        pub name: String,
        pub partitions: Vec<OngoingPartitionReassignment>,
    }

    pub struct OngoingPartitionReassignment {
        pub partition_index: i32,
        pub replicas: Vec<i32>,
        pub adding_replicas: Vec<i32>,
        pub removing_replicas: Vec<i32>,
    }
}
