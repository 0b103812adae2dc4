//! Topics get more partitions.

use crate::declare::{message, request};

request! { CreatePartitionsRequest(37) to Controller -> CreatePartitionsResponse; }

message! {
    /// Topics that are to grow.
    pub struct CreatePartitionsRequest (versions 0..=3, flexible 2..) {
        pub topics: Vec<CreatePartitionsTopic>,
        pub timeout_ms: i32,
        pub validate_only: bool,
    }

    /// A topic and its new number of partitions.
    pub struct CreatePartitionsTopic {
        pub name: String,
        pub count: i32,
        pub assignments: Option<Vec<CreatePartitionsAssignment>> = Some(Vec::new()),
    }

    /// The brokers of one new partition.
    pub struct CreatePartitionsAssignment {
        pub broker_ids: Vec<i32>,
    }

    /// What became of the topics.
    pub struct CreatePartitionsResponse (versions 0..=3, flexible 2..) {
        pub throttle_time_ms: i32,
        pub results: Vec<CreatePartitionsTopicResult>,
    }

    /// What became of one topic.
    pub struct CreatePartitionsTopicResult {
        pub name: String,
        pub error_code: i16,
        pub error_message: Option<String>,
    }
}
