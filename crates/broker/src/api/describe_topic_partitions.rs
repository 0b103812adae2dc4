//! `DescribeTopicPartitions`: metadata in pages (KIP-966).

use roka_protocol::{
    ErrorCode, Uuid,
    messages::describe_topic_partitions::{
        Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
        DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
    },
};

use super::{Handler, RequestContext};
use crate::{
    node::Node,
    state::{Partition, Shared},
};

/// At most this many partitions are in a response, whatever the request says.
const PAGE_MAX: i32 = 2000;

impl Handler for DescribeTopicPartitionsRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> DescribeTopicPartitionsResponse {
        let shared = &*node.shared;
        let mut names: Vec<String> = if self.topics.is_empty() {
            shared.topics.all().iter().map(|it| it.name.to_string()).collect()
        } else {
            self.topics.iter().map(|it| it.name.clone()).collect()
        };
        names.sort();
        names.dedup();
        let from = self.cursor.unwrap_or_default();
        names.retain(|it| *it >= from.topic_name);
        let mut left = self.response_partition_limit.clamp(1, PAGE_MAX) as usize;
        let mut response = DescribeTopicPartitionsResponse::default();
        for name in names {
            if left == 0 {
                response.next_cursor = Some(Cursor { topic_name: name, partition_index: 0 });
                break;
            }
            let first =
                if name == from.topic_name { from.partition_index.max(0) as usize } else { 0 };
            let (topic, more) = page(shared, &name, first, &mut left);
            response.topics.push(topic);
            if let Some(next) = more {
                response.next_cursor = Some(Cursor { topic_name: name, partition_index: next });
                break;
            }
        }
        response
    }

    fn refuse(&self, error: ErrorCode) -> DescribeTopicPartitionsResponse {
        let topics = self.topics.iter().map(|it| failed(&it.name, error)).collect();
        DescribeTopicPartitionsResponse { topics, ..Default::default() }
    }
}

fn failed(name: &str, error: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code: error.0,
        name: Some(name.to_owned()),
        topic_id: Uuid::ZERO,
        ..Default::default()
    }
}

/// The partitions of a topic from `first` on, as many as are left, and which is the next.
fn page(
    shared: &Shared,
    name: &str,
    first: usize,
    left: &mut usize,
) -> (DescribeTopicPartitionsResponseTopic, Option<i32>) {
    let Some(topic) = shared.topics.by_name(name) else {
        return (failed(name, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), None);
    };
    let all = topic.partitions();
    let shown = all.get(first..).unwrap_or_default();
    let count = shown.len().min(*left);
    *left -= count;
    let next = (count < shown.len()).then_some((first + count) as i32);
    let page = DescribeTopicPartitionsResponseTopic {
        name: Some(name.to_owned()),
        topic_id: topic.id,
        partitions: shown[..count].iter().map(|it| describe(shared, it)).collect(),
        ..Default::default()
    };
    (page, next)
}

fn describe(shared: &Shared, partition: &Partition) -> DescribeTopicPartitionsResponsePartition {
    let now = partition.leadership();
    let error =
        if now.leader.is_some() { ErrorCode::NONE } else { ErrorCode::LEADER_NOT_AVAILABLE };
    let offline = now.replicas.iter().copied().filter(|&id| !shared.is_live(id));
    DescribeTopicPartitionsResponsePartition {
        error_code: error.0,
        partition_index: partition.index,
        leader_id: now.leader.unwrap_or(-1),
        leader_epoch: now.epoch,
        offline_replicas: offline.collect(),
        replica_nodes: now.replicas,
        isr_nodes: now.isr,
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
    }
}
