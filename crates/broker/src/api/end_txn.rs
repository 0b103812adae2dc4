//! `EndTxn`: a transaction is decided. The markers follow; whoever begins the next one before they are written is told
//! to come back.

use roka_protocol::{
    ErrorCode,
    messages::end_txn::{EndTxnRequest, EndTxnResponse},
};

use super::{Handler, RequestContext, coordinator};
use crate::{
    node::Node,
    state::now_ms,
    transaction::machine::{Identity, Outcome},
};

/// The first version that knows `PRODUCER_FENCED`.
const FENCED_FROM: i16 = 2;
/// The first version that gives the producer its next epoch (KIP-890).
const BUMPS_FROM: i16 = 5;

impl Handler for EndTxnRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> EndTxnResponse {
        match end(&self, node, ctx.version >= BUMPS_FROM) {
            Ok(Identity { id, epoch }) => {
                EndTxnResponse { producer_id: id, producer_epoch: epoch, ..Default::default() }
            }
            Err(error) => self.refuse(coordinator::fenced(error, ctx.version >= FENCED_FROM)),
        }
    }

    fn refuse(&self, error: ErrorCode) -> EndTxnResponse {
        EndTxnResponse { error_code: error.0, ..Default::default() }
    }
}

fn end(asked: &EndTxnRequest, node: &Node, bumps: bool) -> Result<Identity, ErrorCode> {
    let id = &asked.transactional_id;
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    coordinator::check(node, id)?;
    let shared = &node.shared;
    let who = Identity { id: asked.producer_id, epoch: asked.producer_epoch };
    let outcome = Outcome::of(asked.committed);
    shared.transactions.change(shared, id, |it| {
        if bumps {
            it.end_and_bump(now_ms(), who, outcome, &mut || shared.new_producer_id())
        } else {
            it.end(now_ms(), who, outcome)
        }
    })
}
