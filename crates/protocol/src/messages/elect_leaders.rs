//! Kafka's elect leaders.

use crate::message::{message, request};

request! { ElectLeadersRequest(43) to Controller -> ElectLeadersResponse; }

message! {
    pub struct ElectLeadersRequest (versions 0..=2, flexible 2..) {
        pub election_type: i8 [1..],
        pub topic_partitions: Option<Vec<TopicPartitions>> = Some(Vec::new()),
        pub timeout_ms: i32 = 60000,
    }

    pub struct TopicPartitions {
        pub topic: String,
        pub partitions: Vec<i32>,
    }

    pub struct ElectLeadersResponse (versions 0..=2, flexible 2..) {
        pub throttle_time_ms: i32,
        pub error_code: i16 [1..],
        pub replica_election_results: Vec<ReplicaElectionResult>,
    }

    pub struct ReplicaElectionResult {
        pub topic: String,
        pub partition_result: Vec<PartitionResult>,
    }

    pub struct PartitionResult {
        pub partition_id: i32,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
    }
}
