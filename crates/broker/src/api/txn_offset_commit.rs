//! `TxnOffsetCommit`: positions of a group are kept for the end of a transaction (KIP-98, KIP-447).
//!
//! The group must be part of the transaction: up to version 4 it was added before, from version 5 on it is added here
//! (KIP-890).

use roka_protocol::{
    ErrorCode,
    messages::txn_offset_commit::{
        TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
        TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
    },
};

use super::{Handler, RequestContext, coordinator};
use crate::{
    group::{member::Identity, offsets::Committed},
    node::Node,
    state::{Shared, Topic, now_ms},
    transaction::{self, machine},
};

/// The first version that knows `TRANSACTION_ABORTABLE`.
const ABORTABLE_FROM: i16 = 4;
/// The first version that adds the group to the transaction.
const ADDS_FROM: i16 = 5;

impl Handler for TxnOffsetCommitRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> TxnOffsetCommitResponse {
        if let Err(error) = coordinator::check_named(node, &self.group_id) {
            return self.refuse(error);
        }
        let shared = &node.shared;
        let mut positions = Vec::new();
        let mut results = Vec::new();
        for asked in &self.topics {
            let topic = shared.topics.find(asked.topic_id, &asked.name);
            for partition in &asked.partitions {
                let checked = check(shared, asked, topic.as_deref(), partition);
                results.push(checked.as_ref().err().copied().unwrap_or(ErrorCode::NONE));
                positions.extend(checked.ok());
            }
        }
        if let Err(error) = keep(&self, shared, ctx.version, positions) {
            return self.refuse(error);
        }
        let mut results = results.into_iter();
        // As many as there are partitions.
        response(&self, || results.next().unwrap_or(ErrorCode::NONE))
    }

    fn refuse(&self, error: ErrorCode) -> TxnOffsetCommitResponse {
        response(self, || error)
    }
}

fn keep(
    asked: &TxnOffsetCommitRequest,
    shared: &Shared,
    version: i16,
    positions: Vec<(String, i32, Committed)>,
) -> Result<(), ErrorCode> {
    let who = machine::Identity { id: asked.producer_id, epoch: asked.producer_epoch };
    let allow = |it: &mut machine::Transaction| {
        if version >= ADDS_FROM {
            it.add_group(now_ms(), who, &asked.group_id)
        } else {
            it.check_group(who, &asked.group_id)
        }
    };
    let undecided = shared.transactions.allow(shared, &asked.transactional_id, allow);
    let _undecided = undecided.map_err(|error| match error {
        ErrorCode::CONCURRENT_TRANSACTIONS if version < ADDS_FROM => {
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        }
        error => transaction::to_writer(error, version >= ABORTABLE_FROM),
    })?;
    let by = Identity {
        member_id: &asked.member_id,
        instance_id: asked.group_instance_id.as_deref(),
        generation: asked.generation_id_or_member_epoch,
    };
    let group = &asked.group_id;
    match shared.groups.commit_in_transaction(group, &by, asked.producer_id, positions) {
        ErrorCode::NONE => Ok(()),
        error => Err(error),
    }
}

fn check(
    shared: &Shared,
    asked: &TxnOffsetCommitRequestTopic,
    topic: Option<&Topic>,
    partition: &TxnOffsetCommitRequestPartition,
) -> Result<(String, i32, Committed), ErrorCode> {
    let topic = topic.ok_or(if asked.topic_id.is_zero() {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    } else {
        ErrorCode::UNKNOWN_TOPIC_ID
    })?;
    let index = partition.partition_index;
    if topic.partition(index).is_none() {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    let metadata = partition.committed_metadata.clone().unwrap_or_default();
    let longest = shared.config.number("offset.metadata.max.bytes", 4096);
    if metadata.len() as i64 > longest {
        return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    }
    let committed = Committed {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata,
        time_ms: now_ms(),
    };
    Ok((topic.name.to_string(), index, committed))
}

/// An answer for every partition of the request, in its order.
fn response(
    request: &TxnOffsetCommitRequest,
    mut error: impl FnMut() -> ErrorCode,
) -> TxnOffsetCommitResponse {
    let mut topics = Vec::new();
    for topic in &request.topics {
        let partitions = topic.partitions.iter().map(|it| TxnOffsetCommitResponsePartition {
            partition_index: it.partition_index,
            error_code: error().0,
        });
        topics.push(TxnOffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: partitions.collect(),
        });
    }
    TxnOffsetCommitResponse { topics, ..Default::default() }
}
