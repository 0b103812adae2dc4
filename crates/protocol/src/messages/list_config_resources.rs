//! The resources that have a configuration of their own.
//!
//! Version 0 lists client metrics only (KIP-714), version 1 every type (KIP-1142).

use crate::declare::{message, request};

request! { ListConfigResourcesRequest(74) to Any -> ListConfigResourcesResponse; }

message! {
    /// Types of resources; empty is all that the broker lists.
    pub struct ListConfigResourcesRequest (versions 0..=1, flexible 0..) {
        pub resource_types: Vec<i8> [1..],
    }

    /// The resources.
    pub struct ListConfigResourcesResponse (versions 0..=1, flexible 0..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub config_resources: Vec<ConfigResource>,
    }

    /// A resource.
    pub struct ConfigResource {
        pub resource_name: String,
        pub resource_type: i8 [1.., ignorable] = 16,
    }
}
