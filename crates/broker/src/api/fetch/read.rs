//! What the partitions of one fetch hold at this moment.
//!
//! Followers serve consumers too, from the version on in which a leader can send consumers to them (KIP-392). As in
//! Kafka, a leader that sends a consumer away reads nothing for it, and that a reader's log parts from this one is said
//! before its offset is found to be out of range.

use bytes::Bytes;
use roka_protocol::{
    ErrorCode,
    messages::fetch::{
        AbortedTransaction, EpochEndOffset, FetchPartition, LeaderIdAndEpoch, PartitionData,
    },
};

use super::Wanted;
use crate::{
    api::hints,
    log::header,
    node::Node,
    state::{Partition, PartitionState, Shown},
};

/// The first version whose responses name the new leader (KIP-951).
const HINTS_FROM: i16 = 12;
/// The first version in which one batch is given although it is larger than the limits (KIP-74).
const AT_LEAST_ONE_FROM: i16 = 3;
/// The first version in which consumers say their rack, and followers serve them (KIP-392).
const REPLICAS_FROM: i16 = 11;

/// What bounds a fetch.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) max_bytes: usize,
    pub(super) min_bytes: usize,
    pub(super) committed_only: bool,
    pub(super) version: i16,
    /// The consumer's rack; empty for none.
    pub(super) rack: String,
}

/// What a fetch found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// As the partitions were asked for.
    pub(super) data: Vec<PartitionData>,
    pub(super) bytes: usize,
    pub(super) failed: bool,
    /// Leaders to be named with their addresses.
    pub(super) moved: Vec<i32>,
}

pub(super) fn read_all(node: &Node, wanted: &[Wanted], limits: &Limits) -> Found {
    let mut found = Found::default();
    found.data.reserve_exact(wanted.len());
    for want in wanted {
        let data = match &want.partition {
            Some(partition) => read(node, partition, want, limits, &mut found),
            None => failed(want.asked.partition, unknown(want)),
        };
        found.failed |= data.error_code != 0
            || data.diverging_epoch.end_offset >= 0
            || data.preferred_read_replica >= 0;
        found.bytes += data.records.as_ref().map_or(0, Bytes::len);
        found.data.push(data);
    }
    found
}

fn unknown(want: &Wanted) -> ErrorCode {
    if want.topic_id.is_zero() {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    } else {
        ErrorCode::UNKNOWN_TOPIC_ID
    }
}

pub(super) fn failed(partition: i32, error: ErrorCode) -> PartitionData {
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
    want: &Wanted,
    limits: &Limits,
    found: &mut Found,
) -> PartitionData {
    let asked = &want.asked;
    let mut state = partition.lock();
    let from_followers = limits.version >= REPLICAS_FROM;
    let shown = match state.shown(node.id(), asked.current_leader_epoch, from_followers) {
        Ok(shown) => shown,
        Err(error) => {
            let error = if state.deleted { unknown(want) } else { error };
            return refused(node, &state, asked, error, limits, found);
        }
    };
    let mut data = PartitionData {
        partition_index: asked.partition,
        high_watermark: shown.end,
        last_stable_offset: shown.stable,
        log_start_offset: shown.start,
        records: Some(Bytes::new()),
        ..Default::default()
    };
    if from_followers
        && state.leadership.leader == Some(node.id())
        && let Some(replica) =
            state.preferred_replica(|| node.shared.nodes(), &limits.rack, asked.fetch_offset)
    {
        data.preferred_read_replica = replica;
        return data;
    }
    if let Some(diverging) = diverges(&state, shown, asked) {
        data.diverging_epoch = diverging;
        return data;
    }
    if asked.fetch_offset < shown.start || asked.fetch_offset > shown.end {
        let error = ErrorCode::OFFSET_OUT_OF_RANGE;
        return refused(node, &state, asked, error, limits, found);
    }
    let upto = if limits.committed_only { shown.stable } else { shown.end };
    let left = limits.max_bytes.saturating_sub(found.bytes);
    let max_bytes = left.min(asked.partition_max_bytes.max(0) as usize);
    let at_least_one = found.bytes == 0 && limits.version >= AT_LEAST_ONE_FROM;
    if asked.fetch_offset >= upto || (max_bytes == 0 && !at_least_one) {
        return data;
    }
    match state.log.read(asked.fetch_offset, upto, max_bytes, at_least_one) {
        Ok(records) => {
            if limits.committed_only {
                data.aborted_transactions = Some(aborted(&state, asked.fetch_offset, &records));
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

fn refused(
    node: &Node,
    state: &PartitionState,
    asked: &FetchPartition,
    error: ErrorCode,
    limits: &Limits,
    found: &mut Found,
) -> PartitionData {
    let mut data = failed(asked.partition, error);
    let moved = matches!(error, ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH);
    if moved && limits.version >= HINTS_FROM && hints::are_given(node) {
        let leader_id = state.leadership.leader.unwrap_or(-1);
        data.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch: state.leadership.epoch };
        found.moved.push(leader_id);
    }
    data
}

/// The reader's last record belongs to an epoch that ended earlier here (KIP-595).
fn diverges(
    state: &PartitionState,
    shown: Shown,
    asked: &FetchPartition,
) -> Option<EpochEndOffset> {
    if asked.last_fetched_epoch < 0 || asked.fetch_offset < shown.start {
        return None;
    }
    let current = state.leadership.epoch;
    let (epoch, end_offset) =
        state.log.epochs.end_of(asked.last_fetched_epoch, current, state.log.end())?;
    let end_offset = end_offset.min(shown.end);
    let diverges = epoch < asked.last_fetched_epoch || end_offset < asked.fetch_offset;
    diverges.then_some(EpochEndOffset { epoch, end_offset })
}

/// The aborted transactions among the records that are read.
fn aborted(state: &PartitionState, from: i64, records: &Bytes) -> Vec<AbortedTransaction> {
    let last = header::batches(records).last();
    let upto = last.map_or(from, |(header, _)| header.next_offset());
    let transactions = state.log.producers.aborted_in(from, upto);
    transactions
        .map(|it| AbortedTransaction { producer_id: it.producer_id, first_offset: it.first_offset })
        .collect()
}
