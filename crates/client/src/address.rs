//! Where a broker listens: `host:port`, `[v6]:port`, or a host alone with Kafka's port 9092.

use std::fmt;
use std::sync::Arc;

/// The port a bootstrap address without one means.
pub const DEFAULT_PORT: u16 = 9092;

/// A host name (or IP literal) and a port. Resolved at every dial, never cached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Host name or IP literal, without brackets.
    pub host: Arc<str>,
    /// TCP port, 1 to 65535.
    pub port: u16,
}

impl Address {
    /// An address from its parts.
    pub fn new(host: impl Into<Arc<str>>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Parses `host`, `host:port`, `[v6]` or `[v6]:port`; gives what is wrong otherwise.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or("the closing ] is missing")?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err("after ] only :port can follow"),
            }
        } else if text.matches(':').count() > 1 {
            (text, None)
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        if host.is_empty() {
            return Err("the host is empty");
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err("the port is not a number from 1 to 65535"),
                Ok(port) => port,
            },
        };
        Ok(Self::new(host, port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_every_form() {
        let parsed = |text: &str| Address::parse(text).map(|it| it.to_string());
        assert_eq!(parsed("kafka"), Ok("kafka:9092".into()));
        assert_eq!(parsed(" kafka:1234 "), Ok("kafka:1234".into()));
        assert_eq!(parsed("PLAINTEXT://kafka:1234"), Ok("kafka:1234".into()));
        assert_eq!(parsed("[::1]:1234"), Ok("[::1]:1234".into()));
        assert_eq!(parsed("[::1]"), Ok("[::1]:9092".into()));
        assert_eq!(parsed("fe80::1"), Ok("[fe80::1]:9092".into()));
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in ["", ":9092", "kafka:", "kafka:0", "kafka:99999", "kafka:x", "[::1", "[::1]x"] {
            assert!(Address::parse(text).is_err(), "{text:?} was taken");
        }
    }
}
