//! What the partitions of one fetch hold at this moment.

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
    state::{Partition, PartitionState},
};

/// The first version whose responses name the new leader (KIP-951).
const HINTS_FROM: i16 = 12;
/// The first version in which one batch is given although it is larger than the limits (KIP-74).
const AT_LEAST_ONE_FROM: i16 = 3;

/// What bounds a fetch.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) max_bytes: usize,
    pub(super) min_bytes: usize,
    pub(super) committed_only: bool,
    pub(super) version: i16,
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
        found.failed |= data.error_code != 0 || data.diverging_epoch.end_offset >= 0;
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
    if let Err(error) = check(node, &state, asked) {
        let error = if state.deleted { unknown(want) } else { error };
        return refused(node, &state, asked, error, limits, found);
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
    let upto = if limits.committed_only { data.last_stable_offset } else { data.high_watermark };
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

fn check(node: &Node, state: &PartitionState, asked: &FetchPartition) -> Result<(), ErrorCode> {
    state.check_leader(node.id(), asked.current_leader_epoch)?;
    if asked.fetch_offset < state.log.start() || asked.fetch_offset > state.log.end() {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    Ok(())
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

/// The aborted transactions among the records that are read.
fn aborted(state: &PartitionState, from: i64, records: &Bytes) -> Vec<AbortedTransaction> {
    let last = header::batches(records).last();
    let upto = last.map_or(from, |(header, _)| header.next_offset());
    let transactions = state.log.producers.aborted_in(from, upto);
    transactions
        .map(|it| AbortedTransaction { producer_id: it.producer_id, first_offset: it.first_offset })
        .collect()
}
