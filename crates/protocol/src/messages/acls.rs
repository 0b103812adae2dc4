//! Access control lists are described, created and deleted.
//!
//! The enumerations are those of Java's `ResourceType`, `PatternType`, `AclOperation` and
//! `AclPermissionType`, as their codes.

use crate::declare::{message, request};

request! {
    DescribeAclsRequest(29) to Any -> DescribeAclsResponse;
    CreateAclsRequest(30) to Any -> CreateAclsResponse;
    DeleteAclsRequest(31) to Any -> DeleteAclsResponse;
}

message! {
    /// A filter for entries.
    pub struct DescribeAclsRequest (versions 0..=3, flexible 2..) {
        pub resource_type_filter: i8,
        pub resource_name_filter: Option<String> = Some(String::new()),
        pub pattern_type_filter: i8 [1..] = 3,
        pub principal_filter: Option<String> = Some(String::new()),
        pub host_filter: Option<String> = Some(String::new()),
        pub operation: i8,
        pub permission_type: i8,
    }

    /// The entries that match.
    pub struct DescribeAclsResponse (versions 0..=3, flexible 2..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub resources: Vec<DescribeAclsResource>,
    }

    /// The entries of one resource.
    pub struct DescribeAclsResource {
        pub resource_type: i8,
        pub resource_name: String,
        pub pattern_type: i8 [1..] = 3,
        pub acls: Vec<AclDescription>,
    }

    /// One entry.
    pub struct AclDescription {
        pub principal: String,
        pub host: String,
        pub operation: i8,
        pub permission_type: i8,
    }

    /// Entries to be created.
    pub struct CreateAclsRequest (versions 0..=3, flexible 2..) {
        pub creations: Vec<AclCreation>,
    }

    /// An entry to be created.
    pub struct AclCreation {
        pub resource_type: i8,
        pub resource_name: String,
        pub resource_pattern_type: i8 [1..] = 3,
        pub principal: String,
        pub host: String,
        pub operation: i8,
        pub permission_type: i8,
    }

    /// What became of the entries.
    pub struct CreateAclsResponse (versions 0..=3, flexible 2..) {
        pub throttle_time_ms: i32,
        pub results: Vec<AclCreationResult>,
    }

    /// What became of one entry.
    pub struct AclCreationResult {
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
    }

    /// Filters for entries to be deleted.
    pub struct DeleteAclsRequest (versions 0..=3, flexible 2..) {
        pub filters: Vec<DeleteAclsFilter>,
    }

    /// One filter.
    pub struct DeleteAclsFilter {
        pub resource_type_filter: i8,
        pub resource_name_filter: Option<String> = Some(String::new()),
        pub pattern_type_filter: i8 [1..] = 3,
        pub principal_filter: Option<String> = Some(String::new()),
        pub host_filter: Option<String> = Some(String::new()),
        pub operation: i8,
        pub permission_type: i8,
    }

    /// What was deleted.
    pub struct DeleteAclsResponse (versions 0..=3, flexible 2..) {
        pub throttle_time_ms: i32,
        pub filter_results: Vec<DeleteAclsFilterResult>,
    }

    /// What one filter deleted.
    pub struct DeleteAclsFilterResult {
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub matching_acls: Vec<DeleteAclsMatchingAcl>,
    }

    /// An entry that matched.
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
