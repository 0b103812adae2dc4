//! The exchange of a SASL mechanism, in as many round trips as it takes.

use bytes::Bytes;

use crate::declare::{message, request};

request! { SaslAuthenticateRequest(36) to Any -> SaslAuthenticateResponse; }

message! {
    /// The client's part of a round trip.
    pub struct SaslAuthenticateRequest (versions 0..=2, flexible 2..) {
        pub auth_bytes: Bytes,
    }

    /// The broker's part of a round trip.
    pub struct SaslAuthenticateResponse (versions 0..=2, flexible 2..) {
        pub error_code: i16,
        pub error_message: Option<String> = Some(String::new()),
        pub auth_bytes: Bytes,
        pub session_lifetime_ms: i64 [1.., ignorable],
    }
}
