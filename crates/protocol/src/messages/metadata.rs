//! Brokers, topics and the leaders of partitions.
//!
//! In version 0 no topics means all of them; from version 1 on null means all and empty means none.

use crate::{
    Uuid,
    declare::{message, request},
};

request! { MetadataRequest(3) to Any -> MetadataResponse; }

message! {
    /// Topics to be described.
    pub struct MetadataRequest (versions 0..=13, flexible 9..) {
        /// The topics; null is all of them, from version 1 on.
        pub topics: Option<Vec<MetadataRequestTopic>> [0..; null 1..] = Some(Vec::new()),
        /// Whether a missing topic may be created. Before version 4 it always may.
        pub allow_auto_topic_creation: bool [4..] = true,
        pub include_cluster_authorized_operations: bool [8..=10],
        pub include_topic_authorized_operations: bool [8..],
    }

    /// A topic, by name or by id.
    pub struct MetadataRequestTopic {
        pub topic_id: Uuid [10.., ignorable],
        pub name: Option<String> [0..; null 10..] = Some(String::new()),
    }

    /// The cluster as one broker sees it.
    pub struct MetadataResponse (versions 0..=13, flexible 9..) {
        pub throttle_time_ms: i32 [3.., ignorable],
        pub brokers: Vec<MetadataResponseBroker>,
        pub cluster_id: Option<String> [2.., ignorable],
        pub controller_id: i32 [1.., ignorable] = -1,
        pub topics: Vec<MetadataResponseTopic>,
        pub cluster_authorized_operations: i32 [8..=10] = i32::MIN,
        pub error_code: i16 [13.., ignorable],
    }

    /// A broker and where it is reached.
    pub struct MetadataResponseBroker {
        pub node_id: i32,
        pub host: String,
        pub port: i32,
        pub rack: Option<String> [1.., ignorable],
    }

    /// A topic and its partitions.
    pub struct MetadataResponseTopic {
        pub error_code: i16,
        pub name: Option<String> [0..; null 12..] = Some(String::new()),
        pub topic_id: Uuid [10.., ignorable],
        pub is_internal: bool [1.., ignorable],
        pub partitions: Vec<MetadataResponsePartition>,
        pub topic_authorized_operations: i32 [8..] = i32::MIN,
    }

    /// A partition, its leader and its replicas.
    pub struct MetadataResponsePartition {
        pub error_code: i16,
        pub partition_index: i32,
        /// The leader; -1 is none.
        pub leader_id: i32,
        pub leader_epoch: i32 [7.., ignorable] = -1,
        pub replica_nodes: Vec<i32>,
        pub isr_nodes: Vec<i32>,
        pub offline_replicas: Vec<i32> [5.., ignorable],
    }
}
