//! `OffsetForLeaderEpoch`: where an epoch ends in the log, for readers that find out whether they diverged (KIP-320).

use roka_protocol::{
    ErrorCode,
    messages::offset_for_leader_epoch::{
        EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        OffsetForLeaderPartition, OffsetForLeaderTopic, OffsetForLeaderTopicResult,
    },
};

use super::{Handler, RequestContext};
use crate::{node::Node, state::Topic};

impl Handler for OffsetForLeaderEpochRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> OffsetForLeaderEpochResponse {
        let topics = self.topics.into_iter().map(|asked| {
            let topic = node.shared.topics.by_name(&asked.topic);
            let partition = |it: &OffsetForLeaderPartition| match find(node, topic.as_deref(), it) {
                Ok((leader_epoch, end_offset)) => EpochEndOffset {
                    partition: it.partition,
                    leader_epoch,
                    end_offset,
                    ..Default::default()
                },
                Err(error) => failed(it, error),
            };
            OffsetForLeaderTopicResult {
                partitions: asked.partitions.iter().map(partition).collect(),
                topic: asked.topic,
            }
        });
        OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> OffsetForLeaderEpochResponse {
        let topic = |it: &OffsetForLeaderTopic| OffsetForLeaderTopicResult {
            topic: it.topic.clone(),
            partitions: it.partitions.iter().map(|it| failed(it, error)).collect(),
        };
        OffsetForLeaderEpochResponse {
            topics: self.topics.iter().map(topic).collect(),
            ..Default::default()
        }
    }
}

fn failed(asked: &OffsetForLeaderPartition, error: ErrorCode) -> EpochEndOffset {
    EpochEndOffset { error_code: error.0, partition: asked.partition, ..Default::default() }
}

/// Epoch and end offset; -1 and -1 for an epoch that the leader does not know.
fn find(
    node: &Node,
    topic: Option<&Topic>,
    asked: &OffsetForLeaderPartition,
) -> Result<(i32, i64), ErrorCode> {
    let partition = topic.and_then(|it| it.partition(asked.partition));
    let partition = partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let state = partition.lock();
    state.check_leader(node.id(), asked.current_leader_epoch)?;
    let found =
        state.log.epochs.end_of(asked.leader_epoch, state.leadership.epoch, state.log.end());
    Ok(found.unwrap_or((-1, -1)))
}
