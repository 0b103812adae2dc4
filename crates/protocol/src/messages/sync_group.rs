//! The leader of a group hands out the assignment, the others fetch theirs.

use bytes::Bytes;

use crate::declare::{message, request};

request! { SyncGroupRequest(14) to GroupCoordinator -> SyncGroupResponse; }

message! {
    /// The assignment from the leader; empty from the others.
    pub struct SyncGroupRequest (versions 0..=5, flexible 4..) {
        pub group_id: String,
        pub generation_id: i32,
        pub member_id: String,
        pub group_instance_id: Option<String> [3..],
        pub protocol_type: Option<String> [5.., ignorable],
        pub protocol_name: Option<String> [5.., ignorable],
        pub assignments: Vec<SyncGroupRequestAssignment>,
    }

    /// One member's share.
    pub struct SyncGroupRequestAssignment {
        pub member_id: String,
        pub assignment: Bytes,
    }

    /// The member's own share.
    pub struct SyncGroupResponse (versions 0..=5, flexible 4..) {
        pub throttle_time_ms: i32 [1.., ignorable],
        pub error_code: i16,
        pub protocol_type: Option<String> [5.., ignorable],
        pub protocol_name: Option<String> [5.., ignorable],
        pub assignment: Bytes,
    }
}
