//! Which APIs a broker speaks, in which versions.
//!
//! The first request on a connection. A broker that does not know the version answers with version 0
//! and `UNSUPPORTED_VERSION`, so the response always has the oldest header (KIP-511).

use crate::declare::{message, request};

request! { ApiVersionsRequest(18) to Any -> ApiVersionsResponse; }

message! {
    /// Who the client is.
    pub struct ApiVersionsRequest (versions 0..=5, flexible 3..) {
        pub client_software_name: String [3.., ignorable],
        pub client_software_version: String [3.., ignorable],
        pub cluster_id: Option<String> [5.., ignorable],
        pub node_id: i32 [5.., ignorable] = -1,
    }

    /// What the broker speaks.
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

    /// The versions of one API.
    pub struct ApiVersion {
        pub api_key: i16,
        pub min_version: i16,
        pub max_version: i16,
    }

    /// The levels of a feature that the broker supports.
    pub struct SupportedFeatureKey {
        pub name: String,
        pub min_version: i16,
        pub max_version: i16,
    }

    /// The level of a feature that the cluster has settled on.
    pub struct FinalizedFeatureKey {
        pub name: String,
        pub max_version_level: i16,
        pub min_version_level: i16,
    }
}
