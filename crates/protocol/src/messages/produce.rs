//! Kafka's produce.

use bytes::Bytes;

use crate::{
    Uuid,
    message::{message, request},
};

request! { ProduceRequest(0) to Leader -> ProduceResponse; }

message! {
    pub struct ProduceRequest (versions 0..=13, flexible 9..) {
        pub transactional_id: Option<String> [3..],
        pub acks: i16,
        pub timeout_ms: i32,
        pub topic_data: Vec<TopicProduceData>,
    }

    pub struct TopicProduceData {
        pub name: String [0..=12, ignorable],
        pub topic_id: Uuid [13.., ignorable],
        pub partition_data: Vec<PartitionProduceData>,
    }

    pub struct PartitionProduceData {
        pub index: i32,
        pub records: Option<Bytes>,
    }

    pub struct ProduceResponse (versions 0..=13, flexible 9..) {
        pub responses: Vec<TopicProduceResponse>,
        pub throttle_time_ms: i32 [1.., ignorable],
        tagged {
            0 => pub node_endpoints: Vec<NodeEndpoint> [10..],
        }
    }

    pub struct TopicProduceResponse {
        pub name: String [0..=12, ignorable],
        pub topic_id: Uuid [13.., ignorable],
        pub partition_responses: Vec<PartitionProduceResponse>,
    }

    pub struct PartitionProduceResponse {
        pub index: i32,
        pub error_code: i16,
        pub base_offset: i64,
        pub log_append_time_ms: i64 [2.., ignorable] = -1,
        pub log_start_offset: i64 [5.., ignorable] = -1,
        pub record_errors: Vec<BatchIndexAndErrorMessage> [8.., ignorable],
        pub error_message: Option<String> [8.., ignorable],
        tagged {
            0 => pub current_leader: LeaderIdAndEpoch [10..],
        }
    }

    pub struct BatchIndexAndErrorMessage {
        pub batch_index: i32,
        pub batch_index_error_message: Option<String>,
    }

    pub struct LeaderIdAndEpoch {
        pub leader_id: i32 = -1,
        pub leader_epoch: i32 = -1,
    }

    pub struct NodeEndpoint {
        pub node_id: i32,
        pub host: String,
        pub port: i32,
        pub rack: Option<String>,
    }
}
