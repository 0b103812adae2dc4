//! What is wrong between us and a broker when the network is not: trust and credentials.

use std::sync::Arc;

/// Why a broker and this client do not trust each other. Waiting does not cure it, an administrator does:
/// calls end with it at once, and the broker is left alone for longer and longer. Clients that live on try
/// again, so that they recover when files, settings or accounts were put right.
///
/// No variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// The broker's certificate is not to be trusted: expired, not valid yet, from a foreign CA, revoked.
    #[error(
        "the certificate for {server_name} is not trusted: {problem}; check its dates and that `TlsConfig::ca` is the CA that signed it"
    )]
    TlsCertificate {
        /// Whom we wanted to speak to.
        server_name: Arc<str>,
        /// What is wrong with it.
        problem: Arc<str>,
    },
    /// The broker's certificate is valid, but for other names.
    #[error(
        "the certificate is not for {server_name}{}; connect by one of its names, or set `TlsConfig::server_name`",
        Names(names)
    )]
    TlsName {
        /// Whom we wanted to speak to.
        server_name: Arc<str>,
        /// The names in the certificate, as far as they are known.
        names: Vec<String>,
    },
    /// The broker ended the TLS handshake: mostly because it wants a client certificate, or another one.
    #[error(
        "the broker refused the TLS handshake: {alert}; check that it takes the client certificate (`TlsConfig::identity`)"
    )]
    TlsRefused {
        /// The alert, as TLS names it.
        alert: Arc<str>,
    },
    /// We speak plain text, the broker's port speaks TLS.
    #[error(
        "this port speaks TLS and the client does not: set `Config::tls`, or take another port"
    )]
    PlaintextToTls,
    /// We speak TLS, the broker's port speaks plain text.
    #[error(
        "this port does not speak TLS and the client does: take the port of a TLS listener, or unset `Config::tls`"
    )]
    TlsToPlaintext,
    /// Another failure of TLS: no version or cipher in common, broken messages.
    #[error("TLS failed: {problem}")]
    Tls {
        /// What TLS says.
        problem: Arc<str>,
    },
    /// The broker refused the credentials.
    #[error("{mechanism} was refused: {message}; check user and password (or token, or keys)")]
    Authentication {
        /// The SASL mechanism.
        mechanism: &'static str,
        /// The broker's own words.
        message: Arc<str>,
    },
    /// The broker does not offer the mechanism.
    #[error("the broker does not offer {mechanism}, only: {}", have.join(", "))]
    UnsupportedMechanism {
        /// The SASL mechanism.
        mechanism: &'static str,
        /// What it offers.
        have: Vec<String>,
    },
    /// The broker's listener takes no SASL at all.
    #[error(
        "this port does not take SASL: take the port of a SASL listener, or unset `Config::sasl`"
    )]
    SaslNotEnabled,
    /// The broker did not prove that it knows the password, or answered nonsense: it may be an impostor.
    #[error("{mechanism}: the broker is not to be trusted: {problem}")]
    Impostor {
        /// The SASL mechanism.
        mechanism: &'static str,
        /// What is wrong with its answer.
        problem: Arc<str>,
    },
    /// There were no credentials to send: a callback failed, or a file cannot be read.
    #[error("no credentials for {mechanism}: {problem}")]
    Credentials {
        /// The SASL mechanism.
        mechanism: &'static str,
        /// What the callback or the system says.
        problem: Arc<str>,
    },
    /// Certificates or keys cannot be read.
    #[error("{what}: {problem}")]
    Pem {
        /// Which: a path, or what was given.
        what: Arc<str>,
        /// What is wrong with it.
        problem: Arc<str>,
    },
}

impl SecurityError {
    /// Whether one more try on a new connection may help although nothing changed: accounts that were
    /// just made are not known to every broker at once.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Authentication { .. })
    }
}

struct Names<'a>(&'a [String]);

impl std::fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " but for {}", self.0.join(", ")) }
    }
}
