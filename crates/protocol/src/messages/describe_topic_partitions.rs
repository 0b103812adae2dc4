//! Topics and their partitions, page by page (KIP-966).

use crate::{
    Uuid,
    declare::{message, request},
};

request! { DescribeTopicPartitionsRequest(75) to Any -> DescribeTopicPartitionsResponse; }

message! {
    /// Topics to be described, from a cursor on.
    pub struct DescribeTopicPartitionsRequest (versions 0..=0, flexible 0..) {
        pub topics: Vec<TopicRequest>,
        pub response_partition_limit: i32 = 2000,
        pub cursor: Option<Cursor>,
    }

    /// A topic by name.
    pub struct TopicRequest {
        pub name: String,
    }

    /// Where a page begins.
    pub struct Cursor {
        pub topic_name: String,
        pub partition_index: i32,
    }

    /// A page of topics.
    pub struct DescribeTopicPartitionsResponse (versions 0..=0, flexible 0..) {
        pub throttle_time_ms: i32,
        pub topics: Vec<DescribeTopicPartitionsResponseTopic>,
        pub next_cursor: Option<Cursor>,
    }

    /// A topic and its partitions.
    pub struct DescribeTopicPartitionsResponseTopic {
        pub error_code: i16,
        pub name: Option<String> = Some(String::new()),
        pub topic_id: Uuid,
        pub is_internal: bool,
        pub partitions: Vec<DescribeTopicPartitionsResponsePartition>,
        pub topic_authorized_operations: i32 = i32::MIN,
    }

    /// A partition, its leader and its replicas.
    pub struct DescribeTopicPartitionsResponsePartition {
        pub error_code: i16,
        pub partition_index: i32,
        pub leader_id: i32,
        pub leader_epoch: i32 = -1,
        pub replica_nodes: Vec<i32>,
        pub isr_nodes: Vec<i32>,
        pub eligible_leader_replicas: Option<Vec<i32>>,
        pub last_known_elr: Option<Vec<i32>>,
        pub offline_replicas: Vec<i32>,
    }
}
