//! The configuration of a resource is replaced as a whole.
//!
//! What the request leaves out falls back to its default; see `incremental_alter_configs` for single
//! keys.

use crate::declare::{message, request};

request! { AlterConfigsRequest(33) to Any -> AlterConfigsResponse; }

message! {
    /// New configurations.
    pub struct AlterConfigsRequest (versions 0..=2, flexible 2..) {
        pub resources: Vec<AlterConfigsResource>,
        pub validate_only: bool,
    }

    /// One resource's new configuration.
    pub struct AlterConfigsResource {
        pub resource_type: i8,
        pub resource_name: String,
        pub configs: Vec<AlterableConfig>,
    }

    /// One key and its value.
    pub struct AlterableConfig {
        pub name: String,
        pub value: Option<String> = Some(String::new()),
    }

    /// What became of the configurations.
    pub struct AlterConfigsResponse (versions 0..=2, flexible 2..) {
        pub throttle_time_ms: i32,
        pub responses: Vec<AlterConfigsResourceResponse>,
    }

    /// What became of one resource.
    pub struct AlterConfigsResourceResponse {
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub resource_type: i8,
        pub resource_name: String,
    }
}
