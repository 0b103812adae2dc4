//! `InitProducerId`: an identity for an idempotent producer (KIP-98, KIP-360).
//!
//! Without a transactional id every call gives a fresh id, or the next epoch of the one that the producer names.

use roka_protocol::{
    ErrorCode,
    messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse},
};

use super::{Handler, RequestContext};
use crate::node::Node;

impl Handler for InitProducerIdRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> InitProducerIdResponse {
        if self.transactional_id.as_deref() == Some("") {
            return self.refuse(ErrorCode::INVALID_REQUEST);
        }
        if self.transactional_id.is_some() {
            return self.refuse(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        }
        // An epoch that is used up, or no identity yet: a new one. Kafka gives idempotent producers new ones too.
        let bump = self.producer_id >= 0 && (0..i16::MAX - 1).contains(&self.producer_epoch);
        let (producer_id, producer_epoch) = if bump {
            (self.producer_id, self.producer_epoch + 1)
        } else {
            (node.shared.new_producer_id(), 0)
        };
        InitProducerIdResponse { producer_id, producer_epoch, ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> InitProducerIdResponse {
        InitProducerIdResponse { error_code: error.0, producer_epoch: -1, ..Default::default() }
    }
}
