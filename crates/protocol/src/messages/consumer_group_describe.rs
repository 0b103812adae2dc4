//! The state and the members of groups of the new protocol (KIP-848).

use crate::{
    Uuid,
    declare::{message, request},
};

request! { ConsumerGroupDescribeRequest(69) to GroupCoordinator -> ConsumerGroupDescribeResponse; }

message! {
    /// Groups to be described.
    pub struct ConsumerGroupDescribeRequest (versions 0..=1, flexible 0..) {
        pub group_ids: Vec<String>,
        pub include_authorized_operations: bool,
    }

    /// The groups.
    pub struct ConsumerGroupDescribeResponse (versions 0..=1, flexible 0..) {
        pub throttle_time_ms: i32,
        pub groups: Vec<DescribedGroup>,
    }

    /// A group and its members.
    pub struct DescribedGroup {
        pub error_code: i16,
        pub error_message: Option<String>,
        pub group_id: String,
        pub group_state: String,
        pub group_epoch: i32,
        pub assignment_epoch: i32,
        pub assignor_name: String,
        pub members: Vec<Member>,
        pub authorized_operations: i32 = i32::MIN,
    }

    /// A member, what it owns and what it should own.
    pub struct Member {
        pub member_id: String,
        pub instance_id: Option<String>,
        pub rack_id: Option<String>,
        pub member_epoch: i32,
        pub client_id: String,
        pub client_host: String,
        pub subscribed_topic_names: Vec<String>,
        pub subscribed_topic_regex: Option<String>,
        pub assignment: Assignment,
        pub target_assignment: Assignment,
        pub member_type: i8 [1.., ignorable] = -1,
    }

    /// Partitions by topic.
    pub struct Assignment {
        pub topic_partitions: Vec<TopicPartitions>,
    }

    /// Partitions of one topic.
    pub struct TopicPartitions {
        pub topic_id: Uuid,
        pub topic_name: String,
        pub partitions: Vec<i32>,
    }
}
