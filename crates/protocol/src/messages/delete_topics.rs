//! Kafka's delete topics.

use crate::{
    Uuid,
    message::{message, request},
};

request! { DeleteTopicsRequest(20) to Controller -> DeleteTopicsResponse; }

message! {
    pub struct DeleteTopicsRequest (versions 0..=6, flexible 4..) {
        pub topics: Vec<DeleteTopicState> [6..],
        pub topic_names: Vec<String> [0..=5, ignorable],
        pub timeout_ms: i32,
    }

    pub struct DeleteTopicState {
        pub name: Option<String>,
        pub topic_id: Uuid,
    }

    pub struct DeleteTopicsResponse (versions 0..=6, flexible 4..) {
        pub throttle_time_ms: i32 [1.., ignorable],
        pub responses: Vec<DeletableTopicResult>,
    }

    pub struct DeletableTopicResult {
        pub name: Option<String> [0..; null 6..] = Some(String::new()),
        pub topic_id: Uuid [6.., ignorable],
        pub error_code: i16,
        pub error_message: Option<String> [5.., ignorable],
    }
}
