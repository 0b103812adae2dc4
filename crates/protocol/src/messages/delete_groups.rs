//! Kafka's delete groups.

use crate::message::{message, request};

request! { DeleteGroupsRequest(42) to GroupCoordinator -> DeleteGroupsResponse; }

message! {
    pub struct DeleteGroupsRequest (versions 0..=3, flexible 2..) {
        pub groups_names: Vec<String>,
    }

    pub struct DeleteGroupsResponse (versions 0..=3, flexible 2..) {
        pub throttle_time_ms: i32,
        pub results: Vec<DeletableGroupResult>,
    }

    pub struct DeletableGroupResult {
        pub group_id: String,
        pub error_code: i16,
        pub error_message: Option<String> [3.., ignorable],
    }
}
