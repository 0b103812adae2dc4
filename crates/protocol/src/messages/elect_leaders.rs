//! Leaders are elected, preferred or unclean (KIP-460).

use crate::declare::{message, request};

request! { ElectLeadersRequest(43) to Controller -> ElectLeadersResponse; }

message! {
    /// Partitions that need an election; null is all.
    pub struct ElectLeadersRequest (versions 0..=2, flexible 2..) {
        pub election_type: i8 [1..],
        pub topic_partitions: Option<Vec<TopicPartitions>> = Some(Vec::new()),
        pub timeout_ms: i32 = 60000,
    }

    /// Partitions of one topic.
    pub struct TopicPartitions {
        pub topic: String,
        pub partitions: Vec<i32>,
    }

    /// What became of the elections.
    pub struct ElectLeadersResponse (versions 0..=2, flexible 2..) {
        pub throttle_time_ms: i32,
        pub error_code: i16 [1..],
        pub replica_election_results: Vec<ReplicaElectionResult>,
    }

    /// What became of one topic.
    pub struct ReplicaElectionResult {
        pub topic: String,
        pub partition_result: Vec<PartitionResult>,
    }

    /// What became of one partition.
    pub struct PartitionResult {
        pub partition_id: i32,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
    }
}
