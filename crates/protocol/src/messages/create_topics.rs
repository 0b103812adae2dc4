//! Kafka's create topics.

use crate::{
    Uuid,
    message::{message, request},
};

request! { CreateTopicsRequest(19) to Controller -> CreateTopicsResponse; }

message! {
    pub struct CreateTopicsRequest (versions 0..=7, flexible 5..) {
        pub topics: Vec<CreatableTopic>,
        pub timeout_ms: i32 = 60000,
        pub validate_only: bool [1..],
    }

    pub struct CreatableTopic {
        pub name: String,
        pub num_partitions: i32,
        pub replication_factor: i16,
        pub assignments: Vec<CreatableReplicaAssignment>,
        pub configs: Vec<CreatableTopicConfig>,
    }

    pub struct CreatableReplicaAssignment {
        pub partition_index: i32,
        pub broker_ids: Vec<i32>,
    }

    pub struct CreatableTopicConfig {
        pub name: String,
        pub value: Option<String> = Some(String::new()),
    }

    pub struct CreateTopicsResponse (versions 0..=7, flexible 5..) {
        pub throttle_time_ms: i32 [2.., ignorable],
        pub topics: Vec<CreatableTopicResult>,
    }

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

    pub struct CreatableTopicConfigs {
        pub name: String,
        pub value: Option<String> = Some(String::new()),
        pub read_only: bool,
        pub config_source: i8 = -1,
        pub is_sensitive: bool,
    }
}
