//! What failures of TLS mean. What the network does is none of them.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::security::SecurityError;

/// The matter of trust in an I/O error, if that is what it is.
pub(crate) fn found_in(error: &io::Error) -> Option<SecurityError> {
    let inner = error.get_ref()?;
    if let Some(error) = inner.downcast_ref::<SecurityError>() {
        return Some(error.clone());
    }
    inner.downcast_ref::<Error>().map(|error| of(error, ""))
}

/// What an error of rustls means for a connection to `server_name`.
pub(super) fn of(error: &Error, server_name: &str) -> SecurityError {
    let server_name = server_name.into();
    match error {
        Error::InvalidCertificate(CertificateError::NotValidForName) => {
            SecurityError::TlsName { server_name, names: Vec::new() }
        }
        Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented, ..
        }) => {
            let names = presented.iter().map(|name| bare(name).to_owned()).collect();
            SecurityError::TlsName { server_name, names }
        }
        Error::InvalidCertificate(problem) => {
            SecurityError::TlsCertificate { server_name, problem: of_certificate(problem).into() }
        }
        Error::NoCertificatesPresented => {
            SecurityError::TlsCertificate { server_name, problem: "there is none".into() }
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => SecurityError::TlsToPlaintext,
        Error::AlertReceived(alert) => {
            SecurityError::TlsRefused { alert: alert_name(*alert).into() }
        }
        other => SecurityError::Tls { problem: other.to_string().into() },
    }
}

/// The name in `DnsName("name")`.
fn bare(name: &str) -> &str {
    let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(name).trim_matches('"')
}

fn of_certificate(problem: &CertificateError) -> String {
    use CertificateError as C;
    match problem {
        C::Expired | C::ExpiredContext { .. } => format!("it has expired ({problem})"),
        C::NotValidYet | C::NotValidYetContext { .. } => format!("it is not valid yet ({problem})"),
        C::UnknownIssuer => "it was signed by a CA that is not among the trusted ones".to_owned(),
        C::Revoked => "it was revoked".to_owned(),
        other => other.to_string(),
    }
}

fn alert_name(alert: AlertDescription) -> String {
    use AlertDescription as A;
    let text = match alert {
        A::CertificateRequired => "it wants a client certificate",
        A::BadCertificate | A::UnsupportedCertificate => "it does not take the client certificate",
        A::CertificateExpired => "the client certificate has expired",
        A::CertificateRevoked => "the client certificate was revoked",
        A::UnknownCA => "it does not trust the CA of the client certificate",
        A::HandshakeFailure => "no version or cipher in common, or it wants a client certificate",
        A::AccessDenied => "access denied",
        A::UnrecognisedName => "it does not know the name that it was called by",
        _ => "",
    };
    if text.is_empty() { format!("{alert:?}") } else { format!("{text} ({alert:?})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_network_does_is_no_matter_of_trust() {
        for kind in [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::UnexpectedEof,
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::TimedOut,
        ] {
            assert_eq!(found_in(&kind.into()), None);
            assert_eq!(found_in(&io::Error::new(kind, "tls handshake eof")), None);
        }
    }

    #[test]
    fn names_are_told_as_they_are() {
        assert_eq!(bare("DnsName(\"localhost\")"), "localhost");
        assert_eq!(bare("IpAddress(127.0.0.1)"), "127.0.0.1");
        assert_eq!(bare("other"), "other");
    }

    #[test]
    fn alerts_and_certificates_are() {
        let wrapped = |error| found_in(&io::Error::new(io::ErrorKind::InvalidData, error));
        let alert = wrapped(Error::AlertReceived(AlertDescription::CertificateRequired));
        assert!(matches!(alert, Some(SecurityError::TlsRefused { .. })), "{alert:?}");
        let expired = Error::InvalidCertificate(CertificateError::Expired);
        let expired = wrapped(expired).map(|it| it.to_string()).unwrap_or_default();
        assert!(expired.contains("expired"), "{expired}");
        let plain = wrapped(Error::InvalidMessage(InvalidMessage::InvalidContentType));
        assert_eq!(plain, Some(SecurityError::TlsToPlaintext));
    }
}
