//! Kafka's leave group.

use crate::message::{message, request};

request! { LeaveGroupRequest(13) to GroupCoordinator -> LeaveGroupResponse; }

message! {
    pub struct LeaveGroupRequest (versions 0..=5, flexible 4..) {
        pub group_id: String,
        pub member_id: String [0..=2],
        pub members: Vec<MemberIdentity> [3..],
    }

    pub struct MemberIdentity {
        pub member_id: String,
        pub group_instance_id: Option<String>,
        pub reason: Option<String> [5.., ignorable],
    }

    pub struct LeaveGroupResponse (versions 0..=5, flexible 4..) {
        pub throttle_time_ms: i32 [1.., ignorable],
        pub error_code: i16,
        pub members: Vec<MemberResponse> [3..],
    }

    pub struct MemberResponse {
        pub member_id: String,
        pub group_instance_id: Option<String> = Some(String::new()),
        pub error_code: i16,
    }
}
