//! SASL on a connection: the mechanism is agreed on, then messages go to and fro until the broker has said yes (KIP-43,
//! KIP-152), in raw frames with brokers before 1.0. A session that ends is renewed on the same connection (KIP-368):
//! what is started meanwhile is held back and goes out, in its order, after the broker's yes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use roka_protocol::messages::sasl_authenticate::SaslAuthenticateRequest;
use roka_protocol::messages::sasl_handshake::SaslHandshakeRequest;
use roka_protocol::{ErrorCode, Request};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::sasl::{Exchange, Step, nonce};
use super::{SaslConfig, SecurityError};
use crate::connection::{Connection, Ended};
use crate::core::Core;
use crate::counters::Event;
use crate::{Address, Config, SendError};

/// No mechanism needs more answers than this.
const ROUNDS_MAX: usize = 8;
/// Sessions are renewed when this part of them is over, and up to as much more by chance, so that connections that
/// were made together do not renew together. Java takes the same.
const RENEW_AFTER: f64 = 0.85;
const RENEW_SPREAD: f64 = 0.1;
const SESSION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// The broker said yes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session {
    /// How long it holds; none if for ever.
    lifetime: Option<Duration>,
}

/// Why the broker did not say yes.
#[derive(Debug)]
pub(crate) enum AuthError {
    /// It said no, or cannot be trusted.
    Security(SecurityError),
    /// It said nothing that can be used: as any failed dial.
    Network(String),
}

impl From<SecurityError> for AuthError {
    fn from(error: SecurityError) -> Self {
        Self::Security(error)
    }
}

impl From<SendError> for AuthError {
    fn from(error: SendError) -> Self {
        Self::Network(error.to_string())
    }
}

/// Proves on a negotiated connection who we are.
pub(crate) async fn authenticate(
    connection: &Connection,
    config: &Config,
    sasl: &SaslConfig,
    address: &Address,
    patience: Duration,
) -> Result<Session, AuthError> {
    let mechanism = sasl.mechanism();
    let credentials = timeout(config.connect_timeout, sasl.credentials()).await;
    let credentials = credentials.unwrap_or_else(|_| {
        let problem = "the callback did not answer in time".into();
        Err(SecurityError::Credentials { mechanism, problem })
    })?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut exchange = Exchange::new(credentials, nonce()?, &address.host, now.as_secs())?;
    let framed = handshake(connection, mechanism, patience).await?;
    let mut message = exchange.first();
    for _ in 0..ROUNDS_MAX {
        let (answer, lifetime) = if framed {
            ask(connection, mechanism, message, patience).await?
        } else {
            (ask_raw(connection, mechanism, message, patience).await?, None)
        };
        match exchange.step(&answer)? {
            Step::Send(next) => message = next,
            Step::Done => return Ok(Session { lifetime }),
        }
    }
    let problem = "it asks and asks".into();
    Err(SecurityError::Impostor { mechanism, problem }.into())
}

/// Whether what follows goes in `SaslAuthenticate` requests.
async fn handshake(
    connection: &Connection,
    mechanism: &'static str,
    patience: Duration,
) -> Result<bool, AuthError> {
    let request = SaslHandshakeRequest { mechanism: mechanism.to_owned() };
    let Ok(version) = connection.version_of::<SaslHandshakeRequest>(None) else {
        return Err(SecurityError::SaslNotEnabled.into());
    };
    let response = connection.start_authentication(version, &request, patience)?.await?;
    match ErrorCode(response.error_code) {
        ErrorCode::NONE => Ok(version >= 1),
        ErrorCode::UNSUPPORTED_SASL_MECHANISM => {
            let have = response.mechanisms;
            Err(SecurityError::UnsupportedMechanism { mechanism, have }.into())
        }
        // A listener without SASL.
        ErrorCode::ILLEGAL_SASL_STATE => Err(SecurityError::SaslNotEnabled.into()),
        code => Err(AuthError::Network(format!("the SASL handshake failed: {code}"))),
    }
}

async fn ask(
    connection: &Connection,
    mechanism: &'static str,
    message: Vec<u8>,
    patience: Duration,
) -> Result<(Bytes, Option<Duration>), AuthError> {
    let request = SaslAuthenticateRequest { auth_bytes: message.into() };
    let version = connection.version_of::<SaslAuthenticateRequest>(None)?;
    let response = connection.start_authentication(version, &request, patience)?.await?;
    match ErrorCode(response.error_code) {
        ErrorCode::NONE => {
            let lifetime = u64::try_from(response.session_lifetime_ms).ok().filter(|ms| *ms > 0);
            let lifetime = lifetime.map(|ms| Duration::from_millis(ms).min(SESSION_MAX));
            Ok((response.auth_bytes, lifetime))
        }
        code @ (ErrorCode::SASL_AUTHENTICATION_FAILED | ErrorCode::ILLEGAL_SASL_STATE) => {
            let words = response.error_message.filter(|it| !it.is_empty());
            let message = words.unwrap_or_else(|| code.to_string()).into();
            Err(SecurityError::Authentication { mechanism, message }.into())
        }
        code => Err(AuthError::Network(format!("{mechanism} failed: {code}"))),
    }
}

async fn ask_raw(
    connection: &Connection,
    mechanism: &'static str,
    message: Vec<u8>,
    patience: Duration,
) -> Result<Bytes, AuthError> {
    match connection.start_raw(SaslAuthenticateRequest::KEY, message.into(), patience)?.await {
        Ok(answer) => Ok(answer),
        // These brokers have no other way to say no.
        Err(SendError::Disconnected { .. }) => {
            let message = "the broker closed the connection".into();
            Err(SecurityError::Authentication { mechanism, message }.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Renews the connection's session, which `told` gives, again and again; never ends by itself. Connections on which
/// nothing happened since are ended instead.
pub(crate) async fn keep_session(
    core: Arc<Core>,
    connection: Connection,
    address: Address,
    told: oneshot::Receiver<Session>,
) -> Infallible {
    let mut session = told.await.ok();
    let mut started = 0;
    while let (Some(lifetime), Some(sasl)) =
        (session.and_then(|it| it.lifetime), &core.config().sasl)
    {
        let part = RENEW_AFTER + RENEW_SPREAD * core.with_rng(fastrand::Rng::f64);
        sleep(lifetime.mul_f64(part)).await;
        let before = std::mem::replace(&mut started, connection.started());
        if before == started && connection.in_flight() == 0 {
            connection.end(Ended::Idle);
            break;
        }
        connection.hold();
        let config = core.config();
        // The broker answers in order: what is in flight, which it may hold for long, comes first.
        let patience = connection.patience().max(config.request_timeout);
        match authenticate(&connection, config, sasl, &address, patience).await {
            Ok(next) => {
                core.recorder.event(Event::Authenticate);
                session = Some(next);
                connection.release();
            }
            Err(error) => {
                // The next dial finds out whether it is for good.
                let problem = match error {
                    AuthError::Security(error) => error.to_string(),
                    AuthError::Network(problem) => problem,
                };
                tracing::warn!(node = %connection.node(), %problem, "the session cannot be renewed");
                connection.end(Ended::Lost(problem.into()));
                break;
            }
        }
    }
    std::future::pending().await
}
