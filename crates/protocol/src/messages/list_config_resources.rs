//! Kafka's list config resources.

use crate::message::{message, request};

request! { ListConfigResourcesRequest(74) to Any -> ListConfigResourcesResponse; }

message! {
    pub struct ListConfigResourcesRequest (versions 0..=1, flexible 0..) {
        pub resource_types: Vec<i8> [1..],
    }

    pub struct ListConfigResourcesResponse (versions 0..=1, flexible 0..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub config_resources: Vec<ConfigResource>,
    }

    pub struct ConfigResource {
        pub resource_name: String,
        pub resource_type: i8 [1.., ignorable] = 16,
    }
}
