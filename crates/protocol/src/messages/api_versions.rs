//! Kafka's api versions.

use crate::message::{message, request};

request! { ApiVersionsRequest(18) to Any -> ApiVersionsResponse; }

message! {
    pub struct ApiVersionsRequest (versions 0..=5, flexible 3..) {
        pub client_software_name: String [3.., ignorable],
        pub client_software_version: String [3.., ignorable],
        pub cluster_id: Option<String> [5.., ignorable],
        pub node_id: i32 [5.., ignorable] = -1,
    }

    pub struct ApiVersionsResponse (versions 0..=5, flexible 3..) {
        pub error_code: i16,
        pub api_keys: Vec<ApiVersion>,
        pub throttle_time_ms: i32 [1.., ignorable],
        tagged {
            0 => pub supported_features: Vec<SupportedFeatureKey> [3.., ignorable],
            1 => pub finalized_features_epoch: i64 [3.., ignorable] = -1,
            2 => pub finalized_features: Vec<FinalizedFeatureKey> [3.., ignorable],
            3 => pub zk_migration_ready: bool [3.., ignorable],
        }
    }

    pub struct ApiVersion {
        pub api_key: i16,
        pub min_version: i16,
        pub max_version: i16,
    }

    pub struct SupportedFeatureKey {
        pub name: String,
        pub min_version: i16,
        pub max_version: i16,
    }

    pub struct FinalizedFeatureKey {
        pub name: String,
        pub max_version_level: i16,
        pub min_version_level: i16,
    }
}
