//! Topics are deleted; from version 6 on by name or by id.

use crate::{
    Uuid,
    declare::{message, request},
};

request! { DeleteTopicsRequest(20) to Controller -> DeleteTopicsResponse; }

message! {
    /// Topics to be deleted.
    pub struct DeleteTopicsRequest (versions 0..=6, flexible 4..) {
        pub topics: Vec<DeleteTopicState> [6..],
        pub topic_names: Vec<String> [0..=5, ignorable],
        pub timeout_ms: i32,
    }

    /// A topic, by name or by id, from version 6 on.
    pub struct DeleteTopicState {
        pub name: Option<String>,
        pub topic_id: Uuid,
    }

    /// What became of the topics.
    pub struct DeleteTopicsResponse (versions 0..=6, flexible 4..) {
        pub throttle_time_ms: i32 [1.., ignorable],
        pub responses: Vec<DeletableTopicResult>,
    }

    /// What became of one topic.
    pub struct DeletableTopicResult {
        pub name: Option<String> [0..; null 6..] = Some(String::new()),
        pub topic_id: Uuid [6.., ignorable],
        pub error_code: i16,
        pub error_message: Option<String> [5.., ignorable],
    }
}
