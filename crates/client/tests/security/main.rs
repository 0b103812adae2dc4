//! Secured clusters: credentials, certificates, sessions; each failure with its own error, soon, and without a storm of dials.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod certificates;
mod real;
mod sasl;
mod secrets;
mod sessions;
mod support;
mod tls;
