//! Single keys of a configuration are set, removed, appended to or subtracted from (KIP-339).

use crate::declare::{message, request};

request! { IncrementalAlterConfigsRequest(44) to Any -> IncrementalAlterConfigsResponse; }

message! {
    /// Changes to configurations.
    pub struct IncrementalAlterConfigsRequest (versions 0..=1, flexible 1..) {
        pub resources: Vec<AlterConfigsResource>,
        pub validate_only: bool,
    }

    /// The changes to one resource.
    pub struct AlterConfigsResource {
        pub resource_type: i8,
        pub resource_name: String,
        pub configs: Vec<AlterableConfig>,
    }

    /// A change to one key: 0 sets, 1 deletes, 2 appends, 3 subtracts.
    pub struct AlterableConfig {
        pub name: String,
        pub config_operation: i8,
        pub value: Option<String> = Some(String::new()),
    }

    /// What became of the changes.
    pub struct IncrementalAlterConfigsResponse (versions 0..=1, flexible 1..) {
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
