//! Fetch: batches from the leader's log, and waiting for them.
//!
//! - A fetch that finds fewer than `min_bytes` waits until appends bring them, at most `max_wait`. It is woken by the
//!   append; nothing polls.
//! - An error on any partition ends the wait, so that clients learn of it at once.
//! - Records are slices of the log, not copies. The first partition with records gets at least one batch, however
//!   large (KIP-74).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use roka_protocol::{
    ErrorCode, Uuid,
    messages::fetch::{
        AbortedTransaction, EpochEndOffset, FetchPartition, FetchRequest, FetchResponse,
        FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
    },
};
use tokio::{sync::Notify, time::Instant};

use super::{Handler, RequestContext, hints};
use crate::{
    node::Node,
    state::{Partition, PartitionState},
};

/// The first version whose responses name the new leader (KIP-951).
const HINTS_FROM: i16 = 12;
const ENDPOINTS_FROM: i16 = 16;

impl Handler for FetchRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> FetchResponse {
        let deadline = Instant::now() + Duration::from_millis(self.max_wait_ms.max(0) as u64);
        let limits = Limits {
            max_bytes: self.max_bytes.max(0) as usize,
            min_bytes: self.min_bytes.max(0) as usize,
            committed_only: self.isolation_level == 1,
            version: ctx.version,
        };
        let wanted = resolve(node, &self);
        let found = read_or_wait(node, &wanted, &limits, deadline).await;
        let node_endpoints = if ctx.version >= ENDPOINTS_FROM {
            hints::endpoints(node, &found.moved)
                .map(|(node_id, host, port, rack)| NodeEndpoint { node_id, host, port, rack })
                .collect()
        } else {
            Vec::new()
        };
        FetchResponse {
            responses: group(&wanted, found.data),
            node_endpoints,
            ..Default::default()
        }
    }

    fn refuse(&self, error: ErrorCode) -> FetchResponse {
        let topic = |topic: &roka_protocol::messages::fetch::FetchTopic| FetchableTopicResponse {
            topic: topic.topic.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(|it| failed(it.partition, error)).collect(),
        };
        FetchResponse { responses: self.topics.iter().map(topic).collect(), ..Default::default() }
    }
}

/// One partition that is asked for.
#[derive(Debug)]
struct Wanted {
    topic: String,
    topic_id: Uuid,
    partition: Option<Arc<Partition>>,
    asked: FetchPartition,
}

#[derive(Debug)]
struct Limits {
    max_bytes: usize,
    min_bytes: usize,
    committed_only: bool,
    version: i16,
}

#[derive(Debug, Default)]
struct Found {
    data: Vec<PartitionData>,
    bytes: usize,
    failed: bool,
    /// Leaders to be named with their addresses.
    moved: Vec<i32>,
}

fn resolve(node: &Node, request: &FetchRequest) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for topic in &request.topics {
        let found = node.shared.topics.find(topic.topic_id, &topic.topic);
        for asked in &topic.partitions {
            wanted.push(Wanted {
                topic: topic.topic.clone(),
                topic_id: topic.topic_id,
                partition: found.as_ref().and_then(|it| it.partition(asked.partition)),
                asked: asked.clone(),
            });
        }
    }
    wanted
}

/// Takes part in the wake-ups of partitions for as long as it lives.
struct Waiting<'a> {
    wanted: &'a [Wanted],
    notify: Arc<Notify>,
}

impl<'a> Waiting<'a> {
    fn on(wanted: &'a [Wanted], notify: &Arc<Notify>) -> Self {
        wanted.iter().filter_map(|it| it.partition.as_ref()).for_each(|it| it.wait(notify));
        Self { wanted, notify: notify.clone() }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let partitions = self.wanted.iter().filter_map(|it| it.partition.as_ref());
        partitions.for_each(|it| it.stop_waiting(&self.notify));
    }
}

async fn read_or_wait(node: &Node, wanted: &[Wanted], limits: &Limits, deadline: Instant) -> Found {
    let enough = |found: &Found| found.failed || found.bytes >= limits.min_bytes;
    let found = read_all(node, wanted, limits);
    if enough(&found) || Instant::now() >= deadline {
        return found;
    }
    let notify = Arc::new(Notify::new());
    loop {
        let waiting = Waiting::on(wanted, &notify);
        // An append may have come since: only what happens from here on wakes.
        let found = read_all(node, wanted, limits);
        if enough(&found) {
            return found;
        }
        let woken = tokio::time::timeout_at(deadline, notify.notified()).await;
        drop(waiting);
        if woken.is_err() {
            return read_all(node, wanted, limits);
        }
    }
}

fn read_all(node: &Node, wanted: &[Wanted], limits: &Limits) -> Found {
    let mut found = Found::default();
    for want in wanted {
        let data = match &want.partition {
            Some(partition) => read(node, partition, &want.asked, limits, &mut found),
            None if want.topic_id.is_zero() => {
                failed(want.asked.partition, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            }
            None => failed(want.asked.partition, ErrorCode::UNKNOWN_TOPIC_ID),
        };
        found.failed |= data.error_code != 0 || data.diverging_epoch.end_offset >= 0;
        found.bytes += data.records.as_ref().map_or(0, Bytes::len);
        found.data.push(data);
    }
    found
}

fn failed(partition: i32, error: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index: partition,
        error_code: error.0,
        high_watermark: -1,
        records: Some(Bytes::new()),
        ..Default::default()
    }
}

fn read(
    node: &Node,
    partition: &Partition,
    asked: &FetchPartition,
    limits: &Limits,
    found: &mut Found,
) -> PartitionData {
    let mut state = partition.lock();
    if let Err(error) = check(node, &state, asked) {
        let mut data = failed(asked.partition, error);
        let stale =
            matches!(error, ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH);
        if stale && limits.version >= HINTS_FROM && hints::are_given(node) {
            let leader_id = state.leadership.leader.unwrap_or(-1);
            let leader_epoch = state.leadership.epoch;
            data.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch };
            found.moved.push(leader_id);
        }
        return data;
    }
    let mut data = PartitionData {
        partition_index: asked.partition,
        high_watermark: state.log.end(),
        last_stable_offset: state.log.last_stable(),
        log_start_offset: state.log.start(),
        records: Some(Bytes::new()),
        ..Default::default()
    };
    if let Some(diverging) = diverges(&state, asked) {
        data.diverging_epoch = diverging;
        return data;
    }
    let left = limits.max_bytes.saturating_sub(found.bytes);
    let max_bytes = left.min(asked.partition_max_bytes.max(0) as usize);
    let at_least_one = found.bytes == 0 && limits.version >= 3;
    let upto = if limits.committed_only { data.last_stable_offset } else { data.high_watermark };
    if max_bytes == 0 && !at_least_one {
        return data;
    }
    match state.log.read(asked.fetch_offset, upto, max_bytes, at_least_one) {
        Ok(records) => {
            if limits.committed_only {
                data.aborted_transactions = Some(aborted(&state, asked.fetch_offset, upto));
            }
            data.records = Some(records);
        }
        Err(error) => {
            tracing::error!(topic = &*partition.topic, partition = partition.index, %error, "read failed");
            return failed(asked.partition, ErrorCode::KAFKA_STORAGE_ERROR);
        }
    }
    data
}

fn check(node: &Node, state: &PartitionState, asked: &FetchPartition) -> Result<(), ErrorCode> {
    state.check_leader(node.id(), asked.current_leader_epoch)?;
    if asked.fetch_offset < state.log.start() || asked.fetch_offset > state.log.end() {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    Ok(())
}

/// The reader's last record belongs to an epoch that ended earlier here (KIP-595).
fn diverges(state: &PartitionState, asked: &FetchPartition) -> Option<EpochEndOffset> {
    if asked.last_fetched_epoch < 0 {
        return None;
    }
    let log_end = state.log.end();
    let (epoch, end_offset) =
        state.log.epochs.end_of(asked.last_fetched_epoch, state.leadership.epoch, log_end)?;
    let diverges = epoch < asked.last_fetched_epoch || end_offset < asked.fetch_offset;
    diverges.then_some(EpochEndOffset { epoch, end_offset })
}

fn aborted(state: &PartitionState, from: i64, upto: i64) -> Vec<AbortedTransaction> {
    let transactions = state.log.producers.aborted_in(from, upto);
    transactions
        .map(|it| AbortedTransaction { producer_id: it.producer_id, first_offset: it.first_offset })
        .collect()
}

/// Puts the partitions under their topics, which follow each other as they were asked for.
fn group(wanted: &[Wanted], data: Vec<PartitionData>) -> Vec<FetchableTopicResponse> {
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    for (want, data) in wanted.iter().zip(data) {
        let last = topics.last_mut();
        match last.filter(|it| it.topic == want.topic && it.topic_id == want.topic_id) {
            Some(topic) => topic.partitions.push(data),
            None => topics.push(FetchableTopicResponse {
                topic: want.topic.clone(),
                topic_id: want.topic_id,
                partitions: vec![data],
            }),
        }
    }
    topics
}
