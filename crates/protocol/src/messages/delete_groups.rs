//! Empty groups are deleted with their offsets.

use crate::declare::{message, request};

request! { DeleteGroupsRequest(42) to GroupCoordinator -> DeleteGroupsResponse; }

message! {
    /// Groups to be deleted.
    pub struct DeleteGroupsRequest (versions 0..=3, flexible 2..) {
        pub groups_names: Vec<String>,
    }

    /// What became of them.
    pub struct DeleteGroupsResponse (versions 0..=3, flexible 2..) {
        pub throttle_time_ms: i32,
        pub results: Vec<DeletableGroupResult>,
    }

    /// What became of one group.
    pub struct DeletableGroupResult {
        pub group_id: String,
        pub error_code: i16,
        pub error_message: Option<String> [3.., ignorable],
    }
}
