//! A member enters a group, or a new generation of it.

use bytes::Bytes;

use crate::declare::{message, request};

request! { JoinGroupRequest(11) to GroupCoordinator -> JoinGroupResponse; }

message! {
    /// A member's wish to join.
    pub struct JoinGroupRequest (versions 0..=9, flexible 6..) {
        pub group_id: String,
        pub session_timeout_ms: i32,
        pub rebalance_timeout_ms: i32 [1.., ignorable] = -1,
        /// The id the coordinator gave; empty at first.
        pub member_id: String,
        /// The id of a static member (KIP-345).
        pub group_instance_id: Option<String> [5..],
        pub protocol_type: String,
        pub protocols: Vec<JoinGroupRequestProtocol>,
        pub reason: Option<String> [8.., ignorable],
    }

    /// An assignor that the member supports, with its subscription.
    pub struct JoinGroupRequestProtocol {
        pub name: String,
        pub metadata: Bytes,
    }

    /// The generation that was joined.
    pub struct JoinGroupResponse (versions 0..=9, flexible 6..) {
        pub throttle_time_ms: i32 [2.., ignorable],
        pub error_code: i16,
        pub generation_id: i32 = -1,
        pub protocol_type: Option<String> [7.., ignorable],
        pub protocol_name: Option<String> [0..; null 7..] = Some(String::new()),
        pub leader: String,
        pub skip_assignment: bool [9..],
        pub member_id: String,
        /// The members, for the leader only.
        pub members: Vec<JoinGroupResponseMember>,
    }

    /// A member as its leader sees it.
    pub struct JoinGroupResponseMember {
        pub member_id: String,
        pub group_instance_id: Option<String> [5.., ignorable],
        pub metadata: Bytes,
    }
}
