//! `AddPartitionsToTxn`: partitions are enlisted in a transaction, or it is asked whether they are (KIP-890).
//!
//! All partitions of a transaction are added or none: when one does not exist, the others are not attempted.

use roka_protocol::{
    ErrorCode,
    messages::add_partitions_to_txn::{
        AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
        AddPartitionsToTxnResult, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
        AddPartitionsToTxnTransaction,
    },
};

use super::{Handler, RequestContext, coordinator};
use crate::{
    node::Node,
    state::{Shared, now_ms},
    transaction::machine::Identity,
};

/// The first version that knows `PRODUCER_FENCED`.
const FENCED_FROM: i16 = 2;
/// The first version for several transactions.
const BATCHED: i16 = 4;

impl Handler for AddPartitionsToTxnRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> AddPartitionsToTxnResponse {
        let knows_fenced = ctx.version >= FENCED_FROM;
        if ctx.version >= BATCHED {
            let result = |it: &AddPartitionsToTxnTransaction| AddPartitionsToTxnResult {
                transactional_id: it.transactional_id.clone(),
                topic_results: add(node, it, knows_fenced),
            };
            let results_by_transaction = self.transactions.iter().map(result).collect();
            return AddPartitionsToTxnResponse { results_by_transaction, ..Default::default() };
        }
        let only = AddPartitionsToTxnTransaction {
            transactional_id: self.v3_and_below_transactional_id,
            producer_id: self.v3_and_below_producer_id,
            producer_epoch: self.v3_and_below_producer_epoch,
            verify_only: false,
            topics: self.v3_and_below_topics,
        };
        AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below: add(node, &only, knows_fenced),
            ..Default::default()
        }
    }

    fn refuse(&self, error: ErrorCode) -> AddPartitionsToTxnResponse {
        AddPartitionsToTxnResponse {
            error_code: error.0,
            results_by_topic_v3_and_below: answer(&self.v3_and_below_topics, |_, _| error),
            ..Default::default()
        }
    }
}

fn add(
    node: &Node,
    asked: &AddPartitionsToTxnTransaction,
    knows_fenced: bool,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let refuse = |error| {
        let error = coordinator::fenced(error, knows_fenced);
        answer(&asked.topics, |_, _| error)
    };
    let id = &asked.transactional_id;
    if id.is_empty() {
        return refuse(ErrorCode::INVALID_REQUEST);
    }
    if let Err(error) = coordinator::check(node, id) {
        return refuse(error);
    }
    let shared = &node.shared;
    let who = Identity { id: asked.producer_id, epoch: asked.producer_epoch };
    if asked.verify_only {
        return answer(&asked.topics, |topic, index| {
            let checked =
                shared.transactions.change(shared, id, |it| it.check_partition(who, topic, index));
            coordinator::fenced(checked.err().unwrap_or(ErrorCode::NONE), knows_fenced)
        });
    }
    let missing = |topic: &str, index| !exists(shared, topic, index);
    if all(&asked.topics).any(|(topic, index)| missing(topic, index)) {
        return answer(&asked.topics, |topic, index| {
            if missing(topic, index) {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            } else {
                ErrorCode::OPERATION_NOT_ATTEMPTED
            }
        });
    }
    let partitions = all(&asked.topics).map(|(topic, index)| (topic.to_owned(), index));
    match shared.transactions.change(shared, id, |it| it.add_partitions(now_ms(), who, partitions))
    {
        Ok(()) => answer(&asked.topics, |_, _| ErrorCode::NONE),
        Err(error) => refuse(error),
    }
}

fn exists(shared: &Shared, topic: &str, index: i32) -> bool {
    shared.topics.by_name(topic).is_some_and(|it| it.partition(index).is_some())
}

fn all(topics: &[AddPartitionsToTxnTopic]) -> impl Iterator<Item = (&str, i32)> {
    topics.iter().flat_map(|it| it.partitions.iter().map(|&index| (it.name.as_str(), index)))
}

fn answer(
    topics: &[AddPartitionsToTxnTopic],
    error: impl Fn(&str, i32) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let topic = |topic: &AddPartitionsToTxnTopic| {
        let partition = |&partition_index: &i32| AddPartitionsToTxnPartitionResult {
            partition_index,
            partition_error_code: error(&topic.name, partition_index).0,
        };
        AddPartitionsToTxnTopicResult {
            name: topic.name.clone(),
            results_by_partition: topic.partitions.iter().map(partition).collect(),
        }
    };
    topics.iter().map(topic).collect()
}
