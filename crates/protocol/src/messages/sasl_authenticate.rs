//! Kafka's sasl authenticate.

use bytes::Bytes;

use crate::message::{message, request};

request! { SaslAuthenticateRequest(36) to Any -> SaslAuthenticateResponse; }

message! {
    pub struct SaslAuthenticateRequest (versions 0..=2, flexible 2..) {
        pub auth_bytes: Bytes,
    }

    pub struct SaslAuthenticateResponse (versions 0..=2, flexible 2..) {
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub auth_bytes: Bytes,
        pub session_lifetime_ms: i64 [1.., ignorable],
    }
}
