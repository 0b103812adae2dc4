//! Kafka's join group.

use bytes::Bytes;

use crate::message::{message, request};

request! { JoinGroupRequest(11) to GroupCoordinator -> JoinGroupResponse; }

message! {
    pub struct JoinGroupRequest (versions 0..=9, flexible 6..) {
        pub group_id: String,
        pub session_timeout_ms: i32,
        pub rebalance_timeout_ms: i32 [1.., ignorable] = -1,
        pub member_id: String,
        pub group_instance_id: Option<String> [5..],
        pub protocol_type: String,
        pub protocols: Vec<JoinGroupRequestProtocol>,
        pub reason: Option<String> [8.., ignorable],
    }

    pub struct JoinGroupRequestProtocol {
        pub name: String,
        pub metadata: Bytes,
    }

    pub struct JoinGroupResponse (versions 0..=9, flexible 6..) {
        pub throttle_time_ms: i32 [2.., ignorable],
        pub error_code: i16,
        pub generation_id: i32 = -1,
        pub protocol_type: Option<String> [7.., ignorable],
        pub protocol_name: Option<String> [0..; null 7..] = Some(String::new()),
        pub leader: String,
        pub skip_assignment: bool [9..],
        pub member_id: String,
        pub members: Vec<JoinGroupResponseMember>,
    }

    pub struct JoinGroupResponseMember {
        pub member_id: String,
        pub group_instance_id: Option<String> [5.., ignorable],
        pub metadata: Bytes,
    }
}
