//! Kafka's consumer protocol.

use bytes::Bytes;

use crate::message::message;

message! {
    pub struct ConsumerProtocolSubscription (versions 0..=3, never flexible) {
        pub topics: Vec<String>,
        pub user_data: Option<Bytes>,
        pub owned_partitions: Vec<TopicPartition> [1.., ignorable],
        pub generation_id: i32 [2.., ignorable] = -1,
        pub rack_id: Option<String> [3.., ignorable],
    }

    pub struct TopicPartition {
        pub topic: String,
        pub partitions: Vec<i32>,
    }

    pub struct ConsumerProtocolAssignment (versions 0..=3, never flexible) {
        pub assigned_partitions: Vec<TopicPartition>,
        pub user_data: Option<Bytes>,
    }
}
