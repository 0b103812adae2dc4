//! `DescribeTransactions`: what the coordinator knows of transactional ids (KIP-664).

use std::collections::BTreeMap;

use roka_protocol::{
    ErrorCode,
    messages::describe_transactions::{
        DescribeTransactionsRequest, DescribeTransactionsResponse, TopicData, TransactionState,
    },
};

use super::{Handler, RequestContext, coordinator};
use crate::{node::Node, transaction::machine::Transaction};

/// Where Kafka keeps the positions of groups, which is how it names them here.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

impl Handler for DescribeTransactionsRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> DescribeTransactionsResponse {
        let describe = |id: &String| describe(node, id).unwrap_or_else(|it| refused(id, it));
        DescribeTransactionsResponse {
            transaction_states: self.transactional_ids.iter().map(describe).collect(),
            ..Default::default()
        }
    }

    fn refuse(&self, error: ErrorCode) -> DescribeTransactionsResponse {
        DescribeTransactionsResponse {
            transaction_states: self
                .transactional_ids
                .iter()
                .map(|it| refused(it, error))
                .collect(),
            ..Default::default()
        }
    }
}

fn refused(id: &str, error: ErrorCode) -> TransactionState {
    TransactionState { transactional_id: id.to_owned(), error_code: error.0, ..Default::default() }
}

fn describe(node: &Node, id: &str) -> Result<TransactionState, ErrorCode> {
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    coordinator::check(node, id)?;
    let partitions = node.shared.config.number("offsets.topic.num.partitions", 50).max(1);
    let state = |it: &Transaction| TransactionState {
        error_code: 0,
        transactional_id: id.to_owned(),
        transaction_state: it.state.name().to_owned(),
        transaction_timeout_ms: it.timeout_ms,
        transaction_start_time_ms: it.started_ms,
        producer_id: it.producer_id,
        producer_epoch: it.epoch,
        topics: topics(it, partitions),
    };
    let found = node.shared.transactions.look(id, state);
    found.ok_or(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND)
}

fn topics(transaction: &Transaction, offsets_partitions: i64) -> Vec<TopicData> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in &transaction.partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    for group in &transaction.groups {
        let of_group = topics.entry(OFFSETS_TOPIC).or_default();
        of_group.push((java_hash(group) % offsets_partitions) as i32);
        of_group.sort_unstable();
        of_group.dedup();
    }
    let topics = topics.into_iter();
    topics.map(|(topic, partitions)| TopicData { topic: topic.to_owned(), partitions }).collect()
}

/// Java's hash of a text without its sign, by which Kafka places groups.
fn java_hash(text: &str) -> i64 {
    let hash =
        text.encode_utf16().fold(0i32, |hash, it| hash.wrapping_mul(31).wrapping_add(it.into()));
    i64::from(hash & i32::MAX)
}
