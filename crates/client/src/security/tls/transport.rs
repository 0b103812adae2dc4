//! TLS over any transport.
//!
//! A port that speaks plain text mostly hangs up on the first bytes of TLS, as a broker does that is about to go. So
//! that is a failure of the network, until it has happened [`HANG_UPS`] times in a row where TLS never worked.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::config::TlsConfig;
use super::failure;
use super::material::Material;
use crate::Address;
use crate::security::SecurityError;
use crate::transport::{Connecting, Stream, Transport};

/// With the back-off between dials that is most of a second.
const HANG_UPS: u32 = 5;
/// Addresses that are remembered; more hardly are at a time.
const ADDRESSES_MAX: usize = 1000;

/// Speaks TLS through another transport.
pub(crate) struct TlsTransport {
    inner: Arc<dyn Transport>,
    material: Material,
    hang_ups: Mutex<HangUps>,
}

#[derive(Default)]
struct HangUps {
    /// TLS has worked once.
    worked: bool,
    in_a_row: HashMap<Address, u32>,
}

impl TlsTransport {
    pub(crate) fn new(inner: Arc<dyn Transport>, config: TlsConfig) -> Self {
        Self { inner, material: Material::new(config), hang_ups: Mutex::default() }
    }

    async fn dial(&self, address: &Address) -> io::Result<Box<dyn Stream>> {
        let client = self.material.client().map_err(io::Error::other)?;
        let name = self.material.config().server_name.as_deref().unwrap_or(&address.host);
        // A name that ends with a dot is the same name; certificates have it without.
        let name = name.strip_suffix('.').unwrap_or(name);
        let server = ServerName::try_from(name.to_owned()).map_err(|_| {
            let problem = format!("{name} is no name that a certificate can be for").into();
            io::Error::other(SecurityError::Tls { problem })
        })?;
        let stream = self.inner.connect(address).await?;
        match TlsConnector::from(client).connect(server, stream).await {
            Ok(stream) => {
                self.hung_up(address, false);
                Ok(Box::new(stream))
            }
            Err(error) => Err(self.explain(&error, name, address)),
        }
    }

    fn explain(&self, error: &io::Error, name: &str, address: &Address) -> io::Error {
        let tls = error.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>());
        if let Some(error) = tls {
            return io::Error::other(failure::of(error, name));
        }
        if error.kind() == io::ErrorKind::UnexpectedEof && self.hung_up(address, true) {
            return io::Error::other(SecurityError::TlsToPlaintext);
        }
        let text = format!("{error} within the TLS handshake (does this port speak TLS?)");
        io::Error::new(error.kind(), text)
    }

    /// Counts; true if it looks as if the port never spoke TLS.
    fn hung_up(&self, address: &Address, hung_up: bool) -> bool {
        let mut known = self.hang_ups.lock().unwrap_or_else(PoisonError::into_inner);
        known.worked |= !hung_up;
        if known.worked || known.in_a_row.len() >= ADDRESSES_MAX {
            known.in_a_row.clear();
        }
        if known.worked {
            return false;
        }
        let count = known.in_a_row.entry(address.clone()).or_default();
        *count += 1;
        *count >= HANG_UPS
    }
}

impl Transport for TlsTransport {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        Box::pin(self.dial(address))
    }
}
