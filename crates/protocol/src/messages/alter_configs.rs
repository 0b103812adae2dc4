//! Kafka's alter configs.

use crate::message::{message, request};

request! { AlterConfigsRequest(33) to Any -> AlterConfigsResponse; }

message! {
    pub struct AlterConfigsRequest (versions 0..=2, flexible 2..) {
        pub resources: Vec<AlterConfigsResource>,
        pub validate_only: bool,
    }

    pub struct AlterConfigsResource {
        pub resource_type: i8,
        pub resource_name: String,
        pub configs: Vec<AlterableConfig>,
    }

    pub struct AlterableConfig {
        pub name: String,
        pub value: Option<String> = Some(String::new()),
    }

    pub struct AlterConfigsResponse (versions 0..=2, flexible 2..) {
        pub throttle_time_ms: i32,
        pub responses: Vec<AlterConfigsResourceResponse>,
    }

    pub struct AlterConfigsResourceResponse {
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub resource_type: i8,
        pub resource_name: String,
    }
}
