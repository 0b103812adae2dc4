//! Topics are created.

use crate::{
    Uuid,
    declare::{message, request},
};

request! { CreateTopicsRequest(19) to Controller -> CreateTopicsResponse; }

message! {
    /// Topics to be created.
    pub struct CreateTopicsRequest (versions 0..=7, flexible 5..) {
        pub topics: Vec<CreatableTopic>,
        pub timeout_ms: i32 = 60000,
        pub validate_only: bool [1..],
    }

    /// A topic to be created.
    pub struct CreatableTopic {
        pub name: String,
        /// The number of partitions; -1 is the broker's default, from version 4 on, or with assignments.
        pub num_partitions: i32,
        /// The number of replicas; -1 is the broker's default, from version 4 on, or with assignments.
        pub replication_factor: i16,
        pub assignments: Vec<CreatableReplicaAssignment>,
        pub configs: Vec<CreatableTopicConfig>,
    }

    /// The brokers of one partition, when the caller chooses them.
    pub struct CreatableReplicaAssignment {
        pub partition_index: i32,
        pub broker_ids: Vec<i32>,
    }

    /// A configuration value of the new topic.
    pub struct CreatableTopicConfig {
        pub name: String,
        pub value: Option<String> = Some(String::new()),
    }

    /// What became of the topics.
    pub struct CreateTopicsResponse (versions 0..=7, flexible 5..) {
        pub throttle_time_ms: i32 [2.., ignorable],
        pub topics: Vec<CreatableTopicResult>,
    }

    /// What became of one topic.
    pub struct CreatableTopicResult {
        pub name: String,
        pub topic_id: Uuid [7.., ignorable],
        pub error_code: i16,
        pub error_message: Option<String> [1.., ignorable] = Some(String::new()),
        pub num_partitions: i32 [5.., ignorable] = -1,
        pub replication_factor: i16 [5.., ignorable] = -1,
        pub configs: Option<Vec<CreatableTopicConfigs>> [5.., ignorable] = Some(Vec::new()),
        tagged {
            0 => pub topic_config_error_code: i16 [5.., ignorable],
        }
    }

    /// A configuration value that the topic has now.
    pub struct CreatableTopicConfigs {
        pub name: String,
        pub value: Option<String> = Some(String::new()),
        pub read_only: bool,
        pub config_source: i8 = -1,
        pub is_sensitive: bool,
    }
}
