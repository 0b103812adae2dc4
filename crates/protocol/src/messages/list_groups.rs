//! The groups that one broker coordinates: to see all of them, every broker is asked.

use crate::declare::{message, request};

request! { ListGroupsRequest(16) to Any -> ListGroupsResponse; }

message! {
    /// States and types of groups to be listed; empty lists all.
    pub struct ListGroupsRequest (versions 0..=5, flexible 3..) {
        pub states_filter: Vec<String> [4..],
        pub types_filter: Vec<String> [5..],
    }

    /// The groups.
    pub struct ListGroupsResponse (versions 0..=5, flexible 3..) {
        pub throttle_time_ms: i32 [1.., ignorable],
        pub error_code: i16,
        pub groups: Vec<ListedGroup>,
    }

    /// A group in brief.
    pub struct ListedGroup {
        pub group_id: String,
        pub protocol_type: String,
        pub group_state: String [4.., ignorable],
        pub group_type: String [5.., ignorable],
    }
}
