//! From PEM to what rustls needs, kept until a file changes.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::config::{Identity, Pem, TlsConfig};
use crate::security::SecurityError;

/// No PEM file of certificates or keys is larger, the bundle of all public CAs included.
const PEM_BYTES_MAX: u64 = 4 << 20;

/// Time and size of a file: another one says that it changed.
type Stamp = Option<(Option<SystemTime>, u64)>;

/// The configuration in the form that connections need.
pub(super) struct Material {
    config: TlsConfig,
    ready: Mutex<Option<Ready>>,
}

struct Ready {
    stamps: Vec<Stamp>,
    client: Arc<ClientConfig>,
}

impl Material {
    pub(super) fn new(config: TlsConfig) -> Self {
        Self { config, ready: Mutex::default() }
    }

    pub(super) fn config(&self) -> &TlsConfig {
        &self.config
    }

    /// What the files say now. If they changed and say nothing usable, what they said before.
    pub(super) fn client(&self) -> Result<Arc<ClientConfig>, SecurityError> {
        // Read before the files are: what is written meanwhile is found the next time.
        let stamps = self.files().map(stamp).collect::<Vec<_>>();
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = ready.as_ref().filter(|it| it.stamps == stamps) {
            return Ok(ready.client.clone());
        }
        match build(&self.config) {
            Ok(client) => {
                let client = Arc::new(client);
                *ready = Some(Ready { stamps, client: client.clone() });
                Ok(client)
            }
            Err(error) => {
                let former = ready.as_ref().ok_or_else(|| error.clone())?;
                tracing::warn!(%error, "TLS files changed and cannot be used: the former ones stay in use");
                Ok(former.client.clone())
            }
        }
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        let identity = self.config.identity.iter().flat_map(|it| [&it.certificates, &it.key]);
        self.config.cas.iter().chain(identity).filter_map(|pem| match pem {
            Pem::File(path) => Some(path.as_path()),
            Pem::Text(_) => None,
        })
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).ok()?;
    Some((found.modified().ok(), found.len()))
}

fn build(config: &TlsConfig) -> Result<ClientConfig, SecurityError> {
    let failed = |what: &str, error: Error| pem_error(what, error.to_string());
    let provider = Arc::new(ring::default_provider());
    let roots = Arc::new(roots(&config.cas)?);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed("TLS versions", error))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
    let verifier = verifier.map_err(|error| pem_error("the CAs", error.to_string()))?;
    let builder = if config.verify_name {
        builder.dangerous().with_custom_certificate_verifier(verifier)
    } else {
        let any_name = Arc::new(AnyName { inner: verifier, provider });
        builder.dangerous().with_custom_certificate_verifier(any_name)
    };
    let Some(Identity { certificates, key }) = &config.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let (what, text) = read(certificates, "the client certificate")?;
    let chain = certificates_in(&what, &text)?;
    let (what, text) = read(key, "the client key")?;
    let key = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| pem_error(&what, format!("no usable private key: {error}")))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| failed(&what, error))
}

fn roots(cas: &[Pem]) -> Result<RootCertStore, SecurityError> {
    let mut roots = RootCertStore::empty();
    if cas.is_empty() {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let problem = "none found: name the CA by `TlsConfig::ca_file`".to_owned();
            return Err(pem_error("the system's CAs", problem));
        }
    }
    for pem in cas {
        let (what, text) = read(pem, "the CA")?;
        for certificate in certificates_in(&what, &text)? {
            let added = roots.add(certificate);
            added.map_err(|error| pem_error(&what, error.to_string()))?;
        }
    }
    Ok(roots)
}

fn certificates_in(what: &str, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, SecurityError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| pem_error(what, error.to_string()))?;
    if found.is_empty() {
        return Err(pem_error(what, "it holds no certificate".to_owned()));
    }
    Ok(found)
}

/// The text, and what to call it.
fn read(pem: &Pem, name: &str) -> Result<(String, Vec<u8>), SecurityError> {
    match pem {
        Pem::Text(text) => Ok((name.to_owned(), text.expose().as_bytes().to_vec())),
        Pem::File(path) => {
            let what = format!("{name} in {}", path.display());
            let text = read_file(path).map_err(|error| pem_error(&what, error.to_string()))?;
            Ok((what, text))
        }
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let length = fs::metadata(path)?.len();
    if length > PEM_BYTES_MAX {
        return Err(io::Error::other(format!("{length} bytes are too many")));
    }
    fs::read(path)
}

fn pem_error(what: &str, problem: String) -> SecurityError {
    SecurityError::Pem { what: what.into(), problem: problem.into() }
}

/// Checks everything but the name.
#[derive(Debug)]
struct AnyName {
    inner: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // The name is looked at last, when all else was found to be right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
