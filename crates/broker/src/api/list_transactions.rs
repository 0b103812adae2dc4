//! `ListTransactions`: the transactions that the node coordinates (KIP-664, KIP-994).

use roka_protocol::{
    ErrorCode,
    messages::list_transactions::{
        ListTransactionsRequest, ListTransactionsResponse, TransactionState,
    },
};

use super::{Handler, RequestContext, coordinator};
use crate::{
    node::Node,
    state::now_ms,
    transaction::machine::{State, Transaction},
};

impl Handler for ListTransactionsRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> ListTransactionsResponse {
        let now_ms = now_ms();
        let mut found = Vec::new();
        node.shared.transactions.each(|id, it| {
            if wanted(&self, it, now_ms) {
                found.push(TransactionState {
                    transactional_id: id.to_owned(),
                    producer_id: it.producer_id,
                    transaction_state: it.state.name().to_owned(),
                });
            }
        });
        found.retain(|it| coordinator::check(node, &it.transactional_id).is_ok());
        let is_known = |name: &&String| State::ALL.iter().any(|it| it.name() == name.as_str());
        let unknown = self.state_filters.iter().filter(|name| !is_known(name));
        ListTransactionsResponse {
            unknown_state_filters: unknown.cloned().collect(),
            transaction_states: found,
            ..Default::default()
        }
    }

    fn refuse(&self, error: ErrorCode) -> ListTransactionsResponse {
        ListTransactionsResponse { error_code: error.0, ..Default::default() }
    }
}

fn wanted(asked: &ListTransactionsRequest, it: &Transaction, now_ms: i64) -> bool {
    let (states, ids) = (&asked.state_filters, &asked.producer_id_filters);
    let lasts = it.started_ms >= 0 && now_ms - it.started_ms > asked.duration_filter;
    (states.is_empty() || states.iter().any(|name| name == it.state.name()))
        && (ids.is_empty() || ids.contains(&it.producer_id))
        && (asked.duration_filter < 0 || lasts)
}
