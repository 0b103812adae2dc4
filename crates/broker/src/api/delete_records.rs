//! `DeleteRecords`: the log start moves up to an offset; -1 is the end of the log.

use roka_protocol::{
    ErrorCode,
    messages::delete_records::{
        DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest,
        DeleteRecordsResponse, DeleteRecordsTopic, DeleteRecordsTopicResult,
    },
};

use super::{Handler, RequestContext};
use crate::{node::Node, state::Topic};

impl Handler for DeleteRecordsRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> DeleteRecordsResponse {
        let topics = self.topics.into_iter().map(|asked| {
            let topic = node.shared.topics.by_name(&asked.name);
            let partition = |it: &DeleteRecordsPartition| {
                let deleted = delete(node, topic.as_deref(), it);
                result(it, deleted)
            };
            DeleteRecordsTopicResult {
                partitions: asked.partitions.iter().map(partition).collect(),
                name: asked.name,
            }
        });
        let topics = topics.collect();
        node.shared.save_or_warn();
        DeleteRecordsResponse { topics, ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> DeleteRecordsResponse {
        let topic = |it: &DeleteRecordsTopic| DeleteRecordsTopicResult {
            name: it.name.clone(),
            partitions: it.partitions.iter().map(|it| result(it, Err(error))).collect(),
        };
        DeleteRecordsResponse {
            topics: self.topics.iter().map(topic).collect(),
            ..Default::default()
        }
    }
}

fn result(
    asked: &DeleteRecordsPartition,
    deleted: Result<i64, ErrorCode>,
) -> DeleteRecordsPartitionResult {
    DeleteRecordsPartitionResult {
        partition_index: asked.partition_index,
        low_watermark: deleted.unwrap_or(-1),
        error_code: deleted.err().unwrap_or(ErrorCode::NONE).0,
    }
}

fn delete(
    node: &Node,
    topic: Option<&Topic>,
    asked: &DeleteRecordsPartition,
) -> Result<i64, ErrorCode> {
    let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition =
        topic.partition(asked.partition_index).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if !topic.config().delete {
        // As in Kafka: a table's rows go by tombstones.
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    let mut state = partition.lock();
    state.check_leader(node.id(), -1)?;
    let offset = if asked.offset == -1 { state.log.end() } else { asked.offset };
    if offset < 0 || offset > state.log.end() {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    if let Err(error) = state.log.delete_before(offset) {
        tracing::error!(topic = &*partition.topic, partition = partition.index, %error, "deleting records failed");
        return Err(ErrorCode::KAFKA_STORAGE_ERROR);
    }
    Ok(state.log.start())
}
