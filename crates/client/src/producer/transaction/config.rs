//! What a transactional producer can be told.

use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::producer::ProducerConfig;

/// How a [`TransactionalProducer`](super::TransactionalProducer) is named, and how long a transaction may take.
///
/// ```
/// use std::time::Duration;
/// use roka_client::producer::TransactionalConfig;
/// let config = TransactionalConfig::new("billing-1").transaction_timeout(Duration::from_secs(30));
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TransactionalConfig {
    /// `transactional.id`: who the producer is, across restarts. A new one with the same id takes over from the last.
    pub transactional_id: Arc<str>,
    /// The coordinator aborts a transaction that takes longer, and fences its producer. At most the broker's
    /// `transaction.max.timeout.ms` (15 min). Default 60 s, as in Java.
    pub transaction_timeout: Duration,
    /// How it batches, sends and retries; always idempotent, with all acks.
    pub producer: ProducerConfig,
}

impl TransactionalConfig {
    /// The defaults.
    pub fn new(transactional_id: impl Into<Arc<str>>) -> Self {
        Self {
            transactional_id: transactional_id.into(),
            transaction_timeout: Duration::from_secs(60),
            producer: ProducerConfig::default(),
        }
    }

    /// Sets [`TransactionalConfig::transaction_timeout`](#structfield.transaction_timeout).
    #[must_use]
    pub fn transaction_timeout(mut self, timeout: Duration) -> Self {
        self.transaction_timeout = timeout;
        self
    }

    /// Sets [`TransactionalConfig::producer`](#structfield.producer).
    #[must_use]
    pub fn producer(mut self, producer: ProducerConfig) -> Self {
        self.producer = producer;
        self
    }

    /// Checks every field; the error names the field, its value and what would be right.
    pub fn validate(&self) -> Result<(), Error> {
        if self.transactional_id.is_empty() {
            return Err(Error::config("transactional_id", "", "a name"));
        }
        let day = Duration::from_secs(24 * 60 * 60);
        if !(Duration::from_millis(1)..=day).contains(&self.transaction_timeout) {
            let value = format!("{:?}", self.transaction_timeout);
            return Err(Error::config("transaction_timeout", value, "from 1 ms to a day"));
        }
        if !self.producer.idempotent {
            return Err(Error::config("idempotent", "false", "true for transactions"));
        }
        self.producer.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_value_names_its_field() {
        let ok = || TransactionalConfig::new("t");
        assert!(ok().validate().is_ok());
        let wrong = [
            ("transactional_id", TransactionalConfig::new("")),
            ("transaction_timeout", ok().transaction_timeout(Duration::ZERO)),
            ("idempotent", ok().producer(ProducerConfig::default().idempotent(false))),
            ("max_in_flight", ok().producer(ProducerConfig::default().max_in_flight(9usize))),
        ];
        for (field, config) in wrong {
            let text = config.validate().unwrap_err().to_string();
            assert!(text.contains(&format!("`{field}`")), "{field}: {text}");
        }
    }
}
