//! Kafka's incremental alter configs.

use crate::message::{message, request};

request! { IncrementalAlterConfigsRequest(44) to Any -> IncrementalAlterConfigsResponse; }

message! {
    pub struct IncrementalAlterConfigsRequest (versions 0..=1, flexible 1..) {
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
        pub config_operation: i8,
        pub value: Option<String> = Some(String::new()),
    }

    pub struct IncrementalAlterConfigsResponse (versions 0..=1, flexible 1..) {
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
