//! The state and the members of classic groups.

use bytes::Bytes;

use crate::declare::{message, request};

request! { DescribeGroupsRequest(15) to GroupCoordinator -> DescribeGroupsResponse; }

message! {
    /// Groups to be described.
    pub struct DescribeGroupsRequest (versions 0..=6, flexible 5..) {
        pub groups: Vec<String>,
        pub include_authorized_operations: bool [3..],
    }

    /// The groups.
    pub struct DescribeGroupsResponse (versions 0..=6, flexible 5..) {
        pub throttle_time_ms: i32 [1.., ignorable],
        pub groups: Vec<DescribedGroup>,
    }

    /// A group and its members.
    pub struct DescribedGroup {
        pub error_code: i16,
        pub error_message: Option<String> [6..],
        pub group_id: String,
        pub group_state: String,
        pub protocol_type: String,
        pub protocol_data: String,
        pub members: Vec<DescribedGroupMember>,
        pub authorized_operations: i32 [3..] = i32::MIN,
    }

    /// A member, its subscription and its assignment.
    pub struct DescribedGroupMember {
        pub member_id: String,
        pub group_instance_id: Option<String> [4.., ignorable],
        pub client_id: String,
        pub client_host: String,
        pub member_metadata: Bytes,
        pub member_assignment: Bytes,
    }
}
