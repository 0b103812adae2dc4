//! Produce: one batch per partition is checked and appended to the leader's log.
//!
//! A batch of a transaction is appended only while the coordinator says that the transaction is under way: up to version
//! 11 the partition was added to it before, from version 12 on it is added here (KIP-890).

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
        header::Header,
        validate::{self, Refusal},
    },
    node::Node,
    state::{Leadership, Partition, PartitionState, Topic, now_ms},
    transaction::{self, Undecided, machine},
};

/// The first version whose responses name the new leader (KIP-951).
const HINTS_FROM: i16 = 10;
/// The first version that knows `TRANSACTION_ABORTABLE`.
const ABORTABLE_FROM: i16 = 11;
/// The first version that adds partitions to the transaction.
const ADDS_FROM: i16 = 12;

/// What is the same for all partitions of a request.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    node: &'a Node,
    version: i16,
    acks: i16,
    transactional_id: Option<&'a str>,
}

impl Handler for ProduceRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> ProduceResponse {
        let mut moved = Vec::new();
        let asked = Asked {
            node,
            version: ctx.version,
            acks: self.acks,
            transactional_id: self.transactional_id.as_deref(),
        };
        let topics = self.topic_data.into_iter().map(|it| produce(asked, it, &mut moved));
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

fn produce(asked: Asked<'_>, data: TopicProduceData, moved: &mut Vec<i32>) -> TopicProduceResponse {
    let topic = asked.node.shared.topics.find(data.topic_id, &data.name);
    let partition = |it: PartitionProduceData| match &topic {
        Some(topic) => append(asked, topic, it, moved),
        None if data.topic_id.is_zero() => failed(it.index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        None => failed(it.index, ErrorCode::UNKNOWN_TOPIC_ID),
    };
    TopicProduceResponse {
        partition_responses: data.partition_data.into_iter().map(partition).collect(),
        name: data.name,
        topic_id: data.topic_id,
    }
}

fn failed(index: i32, error: ErrorCode) -> PartitionProduceResponse {
    PartitionProduceResponse { index, error_code: error.0, base_offset: -1, ..Default::default() }
}

fn append(
    asked: Asked<'_>,
    topic: &Topic,
    data: PartitionProduceData,
    moved: &mut Vec<i32>,
) -> PartitionProduceResponse {
    let index = data.index;
    if !(-1..=1).contains(&asked.acks) {
        return failed(index, ErrorCode::INVALID_REQUIRED_ACKS);
    }
    let Some(partition) = topic.partition(index) else {
        return failed(index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    let config = topic.config();
    let now_ms = now_ms();
    let records = data.records.unwrap_or_default();
    let (header, batch) = match validate::batch(&records, asked.version, &config, now_ms) {
        Ok(checked) => checked,
        Err(refusal) => return refused(index, refusal),
    };
    let undecided = match begin(asked, topic, &partition, &header) {
        Ok(undecided) => undecided,
        Err(error) => return failed(index, error),
    };
    let mut state = partition.lock();
    if state.deleted {
        return failed(index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    if state.leadership.leader != Some(asked.node.id()) {
        return not_leader(asked, &topic.name, index, &state.leadership, moved);
    }
    if needs_begin(&header, &state) && undecided.is_none() {
        // The transaction has ended since; the client asks again and hears why.
        return failed(index, ErrorCode::NOT_ENOUGH_REPLICAS);
    }
    if asked.acks == -1 && state.leadership.isr.len() < config.min_insync_replicas {
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
        Verdict::OutsideTransaction => return failed(index, ErrorCode::INVALID_TXN_STATE),
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

/// Whether the batch is the first of its transaction in the partition.
fn needs_begin(header: &Header, state: &PartitionState) -> bool {
    header.is_transactional() && !state.log.producers.is_ongoing(header)
}

/// Asks the coordinator before the first batch of a transaction in a partition. The transaction is not decided while the
/// answer lives. Nothing for other batches, and for a partition that cannot take any.
fn begin<'a>(
    asked: Asked<'a>,
    topic: &Topic,
    partition: &Partition,
    header: &Header,
) -> Result<Option<Undecided<'a>>, ErrorCode> {
    {
        let state = partition.lock();
        if state.leadership.leader != Some(asked.node.id()) || !needs_begin(header, &state) {
            return Ok(None);
        }
    }
    let shared = &asked.node.shared;
    let id = asked.transactional_id.ok_or(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)?;
    let who = machine::Identity { id: header.producer_id, epoch: header.producer_epoch };
    let allow = |it: &mut machine::Transaction| {
        if asked.version >= ADDS_FROM {
            it.add_partitions(now_ms(), who, [(topic.name.to_string(), partition.index)])
        } else {
            it.check_partition(who, &topic.name, partition.index)
        }
    };
    shared.transactions.allow(shared, id, allow).map(Some).map_err(|error| match error {
        // Older clients do not ask again after the right error.
        ErrorCode::CONCURRENT_TRANSACTIONS if asked.version < ADDS_FROM => {
            ErrorCode::NOT_ENOUGH_REPLICAS
        }
        error => transaction::to_writer(error, asked.version >= ABORTABLE_FROM),
    })
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
    asked: Asked<'_>,
    topic: &str,
    index: i32,
    now: &Leadership,
    moved: &mut Vec<i32>,
) -> PartitionProduceResponse {
    let mut response = failed(index, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    if asked.version >= HINTS_FROM && hints::are_given(asked.node) {
        let (leader_id, leader_epoch) = hints::leader(asked.node, topic, index, now);
        response.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch };
        moved.push(leader_id);
    }
    response
}
