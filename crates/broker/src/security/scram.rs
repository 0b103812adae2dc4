//! The broker's side of SCRAM (RFC 5802), from the password itself.

use std::num::NonZeroU32;

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{digest, hmac, pbkdf2};

const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

/// An exchange whose client has spoken first.
#[derive(Debug)]
pub(super) struct Scram {
    sha512: bool,
    nonce: String,
    salted: Vec<u8>,
    /// The messages so far, as they are signed.
    transcript: String,
}

impl Scram {
    /// From the client's first message: what to answer, given the password of whoever it names.
    pub(super) fn begin(
        sha512: bool,
        message: &str,
        password: impl FnOnce(&str) -> Option<String>,
    ) -> Result<(Self, String), &'static str> {
        let bare = message.strip_prefix("n,,").ok_or("the first message has no header")?;
        let user = field(bare, "n=").ok_or("no user")?.replace("=2C", ",").replace("=3D", "=");
        let password = password(&user).ok_or("the user or the password is wrong")?;
        let more: String = std::iter::repeat_with(fastrand::alphanumeric).take(24).collect();
        let nonce = format!("{}{more}", field(bare, "r=").ok_or("no nonce")?);
        let salt: [u8; 16] = std::array::from_fn(|_| fastrand::u8(..));
        let derive = if sha512 { pbkdf2::PBKDF2_HMAC_SHA512 } else { pbkdf2::PBKDF2_HMAC_SHA256 };
        let mut salted = vec![0; if sha512 { 64 } else { 32 }];
        pbkdf2::derive(derive, ITERATIONS, &salt, password.as_bytes(), &mut salted);
        let answer = format!("r={nonce},s={},i={ITERATIONS}", STANDARD.encode(salt));
        let transcript = format!("{bare},{answer}");
        Ok((Self { sha512, nonce, salted, transcript }, answer))
    }

    /// From the client's proof: the broker's own.
    pub(super) fn finish(self, message: &str) -> Result<String, &'static str> {
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or("no proof")?;
        if field(without_proof, "r=") != Some(&self.nonce) {
            return Err("another nonce");
        }
        let algorithm = if self.sha512 { hmac::HMAC_SHA512 } else { hmac::HMAC_SHA256 };
        let hash = if self.sha512 { &digest::SHA512 } else { &digest::SHA256 };
        let signed = format!("{},{without_proof}", self.transcript);
        let salted = hmac::Key::new(algorithm, &self.salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(hash, client_key.as_ref());
        let signature =
            hmac::sign(&hmac::Key::new(algorithm, stored_key.as_ref()), signed.as_bytes());
        let proof = STANDARD.decode(proof).map_err(|_| "a proof that is no base64")?;
        let shown = proof.iter().zip(signature.as_ref()).map(|(a, b)| a ^ b);
        if proof.len() != signature.as_ref().len() || !shown.eq(client_key.as_ref().iter().copied())
        {
            return Err("the user or the password is wrong");
        }
        let server_key = hmac::sign(&salted, b"Server Key");
        let own = hmac::sign(&hmac::Key::new(algorithm, server_key.as_ref()), signed.as_bytes());
        Ok(format!("v={}", STANDARD.encode(own)))
    }
}

fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(',').find_map(|it| it.strip_prefix(name))
}
