//! Produce: one batch per partition is checked and appended to the leader's log.

use bytes::Bytes;
use roka_protocol::{
    ErrorCode,
    messages::produce::{
        LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData, PartitionProduceResponse,
        ProduceRequest, ProduceResponse, TopicProduceData, TopicProduceResponse,
    },
};

use super::{Handler, RequestContext, hints};
use crate::{
    config::TopicConfig,
    log::{
        Rolling, Stamp, Verdict,
        validate::{self, Refusal},
    },
    node::Node,
    state::{Leadership, Topic, now_ms},
};

/// The first version whose responses name the new leader (KIP-951).
const HINTS_FROM: i16 = 10;

impl Handler for ProduceRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> ProduceResponse {
        let mut moved = Vec::new();
        let acks = self.acks;
        let topics = self.topic_data.into_iter().map(|it| produce(node, ctx, acks, it, &mut moved));
        let responses = topics.collect();
        let node_endpoints = hints::endpoints(node, &moved)
            .map(|(node_id, host, port, rack)| NodeEndpoint { node_id, host, port, rack })
            .collect();
        ProduceResponse { responses, node_endpoints, ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> ProduceResponse {
        let topic = |topic: &TopicProduceData| TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses: topic
                .partition_data
                .iter()
                .map(|it| failed(it.index, error))
                .collect(),
        };
        ProduceResponse {
            responses: self.topic_data.iter().map(topic).collect(),
            ..Default::default()
        }
    }

    fn is_silent(&self) -> bool {
        self.acks == 0
    }
}

fn produce(
    node: &Node,
    ctx: &RequestContext,
    acks: i16,
    asked: TopicProduceData,
    moved: &mut Vec<i32>,
) -> TopicProduceResponse {
    let topic = node.shared.topics.find(asked.topic_id, &asked.name);
    let partition = |data: PartitionProduceData| match &topic {
        Some(topic) => append(node, ctx, acks, topic, data, moved),
        None if asked.topic_id.is_zero() => {
            failed(data.index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        }
        None => failed(data.index, ErrorCode::UNKNOWN_TOPIC_ID),
    };
    TopicProduceResponse {
        partition_responses: asked.partition_data.into_iter().map(partition).collect(),
        name: asked.name,
        topic_id: asked.topic_id,
    }
}

fn failed(index: i32, error: ErrorCode) -> PartitionProduceResponse {
    PartitionProduceResponse { index, error_code: error.0, base_offset: -1, ..Default::default() }
}

fn append(
    node: &Node,
    ctx: &RequestContext,
    acks: i16,
    topic: &Topic,
    data: PartitionProduceData,
    moved: &mut Vec<i32>,
) -> PartitionProduceResponse {
    let index = data.index;
    if !(-1..=1).contains(&acks) {
        return failed(index, ErrorCode::INVALID_REQUIRED_ACKS);
    }
    let Some(partition) = topic.partition(index) else {
        return failed(index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    let config = topic.config();
    let now_ms = now_ms();
    let records = data.records.unwrap_or_default();
    let (header, batch) = match validate::batch(&records, ctx.version, &config, now_ms) {
        Ok(checked) => checked,
        Err(refusal) => return refused(index, refusal),
    };
    let mut state = partition.lock();
    if state.deleted {
        return failed(index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    if state.leadership.leader != Some(node.id()) {
        return not_leader(node, ctx, index, &state.leadership, moved);
    }
    if acks == -1 && state.leadership.isr.len() < config.min_insync_replicas {
        return failed(index, ErrorCode::NOT_ENOUGH_REPLICAS);
    }
    let log_start_offset = state.log.start();
    let verdict =
        if header.has_producer() { state.log.producers.check(&header) } else { Verdict::Append };
    let base_offset = match verdict {
        Verdict::Append => {
            let epoch = state.leadership.epoch;
            match write(&mut state.log, &batch, epoch, &config, now_ms) {
                Ok(base_offset) => base_offset,
                Err(error) => {
                    tracing::error!(topic = &*topic.name, index, %error, "append failed");
                    return failed(index, ErrorCode::KAFKA_STORAGE_ERROR);
                }
            }
        }
        Verdict::Duplicate { base_offset, .. } => base_offset,
        Verdict::Fenced => return failed(index, ErrorCode::INVALID_PRODUCER_EPOCH),
        Verdict::OutOfOrder => return failed(index, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
    };
    state.wake();
    PartitionProduceResponse {
        index,
        base_offset,
        log_append_time_ms: if config.append_time { now_ms } else { -1 },
        log_start_offset,
        ..Default::default()
    }
}

fn write(
    log: &mut crate::log::Log,
    batch: &Bytes,
    leader_epoch: i32,
    config: &TopicConfig,
    now_ms: i64,
) -> std::io::Result<i64> {
    let stamp = Stamp { leader_epoch, now_ms, append_time: config.append_time };
    let rolling = Rolling { segment_bytes: config.segment_bytes, segment_ms: config.segment_ms };
    log.append(batch, stamp, rolling)
}

fn refused(index: i32, refusal: Refusal) -> PartitionProduceResponse {
    PartitionProduceResponse { error_message: Some(refusal.text), ..failed(index, refusal.code) }
}

fn not_leader(
    node: &Node,
    ctx: &RequestContext,
    index: i32,
    now: &Leadership,
    moved: &mut Vec<i32>,
) -> PartitionProduceResponse {
    let mut response = failed(index, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    if ctx.version >= HINTS_FROM && hints::are_given(node) {
        let leader_id = now.leader.unwrap_or(-1);
        response.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch: now.epoch };
        moved.push(leader_id);
    }
    response
}
