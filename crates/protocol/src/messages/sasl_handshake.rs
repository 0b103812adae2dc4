//! Client and broker agree on a SASL mechanism.

use crate::declare::{message, request};

request! { SaslHandshakeRequest(17) to Any -> SaslHandshakeResponse; }

message! {
    /// The mechanism that the client wants.
    pub struct SaslHandshakeRequest (versions 0..=1, never flexible) {
        pub mechanism: String,
    }

    /// The mechanisms that the broker offers.
    pub struct SaslHandshakeResponse (versions 0..=1, never flexible) {
        pub error_code: i16,
        pub mechanisms: Vec<String>,
    }
}
