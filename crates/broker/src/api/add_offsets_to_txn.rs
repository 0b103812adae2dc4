//! `AddOffsetsToTxn`: a group is enlisted in a transaction, which is about to store positions in it.

use roka_protocol::{
    ErrorCode,
    messages::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse},
};

use super::{Handler, RequestContext, coordinator};
use crate::{node::Node, state::now_ms, transaction::machine::Identity};

/// The first version that knows `PRODUCER_FENCED`.
const FENCED_FROM: i16 = 2;

impl Handler for AddOffsetsToTxnRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> AddOffsetsToTxnResponse {
        let error = add(&self, node).err().unwrap_or(ErrorCode::NONE);
        self.refuse(coordinator::fenced(error, ctx.version >= FENCED_FROM))
    }

    fn refuse(&self, error: ErrorCode) -> AddOffsetsToTxnResponse {
        AddOffsetsToTxnResponse { error_code: error.0, ..Default::default() }
    }
}

fn add(asked: &AddOffsetsToTxnRequest, node: &Node) -> Result<(), ErrorCode> {
    let id = &asked.transactional_id;
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    coordinator::check(node, id)?;
    let who = Identity { id: asked.producer_id, epoch: asked.producer_epoch };
    let add = |it: &mut crate::transaction::machine::Transaction| {
        it.add_group(now_ms(), who, &asked.group_id)
    };
    node.shared.transactions.change(&node.shared, id, add)
}
