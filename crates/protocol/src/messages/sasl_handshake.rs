//! Kafka's sasl handshake.

use crate::message::{message, request};

request! { SaslHandshakeRequest(17) to Any -> SaslHandshakeResponse; }

message! {
    pub struct SaslHandshakeRequest (versions 0..=1, never flexible) {
        pub mechanism: String,
    }

    pub struct SaslHandshakeResponse (versions 0..=1, never flexible) {
        pub error_code: i16,
        pub mechanisms: Vec<String>,
    }
}
