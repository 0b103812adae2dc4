//! Kafka's create partitions.

use crate::message::{message, request};

request! { CreatePartitionsRequest(37) to Controller -> CreatePartitionsResponse; }

message! {
    pub struct CreatePartitionsRequest (versions 0..=3, flexible 2..) {
        pub topics: Vec<CreatePartitionsTopic>,
        pub timeout_ms: i32,
        pub validate_only: bool,
    }

    pub struct CreatePartitionsTopic {
        pub name: String,
        pub count: i32,
        pub assignments: Option<Vec<CreatePartitionsAssignment>> = Some(Vec::new()),
    }

    pub struct CreatePartitionsAssignment {
        pub broker_ids: Vec<i32>,
    }

    pub struct CreatePartitionsResponse (versions 0..=3, flexible 2..) {
        pub throttle_time_ms: i32,
        pub results: Vec<CreatePartitionsTopicResult>,
    }

    pub struct CreatePartitionsTopicResult {
        pub name: String,
        pub error_code: i16,
        pub error_message: Option<String>,
    }
}
