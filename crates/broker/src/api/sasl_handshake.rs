//! `SaslHandshake`: the client names the mechanism by which it will say who it is.

use roka_protocol::{
    ErrorCode,
    messages::sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse},
};

use super::{Handler, RequestContext};
use crate::{node::Node, security::MECHANISMS, state::lock};

impl Handler for SaslHandshakeRequest {
    async fn handle(self, _: &Node, ctx: &RequestContext) -> SaslHandshakeResponse {
        match lock(&ctx.sasl).agree(&self.mechanism, ctx.version == 0) {
            Some(true) => self.refuse(ErrorCode::NONE),
            Some(false) => self.refuse(ErrorCode::UNSUPPORTED_SASL_MECHANISM),
            None => SaslHandshakeResponse {
                error_code: ErrorCode::ILLEGAL_SASL_STATE.0,
                ..Default::default()
            },
        }
    }

    fn refuse(&self, error: ErrorCode) -> SaslHandshakeResponse {
        let mechanisms = MECHANISMS.map(str::to_owned).to_vec();
        SaslHandshakeResponse { error_code: error.0, mechanisms }
    }
}
