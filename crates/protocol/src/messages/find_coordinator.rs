//! Which broker looks after a group or a transactional id.
//!
//! Versions up to 3 ask about one key, later ones about several at once (KIP-699).

use crate::declare::{message, request};

request! { FindCoordinatorRequest(10) to Any -> FindCoordinatorResponse; }

message! {
    /// The groups or transactional ids whose coordinator is wanted.
    pub struct FindCoordinatorRequest (versions 0..=6, flexible 3..) {
        pub key: String [0..=3],
        /// 0 is a group, 1 a transactional id, 2 a share group.
        pub key_type: i8 [1..],
        pub coordinator_keys: Vec<String> [4..],
    }

    /// The coordinators: one in the outer fields up to version 3, then a list.
    pub struct FindCoordinatorResponse (versions 0..=6, flexible 3..) {
        pub throttle_time_ms: i32 [1.., ignorable],
        pub error_code: i16 [0..=3],
        pub error_message: Option<String> [1..=3, ignorable] = Some(String::new()),
        pub node_id: i32 [0..=3],
        pub host: String [0..=3],
        pub port: i32 [0..=3],
        pub coordinators: Vec<Coordinator> [4..],
    }

    /// One key's coordinator.
    pub struct Coordinator {
        pub key: String,
        pub node_id: i32,
        pub host: String,
        pub port: i32,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
    }
}
