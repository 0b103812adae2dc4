//! What a client can be told. Every limit names its unit in its type (`Duration`) or at the end of its
//! name (`_bytes`, `_max`). Nothing here names a broker version: that is negotiated per connection.

use std::time::Duration;

use crate::security::{SaslConfig, TlsConfig};
use crate::{Address, Error};

/// How a [`Client`](crate::Client) reaches the cluster and how long it is patient.
///
/// Only `bootstrap` has no default. Change fields directly or by the setters of the same name;
/// [`Config::validate`] runs when the client is made.
///
/// ```
/// use std::time::Duration;
/// let config = roka_client::Config::new("kafka-1:9092,kafka-2:9092")
///     .client_id("billing")
///     .request_timeout(Duration::from_secs(10));
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Addresses to start from, `host:port` each. They stay part of the rotation for ever, so a cluster
    /// whose brokers were all replaced is found again (KIP-899).
    pub bootstrap: Vec<String>,
    /// Name that brokers see in logs, metrics and quotas. Default `roka`.
    pub client_id: String,
    /// How long one request may stay unanswered on its connection before the connection is closed.
    /// Default 30 s.
    pub request_timeout: Duration,
    /// How long one call of the user (an admin call, a lookup) may take with all its retries. Default 60 s.
    pub api_timeout: Duration,
    /// How long a dial may take, with name resolution and version negotiation. Default 10 s.
    pub connect_timeout: Duration,
    /// Wait after the first failed dial to a broker; doubles up to `reconnect_backoff_max`. Default 50 ms.
    pub reconnect_backoff: Duration,
    /// Longest wait between two dials to one broker. Default 1 s.
    pub reconnect_backoff_max: Duration,
    /// Wait before the first retry when nothing newer is known; doubles up to `retry_backoff_max`,
    /// with 20 % jitter. Default 100 ms.
    pub retry_backoff: Duration,
    /// Longest wait between two retries. Default 1 s.
    pub retry_backoff_max: Duration,
    /// Age at which metadata is asked for again although nothing failed. Default 5 min.
    pub metadata_max_age: Duration,
    /// Least time between two metadata requests while answers still bring news. Answers without news
    /// are spaced by `retry_backoff` and up. Default 20 ms.
    pub metadata_min_age: Duration,
    /// Idle connections are closed after this, before the broker does it (10 min). Default 9 min.
    pub connections_max_idle: Duration,
    /// Largest response taken from a broker. Default 128 MiB.
    pub frame_bytes_max: usize,
    /// Size of a read from a connection with small responses; large responses are read straight into a
    /// buffer of their own size. Default 128 KiB.
    pub read_buffer_bytes: usize,
    /// Requests that may wait or be unanswered on one connection at a time; more callers wait.
    /// Default 1000.
    pub requests_in_flight_max: usize,
    /// Where this client is (`broker.rack`), so that it can read from a near replica (KIP-392).
    /// Default none.
    pub rack: Option<String>,
    /// Whether and how connections are encrypted. Default none: plain text.
    pub tls: Option<TlsConfig>,
    /// Who we are, for listeners with SASL. Default none.
    pub sasl: Option<SaslConfig>,
    /// Seed of the jitter, so that a simulated run can be repeated. Default none: from the system.
    pub random_seed: Option<u64>,
}

macro_rules! setters {
    ($($field:ident: $arg:ty,)*) => {$(
        #[doc = concat!("Sets [`Config::", stringify!($field), "`](#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: $arg) -> Self {
            self.$field = $field.into();
            self
        }
    )*};
}

impl Config {
    /// The defaults, with the bootstrap addresses `host:port,host:port,…`.
    pub fn new(bootstrap: impl AsRef<str>) -> Self {
        Self::from_addresses(bootstrap.as_ref().split(',').map(str::trim))
    }

    /// The defaults, with one bootstrap address per item.
    pub fn from_addresses<S: Into<String>>(bootstrap: impl IntoIterator<Item = S>) -> Self {
        Self {
            bootstrap: bootstrap.into_iter().map(Into::into).filter(|it| !it.is_empty()).collect(),
            client_id: "roka".into(),
            request_timeout: Duration::from_secs(30),
            api_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            metadata_max_age: Duration::from_secs(300),
            metadata_min_age: Duration::from_millis(20),
            connections_max_idle: Duration::from_secs(540),
            frame_bytes_max: 128 << 20,
            read_buffer_bytes: 128 << 10,
            requests_in_flight_max: 1000,
            rack: None,
            tls: None,
            sasl: None,
            random_seed: None,
        }
    }

    setters! {
        client_id: impl Into<String>,
        request_timeout: Duration,
        api_timeout: Duration,
        connect_timeout: Duration,
        reconnect_backoff: Duration,
        reconnect_backoff_max: Duration,
        retry_backoff: Duration,
        retry_backoff_max: Duration,
        metadata_max_age: Duration,
        metadata_min_age: Duration,
        connections_max_idle: Duration,
        frame_bytes_max: usize,
        read_buffer_bytes: usize,
        requests_in_flight_max: usize,
        rack: impl Into<Option<String>>,
        tls: impl Into<Option<TlsConfig>>,
        sasl: impl Into<Option<SaslConfig>>,
        random_seed: impl Into<Option<u64>>,
    }

    /// Checks every field; the error names the field, its value and what would be right.
    pub fn validate(&self) -> Result<(), Error> {
        self.addresses()?;
        if self.client_id.len() > i16::MAX as usize {
            return Err(Error::config("client_id", &self.client_id, "at most 32767 bytes"));
        }
        if let Some(expected) = self.sasl.as_ref().and_then(SaslConfig::problem) {
            return Err(Error::config("sasl", format!("{:?}", self.sasl), expected));
        }
        let positive = [
            ("request_timeout", self.request_timeout),
            ("api_timeout", self.api_timeout),
            ("connect_timeout", self.connect_timeout),
            ("reconnect_backoff", self.reconnect_backoff),
            ("retry_backoff", self.retry_backoff),
            ("metadata_max_age", self.metadata_max_age),
            ("connections_max_idle", self.connections_max_idle),
        ];
        for (field, value) in positive {
            let fits = !value.is_zero() && value.as_millis() <= i32::MAX as u128;
            if !fits {
                return Err(Error::config(field, format!("{value:?}"), "over 0 and under 24 days"));
            }
        }
        let ordered = [
            ("reconnect_backoff_max", self.reconnect_backoff, self.reconnect_backoff_max),
            ("retry_backoff_max", self.retry_backoff, self.retry_backoff_max),
            ("api_timeout", self.retry_backoff, self.api_timeout),
            ("metadata_max_age", self.metadata_min_age, self.metadata_max_age),
        ];
        for (field, low, high) in ordered {
            if low > high {
                return Err(Error::config(field, format!("{high:?}"), format!("at least {low:?}")));
            }
        }
        let sized = [
            ("frame_bytes_max", self.frame_bytes_max, 1 << 10, i32::MAX as usize),
            ("read_buffer_bytes", self.read_buffer_bytes, 1 << 10, 1 << 30),
            ("requests_in_flight_max", self.requests_in_flight_max, 1, 1 << 20),
        ];
        for (field, value, low, high) in sized {
            if !(low..=high).contains(&value) {
                let expected = format!("from {low} to {high}");
                return Err(Error::config(field, value.to_string(), expected));
            }
        }
        Ok(())
    }

    /// The bootstrap addresses, parsed; at least one.
    pub(crate) fn addresses(&self) -> Result<Vec<Address>, Error> {
        if self.bootstrap.is_empty() {
            return Err(Error::config("bootstrap", "", "at least one address host:port"));
        }
        let parse = |text: &String| {
            Address::parse(text).map_err(|problem| {
                Error::config("bootstrap", text, format!("host:port, but {problem}"))
            })
        };
        self.bootstrap.iter().map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        Config::new("a:1, b:2").validate().unwrap();
    }

    #[test]
    fn each_wrong_value_names_its_field() {
        let ok = || Config::new("a:1");
        let zero = Duration::ZERO;
        let wrong = [
            ("bootstrap", Config::new("")),
            ("bootstrap", Config::new("a:1,b:x")),
            ("client_id", ok().client_id("x".repeat(40_000))),
            ("request_timeout", ok().request_timeout(zero)),
            ("api_timeout", ok().api_timeout(Duration::from_millis(1))),
            ("connect_timeout", ok().connect_timeout(Duration::from_secs(1 << 40))),
            ("reconnect_backoff", ok().reconnect_backoff(zero)),
            ("reconnect_backoff_max", ok().reconnect_backoff_max(zero)),
            ("retry_backoff_max", ok().retry_backoff(Duration::from_secs(2))),
            ("metadata_max_age", ok().metadata_max_age(Duration::from_millis(1))),
            ("connections_max_idle", ok().connections_max_idle(zero)),
            ("frame_bytes_max", ok().frame_bytes_max(3)),
            ("read_buffer_bytes", ok().read_buffer_bytes(3)),
            ("requests_in_flight_max", ok().requests_in_flight_max(0)),
            ("sasl", ok().sasl(SaslConfig::plain("alice"))),
            ("sasl", ok().sasl(SaslConfig::plain("").password("x"))),
            ("sasl", ok().sasl(SaslConfig::plain("alice").password("x\0y"))),
        ];
        for (field, config) in wrong {
            let text = config.validate().unwrap_err().to_string();
            assert!(text.contains(&format!("`{field}`")), "{field}: {text}");
        }
    }
}
