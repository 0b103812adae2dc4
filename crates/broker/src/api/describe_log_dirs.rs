//! `DescribeLogDirs`: how many bytes the replicas of a node hold.

use roka_protocol::{
    ErrorCode,
    messages::describe_log_dirs::{
        DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
        DescribeLogDirsResult, DescribeLogDirsTopic,
    },
};

use super::{Handler, RequestContext};
use crate::{node::Node, state::Topic};

/// What stands for a folder when there is none.
const IN_MEMORY: &str = "memory";

impl Handler for DescribeLogDirsRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> DescribeLogDirsResponse {
        let dir = node.shared.data_dir.as_ref();
        let log_dir = dir.map_or_else(|| IN_MEMORY.to_owned(), |it| it.display().to_string());
        let asked = |topic: &Topic, index: i32| {
            self.topics.as_ref().is_none_or(|topics| {
                let mut named = topics.iter().filter(|it| *it.topic == *topic.name);
                named.any(|it| it.partitions.contains(&index))
            })
        };
        let mut topics = Vec::new();
        for topic in node.shared.topics.all() {
            let mut partitions = Vec::new();
            for partition in topic.partitions().iter().filter(|it| asked(&topic, it.index)) {
                let state = partition.lock();
                if state.leadership.replicas.contains(&node.id()) {
                    partitions.push(DescribeLogDirsPartition {
                        partition_index: partition.index,
                        partition_size: state.log.size() as i64,
                        ..Default::default()
                    });
                }
            }
            if !partitions.is_empty() {
                topics.push(DescribeLogDirsTopic { name: topic.name.to_string(), partitions });
            }
        }
        let result = DescribeLogDirsResult { log_dir, topics, ..Default::default() };
        DescribeLogDirsResponse { results: vec![result], ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> DescribeLogDirsResponse {
        DescribeLogDirsResponse { error_code: error.0, ..Default::default() }
    }
}
