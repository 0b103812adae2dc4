//! Members leave their group; several at once since version 3 (KIP-345).

use crate::declare::{message, request};

request! { LeaveGroupRequest(13) to GroupCoordinator -> LeaveGroupResponse; }

message! {
    /// Who leaves.
    pub struct LeaveGroupRequest (versions 0..=5, flexible 4..) {
        pub group_id: String,
        pub member_id: String [0..=2],
        pub members: Vec<MemberIdentity> [3..],
    }

    /// A member that leaves, from version 3 on.
    pub struct MemberIdentity {
        pub member_id: String,
        pub group_instance_id: Option<String>,
        pub reason: Option<String> [5.., ignorable],
    }

    /// What became of those who leave.
    pub struct LeaveGroupResponse (versions 0..=5, flexible 4..) {
        pub throttle_time_ms: i32 [1.., ignorable],
        pub error_code: i16,
        pub members: Vec<MemberResponse> [3..],
    }

    /// What became of one member.
    pub struct MemberResponse {
        pub member_id: String,
        pub group_instance_id: Option<String> = Some(String::new()),
        pub error_code: i16,
    }
}
