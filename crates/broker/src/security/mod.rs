//! Who may speak to the cluster: TLS on every listener, and SASL with users of its own. For development and tests: users
//! live in memory, and whoever is in may do everything.

mod sasl;
mod scram;
mod stream;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, RwLock},
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
pub(crate) use sasl::{MECHANISMS, Sasl};
pub(crate) use stream::Stream;
use tokio_rustls::TlsAcceptor;

use crate::{Error, state::read};

/// What a builder was told.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) users: HashMap<String, String>,
    pub(crate) session: Option<Duration>,
    /// Certificates and key.
    pub(crate) tls: Option<(String, String)>,
    pub(crate) client_ca: Option<String>,
}

/// What listeners and connections need.
pub(crate) struct Security {
    /// By name; none if nobody need say who he is.
    users: Option<RwLock<HashMap<String, String>>>,
    pub(crate) session: Option<Duration>,
    pub(crate) tls: Option<TlsAcceptor>,
}

impl Security {
    pub(crate) fn new(settings: Settings) -> Result<Self, Error> {
        let Settings { users, session, tls, client_ca } = settings;
        let acceptor = tls.map(|(certificates, key)| acceptor(&certificates, &key, client_ca));
        Ok(Self {
            users: (!users.is_empty()).then(|| RwLock::new(users)),
            session,
            tls: acceptor.transpose().map_err(Error::Tls)?,
        })
    }

    /// Whether clients must say who they are.
    pub(crate) fn wants_sasl(&self) -> bool {
        self.users.is_some()
    }

    fn password(&self, user: &str) -> Option<String> {
        read(self.users.as_ref()?).get(user).cloned()
    }

    /// Only where users are asked for at all.
    pub(crate) fn set_password(&self, user: &str, password: &str) {
        if let Some(users) = &self.users {
            crate::state::write(users).insert(user.to_owned(), password.to_owned());
        }
    }
}

fn acceptor(
    certificates: &str,
    key: &str,
    client_ca: Option<String>,
) -> Result<TlsAcceptor, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates_in(&ca)? {
                roots.add(certificate).map_err(|error| error.to_string())?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| error.to_string())?)
        }
    };
    let chain = certificates_in(certificates)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| error.to_string())?;
    let config = builder.with_single_cert(chain, key).map_err(|error| error.to_string())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates_in(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

/// Says nothing of passwords and keys.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users: Vec<_> = self.users.keys().collect();
        f.debug_struct("Settings")
            .field("users", &users)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}
