//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677) without channel binding, as Kafka speaks it. The server proves
//! that it knows the password, or at least what was derived from it; a server that does not is an impostor.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

use super::Step;
use crate::security::{Secret, SecurityError};

/// Kafka's own least; fewer make the password cheap to guess for whoever asks.
const ITERATIONS_MIN: u32 = 4096;
/// More would hold up everything else on the I/O thread. Kafka's own most is 16384.
const ITERATIONS_MAX: u32 = 1 << 17;
/// Longer messages are nonsense.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    pub(crate) fn mechanism(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    fn parts(self) -> (hmac::Algorithm, pbkdf2::Algorithm, &'static digest::Algorithm) {
        match self {
            Self::Sha256 => (hmac::HMAC_SHA256, pbkdf2::PBKDF2_HMAC_SHA256, &digest::SHA256),
            Self::Sha512 => (hmac::HMAC_SHA512, pbkdf2::PBKDF2_HMAC_SHA512, &digest::SHA512),
        }
    }
}

/// The client's side of one exchange.
pub(crate) struct Scram {
    hash: Hash,
    /// `n=user,r=nonce`, and Kafka's extension for delegation tokens.
    first_bare: String,
    nonce: String,
    password: Secret,
    state: State,
}

enum State {
    /// The client spoke first; salt and iterations are to come.
    First,
    /// The proof is under way; the server's signature is to come.
    Proved { server_key: hmac::Key, auth_message: String },
}

impl Scram {
    /// `token` says that user and password are id and key of a delegation token (KIP-48).
    pub(crate) fn new(
        hash: Hash,
        user: &str,
        password: Secret,
        token: bool,
        nonce: String,
    ) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let extension = if token { ",tokenauth=true" } else { "" };
        let first_bare = format!("n={user},r={nonce}{extension}");
        Self { hash, first_bare, nonce, password, state: State::First }
    }

    pub(crate) fn first(&self) -> Vec<u8> {
        format!("n,,{}", self.first_bare).into_bytes()
    }

    pub(crate) fn step(&mut self, answer: &[u8]) -> Result<Step, SecurityError> {
        let text = std::str::from_utf8(answer).ok().filter(|it| it.len() <= MESSAGE_BYTES_MAX);
        let text = text.ok_or_else(|| self.impostor("its answer is no text"))?;
        if let Some(error) = field(text, "e=") {
            let message = error.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
            return Err(SecurityError::Authentication {
                mechanism: self.hash.mechanism(),
                message: message.into(),
            });
        }
        match &self.state {
            State::First => self.prove(text),
            State::Proved { server_key, auth_message } => {
                let signature = field(text, "v=").and_then(|it| STANDARD.decode(it).ok());
                let signature = signature.unwrap_or_default();
                // Compares in constant time.
                hmac::verify(server_key, auth_message.as_bytes(), &signature)
                    .map(|()| Step::Done)
                    .map_err(|_| {
                        self.impostor("its signature is wrong: it does not know the password")
                    })
            }
        }
    }

    fn prove(&mut self, server_first: &str) -> Result<Step, SecurityError> {
        let nonce = field(server_first, "r=").unwrap_or_default();
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(self.impostor("its nonce does not go on from ours"));
        }
        let salt = field(server_first, "s=").and_then(|it| STANDARD.decode(it).ok());
        let salt = salt.filter(|it| !it.is_empty());
        let salt = salt.ok_or_else(|| self.impostor("it gives no salt"))?;
        let iterations = field(server_first, "i=").and_then(|it| it.parse::<u32>().ok());
        let iterations = iterations
            .filter(|it| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(it))
            .and_then(NonZeroU32::new)
            .ok_or_else(|| {
                self.impostor(&format!(
                    "it asks for a number of iterations outside of {ITERATIONS_MIN} to {ITERATIONS_MAX}"
                ))
            })?;

        let (mac, derive, digest) = self.hash.parts();
        let mut salted = vec![0; digest.output_len()];
        pbkdf2::derive(derive, iterations, &salt, self.password.expose().as_bytes(), &mut salted);
        let salted = hmac::Key::new(mac, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(digest, client_key.as_ref());
        // "biws" is "n,," in base64: no channel binding.
        let without_proof = format!("c=biws,r={nonce}");
        let auth_message = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature =
            hmac::sign(&hmac::Key::new(mac, stored_key.as_ref()), auth_message.as_bytes());
        let proof: Vec<u8> =
            client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let server_key = hmac::Key::new(mac, hmac::sign(&salted, b"Server Key").as_ref());
        self.state = State::Proved { server_key, auth_message };
        Ok(Step::Send(format!("{without_proof},p={}", STANDARD.encode(proof)).into_bytes()))
    }

    fn impostor(&self, problem: &str) -> SecurityError {
        SecurityError::Impostor { mechanism: self.hash.mechanism(), problem: problem.into() }
    }
}

/// The value of an attribute such as `r=`.
fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(',').find_map(|it| it.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    fn rfc() -> Scram {
        Scram::new(Hash::Sha256, "user", "pencil".into(), false, "rOprNGfwEbeRWgbNEkqO".into())
    }
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn refused(mut it: Scram, answers: &[&str]) -> SecurityError {
        let (last, before) = answers.split_last().unwrap();
        for answer in before {
            it.step(answer.as_bytes()).unwrap();
        }
        it.step(last.as_bytes()).unwrap_err()
    }

    #[test]
    fn speaks_as_in_the_rfc() {
        let mut it = rfc();
        assert_eq!(it.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let proof = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(it.step(SERVER_FIRST.as_bytes()).unwrap(), Step::Send(proof.into()));
        assert_eq!(it.step(SERVER_FINAL.as_bytes()).unwrap(), Step::Done);
    }

    #[test]
    fn an_impostor_is_found_out() {
        let wrong = [
            vec![SERVER_FIRST, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="],
            vec![SERVER_FIRST, "v="],
            vec![SERVER_FIRST, ""],
            vec!["r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096"],
            vec!["r=another,s=W22Z,i=4096"],
            vec!["s=W22Z,i=4096"],
            vec!["r=rOprNGfwEbeRWgbNEkqOx,i=4096"],
            vec!["r=rOprNGfwEbeRWgbNEkqOx,s=!,i=4096"],
            vec!["r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4095"],
            vec!["r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=0"],
            vec!["r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=-1"],
            vec!["r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4294967295"],
            vec!["\u{0}"],
        ];
        for answers in wrong {
            let error = refused(rfc(), &answers);
            assert!(matches!(error, SecurityError::Impostor { .. }), "{answers:?}: {error:?}");
        }
        assert!(rfc().step(&[0xff, 0xfe]).is_err());
        assert!(rfc().step(&vec![b'r'; 1 << 20]).is_err());
    }

    #[test]
    fn an_error_of_the_server_is_told() {
        let SecurityError::Authentication { message, .. } = refused(rfc(), &["e=unknown-user"])
        else {
            panic!("not refused")
        };
        assert_eq!(&*message, "unknown-user");
    }

    #[test]
    fn names_are_escaped_and_tokens_marked() {
        let it = Scram::new(Hash::Sha512, "a=b,c", "x".into(), true, "N".into());
        assert_eq!(it.first(), b"n,,n=a=3Db=2Cc,r=N,tokenauth=true");
    }
}
