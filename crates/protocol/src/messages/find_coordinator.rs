//! Kafka's find coordinator.

use crate::message::{message, request};

request! { FindCoordinatorRequest(10) to Any -> FindCoordinatorResponse; }

message! {
    pub struct FindCoordinatorRequest (versions 0..=6, flexible 3..) {
        pub key: String [0..=3],
        pub key_type: i8 [1..],
        pub coordinator_keys: Vec<String> [4..],
    }

    pub struct FindCoordinatorResponse (versions 0..=6, flexible 3..) {
        pub throttle_time_ms: i32 [1.., ignorable],
        pub error_code: i16 [0..=3],
        pub error_message: Option<String> [1..=3, ignorable] = Some(String::new()),
        pub node_id: i32 [0..=3],
        pub host: String [0..=3],
        pub port: i32 [0..=3],
        pub coordinators: Vec<Coordinator> [4..],
    }

    pub struct Coordinator {
        pub key: String,
        pub node_id: i32,
        pub host: String,
        pub port: i32,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
    }
}
