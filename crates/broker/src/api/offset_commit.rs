//! `OffsetCommit`: positions of a group are stored, if the group lets the member store them.
//!
//! The positions of a request are stored together. Those in partitions that do not exist are refused one by one.

use roka_protocol::{
    ErrorCode,
    messages::offset_commit::{
        OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
        OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
    },
};

use super::{Handler, RequestContext, coordinator};
use crate::{
    group::{member::Identity, offsets::Committed},
    node::Node,
    state::{Shared, Topic, now_ms},
};

impl Handler for OffsetCommitRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> OffsetCommitResponse {
        if let Err(error) = coordinator::check(node, &self.group_id) {
            return self.refuse(error);
        }
        let shared = &node.shared;
        let mut positions = Vec::new();
        let mut topics = Vec::new();
        for asked in &self.topics {
            let topic = shared.topics.find(asked.topic_id, &asked.name);
            let mut results = Vec::new();
            for partition in &asked.partitions {
                let checked = check(shared, asked, topic.as_deref(), partition);
                results.push(checked.as_ref().err().copied().unwrap_or(ErrorCode::NONE));
                positions.extend(checked.ok());
            }
            topics.push(results);
        }
        let by = Identity {
            member_id: &self.member_id,
            instance_id: self.group_instance_id.as_deref(),
            generation: self.generation_id_or_member_epoch,
        };
        let outcome = shared.groups.commit(&self.group_id, &by, positions);
        if outcome != ErrorCode::NONE {
            return self.refuse(outcome);
        }
        let mut results = topics.into_iter().flatten();
        // As many as there are partitions.
        response(&self, || results.next().unwrap_or(ErrorCode::NONE))
    }

    fn refuse(&self, error: ErrorCode) -> OffsetCommitResponse {
        response(self, || error)
    }
}

fn check(
    shared: &Shared,
    asked: &OffsetCommitRequestTopic,
    topic: Option<&Topic>,
    partition: &OffsetCommitRequestPartition,
) -> Result<(String, i32, Committed), ErrorCode> {
    let unknown = || {
        let by_id = !asked.topic_id.is_zero();
        if by_id { ErrorCode::UNKNOWN_TOPIC_ID } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION }
    };
    let topic = topic.ok_or_else(unknown)?;
    let index = partition.partition_index;
    if topic.partition(index).is_none() {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    let metadata = partition.committed_metadata.clone().unwrap_or_default();
    let longest = shared.config.number("offset.metadata.max.bytes", 4096);
    if metadata.len() as i64 > longest {
        return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    }
    let time_ms =
        if partition.commit_timestamp < 0 { now_ms() } else { partition.commit_timestamp };
    let committed = Committed {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata,
        time_ms,
    };
    Ok((topic.name.to_string(), index, committed))
}

/// An answer for every partition of the request, in its order.
fn response(
    request: &OffsetCommitRequest,
    mut error: impl FnMut() -> ErrorCode,
) -> OffsetCommitResponse {
    let mut topics = Vec::new();
    for topic in &request.topics {
        let partitions = topic.partitions.iter().map(|it| OffsetCommitResponsePartition {
            partition_index: it.partition_index,
            error_code: error().0,
        });
        topics.push(OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: partitions.collect(),
        });
    }
    OffsetCommitResponse { topics, ..Default::default() }
}
