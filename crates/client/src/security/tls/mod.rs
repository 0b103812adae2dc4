//! TLS by rustls: whom we trust, who we are, and what its failures mean.

mod config;
mod failure;
mod material;
mod transport;

pub use config::TlsConfig;
pub(crate) use failure::found_in;
pub(crate) use transport::TlsTransport;
