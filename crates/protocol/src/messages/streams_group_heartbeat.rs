//! Kafka's streams group heartbeat.

use crate::message::{message, request};

request! { StreamsGroupHeartbeatRequest(88) to GroupCoordinator -> StreamsGroupHeartbeatResponse; }

message! {
    pub struct StreamsGroupHeartbeatRequest (versions 0..=1, flexible 0..) {
        pub group_id: String,
        pub member_id: String,
        pub member_epoch: i32,
        pub endpoint_information_epoch: i32,
        pub instance_id: Option<String>,
        pub rack_id: Option<String>,
        pub rebalance_timeout_ms: i32 = -1,
        pub topology: Option<Topology>,
        pub active_tasks: Option<Vec<TaskIds>>,
        pub standby_tasks: Option<Vec<TaskIds>>,
        pub warmup_tasks: Option<Vec<TaskIds>>,
        pub process_id: Option<String>,
        pub user_endpoint: Option<Endpoint>,
        pub client_tags: Option<Vec<KeyValue>>,
        pub task_offsets: Option<Vec<TaskOffset>>,
        pub task_end_offsets: Option<Vec<TaskOffset>>,
        pub shutdown_application: bool,
    }

    pub struct Topology {
        pub epoch: i32,
        pub subtopologies: Vec<Subtopology>,
    }

    pub struct Subtopology {
        pub subtopology_id: String,
        pub source_topics: Vec<String>,
        pub source_topic_regex: Vec<String>,
        pub state_changelog_topics: Vec<TopicInfo>,
        pub repartition_sink_topics: Vec<String>,
        pub repartition_source_topics: Vec<TopicInfo>,
        pub copartition_groups: Vec<CopartitionGroup>,
    }

    pub struct TopicInfo {
        pub name: String,
        pub partitions: i32,
        pub replication_factor: i16,
        pub topic_configs: Vec<KeyValue>,
    }

    pub struct KeyValue {
        pub key: String,
        pub value: String,
    }

    pub struct CopartitionGroup {
        pub source_topics: Vec<i16>,
        pub source_topic_regex: Vec<i16>,
        pub repartition_source_topics: Vec<i16>,
    }

    pub struct TaskIds {
        pub subtopology_id: String,
        pub partitions: Vec<i32>,
    }

    pub struct Endpoint {
        pub host: String,
        pub port: u16,
    }

    pub struct TaskOffset {
        pub subtopology_id: String,
        pub partition: i32,
        pub offset: i64,
    }

    pub struct StreamsGroupHeartbeatResponse (versions 0..=1, flexible 0..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub error_message: Option<String>,
        pub member_id: String,
        pub member_epoch: i32,
        pub heartbeat_interval_ms: i32,
        pub acceptable_recovery_lag_legacy: i32 [0..=0],
        pub task_offset_interval_ms: i32,
        pub acceptable_recovery_lag: i64 [1.., ignorable] = -1,
        pub status: Option<Vec<Status>> = Some(Vec::new()),
        pub active_tasks: Option<Vec<TaskIds>>,
        pub standby_tasks: Option<Vec<TaskIds>>,
        pub warmup_tasks: Option<Vec<TaskIds>>,
        pub topology_description_required: bool [1..],
        pub endpoint_information_epoch: i32,
        pub partitions_by_user_endpoint: Option<Vec<EndpointToPartitions>>,
    }

    pub struct Status {
        pub status_code: i8,
        pub status_detail: String,
    }

    pub struct EndpointToPartitions {
        pub user_endpoint: Endpoint,
        pub active_partitions: Vec<TopicPartition>,
        pub standby_partitions: Vec<TopicPartition>,
    }

    pub struct TopicPartition {
        pub topic: String,
        pub partitions: Vec<i32>,
    }
}
