//! The one request of the new group protocol: join, report, be assigned, leave (KIP-848).

use crate::{
    Uuid,
    declare::{message, request},
};

request! { ConsumerGroupHeartbeatRequest(68) to GroupCoordinator -> ConsumerGroupHeartbeatResponse; }

message! {
    /// What a member reports; null is unchanged.
    pub struct ConsumerGroupHeartbeatRequest (versions 0..=1, flexible 0..) {
        pub group_id: String,
        pub member_id: String,
        pub member_epoch: i32,
        pub instance_id: Option<String>,
        pub rack_id: Option<String>,
        pub rebalance_timeout_ms: i32 = -1,
        pub subscribed_topic_names: Option<Vec<String>>,
        pub subscribed_topic_regex: Option<String> [1..],
        pub server_assignor: Option<String>,
        pub topic_partitions: Option<Vec<TopicPartitions>>,
    }

    /// Partitions of one topic.
    pub struct TopicPartitions {
        pub topic_id: Uuid,
        pub partitions: Vec<i32>,
    }

    /// What the member is to do.
    pub struct ConsumerGroupHeartbeatResponse (versions 0..=1, flexible 0..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub error_message: Option<String>,
        pub member_id: Option<String>,
        pub member_epoch: i32,
        pub heartbeat_interval_ms: i32,
        pub assignment: Option<Assignment>,
    }

    /// What the member is to own.
    pub struct Assignment {
        pub topic_partitions: Vec<TopicPartitions>,
    }
}
