//! `SaslAuthenticate`: one message of the mechanism that was agreed on, and its answer.

use roka_protocol::{
    ErrorCode,
    messages::sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse},
};

use super::{Handler, RequestContext};
use crate::{node::Node, state::lock};

impl Handler for SaslAuthenticateRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> SaslAuthenticateResponse {
        match lock(&ctx.sasl).step(&node.shared.security, &self.auth_bytes) {
            Ok(passed) => SaslAuthenticateResponse {
                auth_bytes: passed.answer.into(),
                session_lifetime_ms: passed.session.map_or(0, |it| it.as_millis() as i64),
                ..Default::default()
            },
            Err(message) => SaslAuthenticateResponse {
                error_message: Some(message),
                ..self.refuse(ErrorCode::SASL_AUTHENTICATION_FAILED)
            },
        }
    }

    fn refuse(&self, error: ErrorCode) -> SaslAuthenticateResponse {
        SaslAuthenticateResponse { error_code: error.0, ..Default::default() }
    }
}
