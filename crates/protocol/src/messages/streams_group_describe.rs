//! The state and the members of streams groups (KIP-1071).

use crate::declare::{message, request};

request! { StreamsGroupDescribeRequest(89) to GroupCoordinator -> StreamsGroupDescribeResponse; }

message! {
    /// Groups to be described.
    pub struct StreamsGroupDescribeRequest (versions 0..=1, flexible 0..) {
        pub group_ids: Vec<String>,
        pub include_authorized_operations: bool,
        pub include_topology_description: bool [1..],
    }

    /// The groups.
    pub struct StreamsGroupDescribeResponse (versions 0..=1, flexible 0..) {
        pub throttle_time_ms: i32,
        pub groups: Vec<DescribedGroup>,
    }

    /// A group, its topology and its members.
    pub struct DescribedGroup {
        pub error_code: i16,
        pub error_message: Option<String>,
        pub group_id: String,
        pub group_state: String,
        pub group_epoch: i32,
        pub assignment_epoch: i32,
        pub topology: Option<Topology>,
        pub members: Vec<Member>,
        pub authorized_operations: i32 = i32::MIN,
        pub topology_description: Option<TopologyDescription> [1..],
        pub topology_description_status: i8 [1..],
        pub assignor_name: Option<String> [1.., ignorable],
    }

    /// The application as a graph of parts.
    pub struct Topology {
        pub epoch: i32,
        pub subtopologies: Option<Vec<Subtopology>>,
    }

    /// A part that needs no other: its topics and its stores.
    pub struct Subtopology {
        pub subtopology_id: String,
        pub source_topics: Vec<String>,
        pub repartition_sink_topics: Vec<String>,
        pub state_changelog_topics: Vec<TopicInfo>,
        pub repartition_source_topics: Vec<TopicInfo>,
    }

    /// A topic of the application.
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

    /// A member, its tasks and those it should have.
    pub struct Member {
        pub member_id: String,
        pub member_epoch: i32,
        pub instance_id: Option<String>,
        pub rack_id: Option<String>,
        pub client_id: String,
        pub client_host: String,
        pub topology_epoch: i32,
        pub process_id: String,
        pub user_endpoint: Option<Endpoint>,
        pub client_tags: Vec<KeyValue>,
        pub task_offsets: Vec<TaskOffset>,
        pub task_end_offsets: Vec<TaskOffset>,
        pub assignment: Assignment,
        pub target_assignment: Assignment,
        pub is_classic: bool,
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

    /// Tasks by kind.
    pub struct Assignment {
        pub active_tasks: Vec<TaskIds>,
        pub standby_tasks: Vec<TaskIds>,
        pub warmup_tasks: Vec<TaskIds>,
    }

    /// Tasks of one subtopology.
    pub struct TaskIds {
        pub subtopology_id: String,
        pub partitions: Vec<i32>,
    }

    /// The application in words, for people.
    pub struct TopologyDescription {
        pub subtopologies: Vec<TopologyDescriptionSubtopology>,
        pub global_stores: Vec<TopologyDescriptionGlobalStore>,
    }

    /// One part's nodes.
    pub struct TopologyDescriptionSubtopology {
        pub subtopology_id: String,
        pub nodes: Vec<TopologyDescriptionNode>,
    }

    /// A source, a processor or a sink.
    pub struct TopologyDescriptionNode {
        pub name: String,
        pub node_type: i8,
        pub source_topics: Vec<String>,
        pub sink_topic: Option<String>,
        pub stores: Vec<String>,
        pub successors: Vec<String>,
    }

    /// A global store: what feeds it.
    pub struct TopologyDescriptionGlobalStore {
        pub source: TopologyDescriptionNode,
        pub processor: TopologyDescriptionNode,
    }
}
