//! OAUTHBEARER (RFC 7628) with extensions (KIP-255, KIP-342): a token that somebody else gave.

use super::Step;
use super::config::Token;
use crate::security::SecurityError;

const MECHANISM: &str = "OAUTHBEARER";

/// Everything the client has to say. What would break the framing is refused here.
pub(super) fn first_message(token: &Token) -> Result<Vec<u8>, SecurityError> {
    let wrong = |problem: &str| SecurityError::Credentials {
        mechanism: MECHANISM,
        problem: problem.into(),
    };
    let value = token.value.expose();
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(wrong("the token is empty or has characters that no token has"));
    }
    let mut message = format!("n,,\u{1}auth=Bearer {value}");
    for (name, text) in &token.extensions {
        let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic());
        let printable = |b| matches!(b, 0x20..=0x7e | b'\t' | b'\r' | b'\n');
        // RFC 7628, section 3.1; `auth` is the token's own.
        if !named || name == "auth" || !text.bytes().all(printable) {
            return Err(wrong("an extension has a name or value that is not allowed"));
        }
        message.push('\u{1}');
        message.push_str(name);
        message.push('=');
        message.push_str(text);
    }
    message.push_str("\u{1}\u{1}");
    Ok(message.into_bytes())
}

/// An answer that is not empty says what is wrong; the broker says no when it was acknowledged.
pub(super) fn step(answer: &[u8]) -> Step {
    if answer.is_empty() { Step::Done } else { Step::Send(vec![1]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_and_extensions() {
        let token = Token::new("ey.J0").extension("logicalCluster", "lkc-1").extension("x", "a b");
        let text = "n,,\u{1}auth=Bearer ey.J0\u{1}logicalCluster=lkc-1\u{1}x=a b\u{1}\u{1}";
        assert_eq!(first_message(&token).unwrap(), text.as_bytes());
        assert_eq!(step(b""), Step::Done);
        assert_eq!(step(b"{\"status\":\"invalid_token\"}"), Step::Send(vec![1]));
    }

    #[test]
    fn what_would_break_the_framing_is_refused() {
        let ok = || Token::new("t");
        let wrong = [
            Token::new(""),
            Token::new("a\u{1}b"),
            Token::new("a b"),
            ok().extension("auth", "x"),
            ok().extension("", "x"),
            ok().extension("a=b", "x"),
            ok().extension("a", "x\u{1}"),
        ];
        for token in wrong {
            let error = first_message(&token).unwrap_err();
            assert!(matches!(error, SecurityError::Credentials { .. }), "{token:?}: {error:?}");
        }
    }
}
