//! Kafka's acls.

use crate::message::{message, request};

request! {
    DescribeAclsRequest(29) to Any -> DescribeAclsResponse;
    CreateAclsRequest(30) to Any -> CreateAclsResponse;
    DeleteAclsRequest(31) to Any -> DeleteAclsResponse;
}

message! {
    pub struct DescribeAclsRequest (versions 0..=3, flexible 2..) {
        pub resource_type_filter: i8,
        pub resource_name_filter: Option<String> = Some(String::new()),
        pub pattern_type_filter: i8 [1..] = 3,
        pub principal_filter: Option<String> = Some(String::new()),
        pub host_filter: Option<String> = Some(String::new()),
        pub operation: i8,
        pub permission_type: i8,
    }

    pub struct DescribeAclsResponse (versions 0..=3, flexible 2..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub resources: Vec<DescribeAclsResource>,
    }

    pub struct DescribeAclsResource {
        pub resource_type: i8,
        pub resource_name: String,
        pub pattern_type: i8 [1..] = 3,
        pub acls: Vec<AclDescription>,
    }

    pub struct AclDescription {
        pub principal: String,
        pub host: String,
        pub operation: i8,
        pub permission_type: i8,
    }

    pub struct CreateAclsRequest (versions 0..=3, flexible 2..) {
        pub creations: Vec<AclCreation>,
    }

    pub struct AclCreation {
        pub resource_type: i8,
        pub resource_name: String,
        pub resource_pattern_type: i8 [1..] = 3,
        pub principal: String,
        pub host: String,
        pub operation: i8,
        pub permission_type: i8,
    }

    pub struct CreateAclsResponse (versions 0..=3, flexible 2..) {
        pub throttle_time_ms: i32,
        pub results: Vec<AclCreationResult>,
    }

    pub struct AclCreationResult {
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
    }

    pub struct DeleteAclsRequest (versions 0..=3, flexible 2..) {
        pub filters: Vec<DeleteAclsFilter>,
    }

    pub struct DeleteAclsFilter {
        pub resource_type_filter: i8,
        pub resource_name_filter: Option<String> = Some(String::new()),
        pub pattern_type_filter: i8 [1..] = 3,
        pub principal_filter: Option<String> = Some(String::new()),
        pub host_filter: Option<String> = Some(String::new()),
        pub operation: i8,
        pub permission_type: i8,
    }

    pub struct DeleteAclsResponse (versions 0..=3, flexible 2..) {
        pub throttle_time_ms: i32,
        pub filter_results: Vec<DeleteAclsFilterResult>,
    }

    pub struct DeleteAclsFilterResult {
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub matching_acls: Vec<DeleteAclsMatchingAcl>,
    }

    pub struct DeleteAclsMatchingAcl {
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub resource_type: i8,
        pub resource_name: String,
        pub pattern_type: i8 [1..] = 3,
        pub principal: String,
        pub host: String,
        pub operation: i8,
        pub permission_type: i8,
    }
}
