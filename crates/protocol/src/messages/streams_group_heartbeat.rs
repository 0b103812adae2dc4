//! The one request of the streams group protocol (KIP-1071).

use crate::declare::{message, request};

request! { StreamsGroupHeartbeatRequest(88) to GroupCoordinator -> StreamsGroupHeartbeatResponse; }

message! {
    /// What a member reports; null is unchanged.
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

    /// The application as a graph of parts.
    pub struct Topology {
        pub epoch: i32,
        pub subtopologies: Vec<Subtopology>,
    }

    /// A part that needs no other: its topics and its stores.
    pub struct Subtopology {
        pub subtopology_id: String,
        pub source_topics: Vec<String>,
        pub source_topic_regex: Vec<String>,
        pub state_changelog_topics: Vec<TopicInfo>,
        pub repartition_sink_topics: Vec<String>,
        pub repartition_source_topics: Vec<TopicInfo>,
        pub copartition_groups: Vec<CopartitionGroup>,
    }

    /// A topic that the broker is to create or check.
    pub struct TopicInfo {
        pub name: String,
        pub partitions: i32,
        pub replication_factor: i16,
        pub topic_configs: Vec<KeyValue>,
    }

    /// A key and a value.
    pub struct KeyValue {
        pub key: String,
        pub value: String,
    }

    /// Topics that need equal numbers of partitions, by index.
    pub struct CopartitionGroup {
        pub source_topics: Vec<i16>,
        pub source_topic_regex: Vec<i16>,
        pub repartition_source_topics: Vec<i16>,
    }

    /// Tasks of one subtopology.
    pub struct TaskIds {
        pub subtopology_id: String,
        pub partitions: Vec<i32>,
    }

    /// Where a member answers queries.
    pub struct Endpoint {
        pub host: String,
        pub port: u16,
    }

    /// How far a task has come.
    pub struct TaskOffset {
        pub subtopology_id: String,
        pub partition: i32,
        pub offset: i64,
    }

    /// What the member is to do.
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

    /// Something the member should know.
    pub struct Status {
        pub status_code: i8,
        pub status_detail: String,
    }

    /// What the member at an endpoint holds.
    pub struct EndpointToPartitions {
        pub user_endpoint: Endpoint,
        pub active_partitions: Vec<TopicPartition>,
        pub standby_partitions: Vec<TopicPartition>,
    }

    /// Partitions of one topic.
    pub struct TopicPartition {
        pub topic: String,
        pub partitions: Vec<i32>,
    }
}
