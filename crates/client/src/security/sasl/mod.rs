//! SASL mechanisms: what the client says, and what it makes of the answers. Pure: no I/O, and chance and time come in.

mod config;
mod msk;
mod oauth;
mod scram;

pub(super) use config::Credentials;
pub use config::{
    AwsCredentials, AwsCredentialsProvider, BoxError, SaslConfig, StaticAwsCredentials, Token,
    TokenProvider,
};

use super::SecurityError;
use scram::Scram;

/// One authentication on its way.
pub(super) enum Exchange {
    /// PLAIN (RFC 4616): everything is said at once.
    Plain(Vec<u8>),
    /// SCRAM (RFC 5802).
    Scram(Box<Scram>),
    /// OAUTHBEARER (RFC 7628).
    OAuth(Vec<u8>),
    /// `AWS_MSK_IAM`: a signed JSON object.
    Msk(Vec<u8>),
}

/// What to do after an answer of the broker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send this and hear the answer.
    Send(Vec<u8>),
    /// The broker said yes and, where it must, proved who it is.
    Done,
}

/// 24 characters that nobody can guess, none of them a comma.
pub(super) fn nonce() -> Result<String, SecurityError> {
    use base64::Engine;
    use ring::rand::SecureRandom;
    let mut bytes = [0; 18];
    let failed = |_| SecurityError::Credentials {
        mechanism: "SCRAM",
        problem: "the system gives no random numbers".into(),
    };
    ring::rand::SystemRandom::new().fill(&mut bytes).map_err(failed)?;
    Ok(base64::engine::general_purpose::STANDARD.encode(bytes))
}

impl Exchange {
    /// The client's part from its credentials; `nonce` is fresh chance, `host` the broker's, `now` the seconds since 1970.
    pub(super) fn new(
        credentials: Credentials,
        nonce: String,
        host: &str,
        now: u64,
    ) -> Result<Self, SecurityError> {
        Ok(match credentials {
            Credentials::Plain { user, password } => {
                Self::Plain(format!("\0{user}\0{}", password.expose()).into_bytes())
            }
            Credentials::Scram { hash, user, password, token } => {
                Self::Scram(Box::new(Scram::new(hash, &user, password, token, nonce)))
            }
            Credentials::OAuth(token) => Self::OAuth(oauth::first_message(&token)?),
            Credentials::Msk { keys, region } => {
                Self::Msk(msk::payload(&keys, region.as_deref(), host, now)?)
            }
        })
    }

    /// What the client says first.
    pub(super) fn first(&self) -> Vec<u8> {
        match self {
            Self::Plain(bytes) | Self::OAuth(bytes) | Self::Msk(bytes) => bytes.clone(),
            Self::Scram(scram) => scram.first(),
        }
    }

    /// What follows from the broker's answer.
    pub(super) fn step(&mut self, answer: &[u8]) -> Result<Step, SecurityError> {
        match self {
            // Whatever a broker says after yes is of no interest.
            Self::Plain(_) | Self::Msk(_) => Ok(Step::Done),
            Self::Scram(scram) => scram.step(answer),
            Self::OAuth(_) => Ok(oauth::step(answer)),
        }
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exchange")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::Secret;

    #[test]
    fn plain_is_said_at_once() {
        let credentials = Credentials::Plain { user: "alice".into(), password: "x y".into() };
        let mut it = Exchange::new(credentials, String::new(), "h", 0).unwrap();
        assert_eq!(it.first(), b"\0alice\0x y");
        assert_eq!(it.step(b"").unwrap(), Step::Done);
    }

    #[test]
    fn chance_differs_and_has_no_comma() {
        let (one, two) = (nonce().unwrap(), nonce().unwrap());
        assert_ne!(one, two);
        assert!(one.len() == 24 && !one.contains(','));
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret: Secret = "hunter2".into();
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.expose(), "hunter2");
    }
}
