//! What a producer can be told. Every limit names its unit in its type (`Duration`) or its name (`_bytes`).

use std::time::Duration;

use roka_protocol::records::Compression;

use crate::Error;
use crate::partitioner::Partitioning;

/// Which replicas must have a batch before it counts as delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Acks {
    /// All that are in sync (at least `min.insync.replicas`). The default, and what idempotence needs.
    #[default]
    All,
    /// The leader alone: a batch is lost if the leader dies before another replica has fetched it.
    Leader,
}

impl Acks {
    /// As on the wire.
    pub(crate) fn wire(self) -> i16 {
        match self {
            Self::All => -1,
            Self::Leader => 1,
        }
    }
}

/// How a [`Producer`](super::Producer) batches, sends and retries.
///
/// Change fields directly or by the setters of the same name; checked when the producer is made.
///
/// ```
/// use std::time::Duration;
/// use roka_client::producer::ProducerConfig;
/// let config = ProducerConfig::default().linger(Duration::from_millis(20)).batch_bytes_max(512usize << 10);
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProducerConfig {
    /// Which replicas must have a batch. Default all in sync.
    pub acks: Acks,
    /// No batch is written twice and none overtakes another of its partition, however often it must be sent (KIP-98).
    /// Default true. Brokers before 0.11 do without; order then holds because one batch of a partition is in flight.
    pub idempotent: bool,
    /// How long a batch may wait for more records before it is sent. Default 5 ms; zero sends at once.
    pub linger: Duration,
    /// Size at which a batch is closed, before compression. Default 256 KiB: at high rates it is reached long before
    /// `linger`, and each batch costs client and broker a fixed effort; at low rates `linger` ends it long before.
    /// A larger record gets a batch of its own.
    pub batch_bytes_max: usize,
    /// Largest Produce request, and so the largest record. Default 1 MiB, as the broker's `message.max.bytes`.
    pub request_bytes_max: usize,
    /// Memory for records from `send` to their acknowledgement. When it is used up, `send` waits. Default 32 MiB.
    pub buffer_bytes_max: usize,
    /// How batches are compressed. Default not at all.
    pub compression: Compression,
    /// The level of it; default the codec's own.
    pub compression_level: Option<i32>,
    /// Time from opening a batch to its acknowledgement, all retries included; after it the batch fails with
    /// [`ProduceError::DeliveryTimeout`](super::ProduceError::DeliveryTimeout). Default 120 s.
    pub delivery_timeout: Duration,
    /// Produce requests in flight per broker, and batches per partition, 1 to 5. Default 5.
    pub max_in_flight: usize,
    /// How records with a key are placed by `send_keyed`. Default as Goka does it.
    pub partitioning: Partitioning,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotent: true,
            linger: Duration::from_millis(5),
            batch_bytes_max: 256 << 10,
            request_bytes_max: 1 << 20,
            buffer_bytes_max: 32 << 20,
            compression: Compression::None,
            compression_level: None,
            delivery_timeout: Duration::from_secs(120),
            max_in_flight: 5,
            partitioning: Partitioning::default(),
        }
    }
}

macro_rules! setters {
    ($($field:ident: $ty:ty,)*) => {$(
        #[doc = concat!("Sets [`ProducerConfig::", stringify!($field), "`](#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: impl Into<$ty>) -> Self {
            self.$field = $field.into();
            self
        }
    )*};
}

impl ProducerConfig {
    setters! {
        acks: Acks,
        idempotent: bool,
        linger: Duration,
        batch_bytes_max: usize,
        request_bytes_max: usize,
        buffer_bytes_max: usize,
        compression: Compression,
        compression_level: Option<i32>,
        delivery_timeout: Duration,
        max_in_flight: usize,
        partitioning: Partitioning,
    }

    /// Checks every field; the error names the field, its value and what would be right.
    pub fn validate(&self) -> Result<(), Error> {
        let expect = |ok: bool, field, value: String, expected: &str| {
            if ok { Ok(()) } else { Err(Error::config(field, value, expected)) }
        };
        expect(
            !self.idempotent || self.acks == Acks::All,
            "acks",
            format!("{:?}", self.acks),
            "all for an idempotent producer; or set `idempotent` to false",
        )?;
        expect(
            (1 << 10..=1 << 30).contains(&self.request_bytes_max),
            "request_bytes_max",
            self.request_bytes_max.to_string(),
            "from 1 KiB to 1 GiB",
        )?;
        expect(
            (1 << 10..=self.request_bytes_max).contains(&self.batch_bytes_max),
            "batch_bytes_max",
            self.batch_bytes_max.to_string(),
            "from 1 KiB to `request_bytes_max`",
        )?;
        expect(
            self.buffer_bytes_max >= self.request_bytes_max,
            "buffer_bytes_max",
            self.buffer_bytes_max.to_string(),
            "at least `request_bytes_max`",
        )?;
        expect(
            (1..=5).contains(&self.max_in_flight),
            "max_in_flight",
            self.max_in_flight.to_string(),
            "from 1 to 5: a broker remembers the last five batches of a producer",
        )?;
        let day = Duration::from_secs(24 * 60 * 60);
        expect(
            self.delivery_timeout > self.linger && self.delivery_timeout <= day,
            "delivery_timeout",
            format!("{:?}", self.delivery_timeout),
            "above `linger` and at most a day",
        )?;
        self.compression.check_level(self.compression_level).map_err(|problem| {
            Error::config(
                "compression_level",
                format!("{:?}", self.compression_level),
                problem.to_string(),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_value_names_its_field() {
        let ok = ProducerConfig::default;
        assert!(ok().validate().is_ok());
        let wrong = [
            ("acks", ok().acks(Acks::Leader)),
            ("request_bytes_max", ok().request_bytes_max(3usize)),
            ("batch_bytes_max", ok().batch_bytes_max(2usize << 20)),
            ("buffer_bytes_max", ok().buffer_bytes_max(1usize << 10)),
            ("max_in_flight", ok().max_in_flight(6usize)),
            ("delivery_timeout", ok().delivery_timeout(Duration::ZERO)),
            ("compression_level", ok().compression(Compression::Gzip).compression_level(99)),
        ];
        for (field, config) in wrong {
            let text = config.validate().unwrap_err().to_string();
            assert!(text.contains(&format!("`{field}`")), "{field}: {text}");
        }
        assert!(ok().acks(Acks::Leader).idempotent(false).validate().is_ok());
    }
}
