//! How far the authentication of one connection is, as Kafka keeps it: first who the client is, then anything else; a
//! session that has ended takes nothing but a new authentication (KIP-368).

use std::time::{Duration, Instant};

use roka_protocol::ApiKey;

use super::{Security, scram::Scram};

/// The mechanisms that there are.
pub(crate) const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Sasl {
    state: State,
    /// The mechanism was agreed on as brokers before 1.0 do: what follows are raw frames.
    raw: bool,
}

#[derive(Debug)]
enum State {
    /// Nobody need say who he is.
    Open,
    New,
    /// The mechanism was agreed on.
    Agreed(&'static str),
    Scram(&'static str, Scram),
    Known(Option<Instant>),
    Failed,
}

/// A step went well.
#[derive(Debug)]
pub(crate) struct Passed {
    /// What to tell the client.
    pub(crate) answer: Vec<u8>,
    /// Whether it was the last step, and how long the session is then.
    pub(crate) session: Option<Duration>,
}

impl Sasl {
    pub(crate) fn new(security: &Security) -> Self {
        let state = if security.wants_sasl() { State::New } else { State::Open };
        Self { state, raw: false }
    }

    /// Whether a request may be carried out now.
    pub(crate) fn admits(&self, api: ApiKey) -> bool {
        let is_sasl = matches!(api, ApiKey::SaslHandshake | ApiKey::SaslAuthenticate);
        match &self.state {
            State::Open => true,
            State::Known(until) => is_sasl || until.is_none_or(|until| Instant::now() < until),
            State::New => is_sasl || api == ApiKey::ApiVersions,
            State::Agreed(_) | State::Scram(..) => is_sasl,
            State::Failed => false,
        }
    }

    /// Whether the next frame is no request.
    pub(crate) fn is_raw(&self) -> bool {
        self.raw && matches!(self.state, State::Agreed(_) | State::Scram(..))
    }

    /// Agrees on a mechanism; false if there is no such one. `None` where nobody need say who he is.
    pub(crate) fn agree(&mut self, mechanism: &str, raw: bool) -> Option<bool> {
        if matches!(self.state, State::Open) {
            return None;
        }
        let known = MECHANISMS.into_iter().find(|it| *it == mechanism);
        self.raw = raw;
        self.state = known.map_or(State::Failed, State::Agreed);
        Some(known.is_some())
    }

    /// Takes what the client says; the error is for it.
    pub(crate) fn step(&mut self, security: &Security, message: &[u8]) -> Result<Passed, String> {
        let state = std::mem::replace(&mut self.state, State::Failed);
        let text = std::str::from_utf8(message).unwrap_or_default();
        let password = |user: &str| security.password(user);
        let (mechanism, answer) = match state {
            State::Agreed("PLAIN") => {
                let mut parts = text.split('\0').skip(1);
                let user = parts.next().unwrap_or_default();
                if password(user).is_none() || password(user).as_deref() != parts.next() {
                    return Err("Authentication failed: Invalid username or password".to_owned());
                }
                (None, Vec::new())
            }
            State::Agreed(mechanism) => {
                let begun = Scram::begin(mechanism.ends_with("512"), text, password);
                let (scram, answer) = begun.map_err(|error| failed(mechanism, error))?;
                (Some((mechanism, scram)), answer.into_bytes())
            }
            State::Scram(mechanism, scram) => {
                let proof = scram.finish(text).map_err(|error| failed(mechanism, error))?;
                (None, proof.into_bytes())
            }
            _ => return Err("no mechanism was agreed on".to_owned()),
        };
        let session = mechanism.is_none().then_some(security.session).flatten();
        self.state = match mechanism {
            Some((mechanism, scram)) => State::Scram(mechanism, scram),
            None => State::Known(session.map(|session| Instant::now() + session)),
        };
        Ok(Passed { answer, session })
    }
}

fn failed(mechanism: &str, error: &str) -> String {
    format!("Authentication failed during authentication with SASL mechanism {mechanism}: {error}")
}
