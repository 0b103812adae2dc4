//! The brokers or controllers of a cluster, and its id (KIP-700).

use crate::declare::{message, request};

request! { DescribeClusterRequest(60) to Any -> DescribeClusterResponse; }

message! {
    /// What of the cluster is wanted.
    pub struct DescribeClusterRequest (versions 0..=2, flexible 0..) {
        pub include_cluster_authorized_operations: bool,
        pub endpoint_type: i8 [1..] = 1,
        pub include_fenced_brokers: bool [2..],
    }

    /// The cluster.
    pub struct DescribeClusterResponse (versions 0..=2, flexible 0..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub error_message: Option<String>,
        pub endpoint_type: i8 [1..] = 1,
        pub cluster_id: String,
        pub controller_id: i32 = -1,
        pub brokers: Vec<DescribeClusterBroker>,
        pub cluster_authorized_operations: i32 = i32::MIN,
    }

    /// A node and where it is reached.
    pub struct DescribeClusterBroker {
        pub broker_id: i32,
        pub host: String,
        pub port: i32,
        pub rack: Option<String>,
        pub is_fenced: bool [2..],
    }
}
