//! What a user says about TLS.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::security::Secret;

/// Where PEM text comes from.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Pem {
    /// A file, read again when it changes.
    File(PathBuf),
    /// The text itself; it may hold a private key.
    Text(Secret),
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Text(secret) => secret.fmt(f),
        }
    }
}

/// Certificate and key of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) certificates: Pem,
    pub(super) key: Pem,
}

/// Connections over TLS 1.2 or 1.3. Without settings, the system's CAs are trusted and the broker's certificate must be
/// for the host of its address, as Kafka's clients have it.
///
/// ```
/// use roka_client::security::TlsConfig;
/// let tls = TlsConfig::new()
///     .ca_file("/etc/kafka/ca.crt")
///     .identity_files("/etc/kafka/client.crt", "/etc/kafka/client.key");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    pub(super) cas: Vec<Pem>,
    pub(super) identity: Option<Identity>,
    pub(super) server_name: Option<Arc<str>>,
    pub(super) verify_name: bool,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { cas: Vec::new(), identity: None, server_name: None, verify_name: true }
    }
}

impl TlsConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the CAs in this PEM file, one or more, and the system's no longer. Files given by several calls count
    /// together. Read at the first dial, and again at a dial after it changed.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.cas.push(Pem::File(path.into()));
        self
    }

    /// As [`ca_file`](Self::ca_file), with the PEM text itself.
    #[must_use]
    pub fn ca_pem(mut self, text: impl Into<Arc<str>>) -> Self {
        self.cas.push(Pem::Text(Secret::new(text)));
        self
    }

    /// The client's certificate (with those between it and its CA) and private key, PEM files, for listeners with
    /// `ssl.client.auth`. Read again at a dial after they changed; as long as they do not fit together, the former stay
    /// in use.
    #[must_use]
    pub fn identity_files(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        let (certificates, key) = (Pem::File(certificates.into()), Pem::File(key.into()));
        self.identity = Some(Identity { certificates, key });
        self
    }

    /// As [`identity_files`](Self::identity_files), with the PEM texts themselves.
    #[must_use]
    pub fn identity_pem(
        mut self,
        certificates: impl Into<Arc<str>>,
        key: impl Into<Secret>,
    ) -> Self {
        let certificates = Pem::Text(Secret::new(certificates));
        self.identity = Some(Identity { certificates, key: Pem::Text(key.into()) });
        self
    }

    /// The name that the brokers' certificates must be for, and that is told to them (SNI), instead of the host of each
    /// address: for tunnels and load balancers. Default none.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Whether the broker's certificate must be for its name, as `ssl.endpoint.identification.algorithm` says. Without
    /// it, whoever has any certificate of a trusted CA can pose as the broker. Default true.
    #[must_use]
    pub fn verify_server_name(mut self, verify: bool) -> Self {
        self.verify_name = verify;
        self
    }
}
