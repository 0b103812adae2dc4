//! The configuration of topics, brokers and other resources.
//!
//! The configuration of a broker must be asked of that broker.

use crate::declare::{message, request};

request! { DescribeConfigsRequest(32) to Any -> DescribeConfigsResponse; }

message! {
    /// Resources whose configuration is wanted.
    pub struct DescribeConfigsRequest (versions 0..=4, flexible 4..) {
        pub resources: Vec<DescribeConfigsResource>,
        pub include_synonyms: bool [1..],
        pub include_documentation: bool [3..],
    }

    /// A resource and the wanted keys; null is all.
    pub struct DescribeConfigsResource {
        pub resource_type: i8,
        pub resource_name: String,
        pub configuration_keys: Option<Vec<String>> = Some(Vec::new()),
    }

    /// The configurations.
    pub struct DescribeConfigsResponse (versions 0..=4, flexible 4..) {
        pub throttle_time_ms: i32,
        pub results: Vec<DescribeConfigsResult>,
    }

    /// One resource's configuration.
    pub struct DescribeConfigsResult {
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub resource_type: i8,
        pub resource_name: String,
        pub configs: Vec<DescribeConfigsResourceResult>,
    }

    /// One key.
    pub struct DescribeConfigsResourceResult {
        pub name: String,
        pub value: Option<String> = Some(String::new()),
        pub read_only: bool,
        pub is_default: bool [0..=0],
        pub config_source: i8 [1.., ignorable] = -1,
        pub is_sensitive: bool,
        pub synonyms: Vec<DescribeConfigsSynonym> [1.., ignorable],
        pub config_type: i8 [3.., ignorable],
        pub documentation: Option<String> [3.., ignorable] = Some(String::new()),
    }

    /// Where else the key has a value, the one in force first.
    pub struct DescribeConfigsSynonym {
        pub name: String,
        pub value: Option<String> = Some(String::new()),
        pub source: i8,
    }
}
