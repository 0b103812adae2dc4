//! `InitProducerId`: an identity for an idempotent or a transactional producer (KIP-98, KIP-360).
//!
//! Without a transactional id every call gives a fresh id, or the next epoch of the one that the producer names; with one
//! its coordinator answers, and fences who had it before.

use roka_protocol::{
    ErrorCode,
    messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse},
};

use super::{Handler, RequestContext, coordinator};
use crate::{node::Node, transaction::machine::Identity};

/// The first version that knows `PRODUCER_FENCED`.
const FENCED_FROM: i16 = 4;

impl Handler for InitProducerIdRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> InitProducerIdResponse {
        let identity = match &self.transactional_id {
            None => Ok(idempotent(&self, node)),
            Some(id) => transactional(&self, node, id),
        };
        match identity {
            Ok(Identity { id, epoch }) => InitProducerIdResponse {
                producer_id: id,
                producer_epoch: epoch,
                ..Default::default()
            },
            Err(error) => self.refuse(coordinator::fenced(error, ctx.version >= FENCED_FROM)),
        }
    }

    fn refuse(&self, error: ErrorCode) -> InitProducerIdResponse {
        InitProducerIdResponse { error_code: error.0, producer_epoch: -1, ..Default::default() }
    }
}

/// An epoch that is used up, or no identity yet: a new one. Kafka gives idempotent producers new ones too.
fn idempotent(asked: &InitProducerIdRequest, node: &Node) -> Identity {
    if asked.producer_id >= 0 && (0..i16::MAX - 1).contains(&asked.producer_epoch) {
        return Identity { id: asked.producer_id, epoch: asked.producer_epoch + 1 };
    }
    Identity { id: node.shared.new_producer_id(), epoch: 0 }
}

fn transactional(
    asked: &InitProducerIdRequest,
    node: &Node,
    id: &str,
) -> Result<Identity, ErrorCode> {
    let (producer_id, epoch) = (asked.producer_id, asked.producer_epoch);
    if id.is_empty() || (producer_id < 0) != (epoch < 0) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    coordinator::check(node, id)?;
    // Two-phase commits (KIP-939) are for clusters that allow them; this one does not.
    if asked.enable2_pc {
        return Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    if asked.keep_prepared_txn {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    let longest = node.shared.config.number("transaction.max.timeout.ms", 900_000);
    if !(1..=longest).contains(&i64::from(asked.transaction_timeout_ms)) {
        return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    }
    let expected = (producer_id >= 0).then_some(Identity { id: producer_id, epoch });
    node.shared.transactions.init(&node.shared, id, asked.transaction_timeout_ms, expected)
}
