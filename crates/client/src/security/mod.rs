//! Secured clusters: who the broker is (TLS), and who we are (TLS certificates, SASL).
//!
//! ```no_run
//! use roka_client::{Client, Config};
//! use roka_client::security::{SaslConfig, TlsConfig};
//!
//! # fn main() -> Result<(), roka_client::Error> {
//! let config = Config::new("kafka.example.com:9093")
//!     .tls(TlsConfig::new().ca_file("/etc/kafka/ca.crt"))
//!     .sasl(SaslConfig::scram_sha_512("alice").password_file("/run/secrets/kafka"));
//! let client = Client::new(config)?;
//! # Ok(()) }
//! ```
//!
//! Rules:
//! - A [`SecurityError`] is an answer: the call that met it ends with it. What the network does (resets,
//!   ends of streams, silence) is no `SecurityError` and is retried.
//! - Refused credentials are tried once more on a new connection; then the broker is left alone for 1 s,
//!   growing to 10 s, whoever asks.
//! - Files are read again when they changed, at the next dial. A half-written file does no harm: what was
//!   read before stays in use.
//! - No secret is ever in an error, a log line or a `Debug` output: they are [`Secret`]s.

mod authenticate;
mod error;
mod sasl;
mod secret;
mod tls;

pub(crate) use authenticate::{AuthError, Session, authenticate, keep_session};
pub use error::SecurityError;
pub use sasl::{
    AwsCredentials, AwsCredentialsProvider, BoxError, SaslConfig, StaticAwsCredentials, Token,
    TokenProvider,
};
pub use secret::Secret;
pub use tls::TlsConfig;
pub(crate) use tls::{TlsTransport, found_in};
