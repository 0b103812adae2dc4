//! Which settings there are: name, kind, Kafka's default.

use super::{BrokerConfig, ConfigError};

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    /// Whole numbers from the first to the second.
    Int(i64, i64),
    Long(i64, i64),
    /// A fraction from 0 to 1.
    Ratio,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Some of these, separated by commas; anything when none are named.
    List(&'static [&'static str]),
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    /// The broker's setting that gives a topic's default.
    pub(crate) from_broker: Option<&'static str>,
    pub(crate) kind: Kind,
    pub(crate) default: &'static str,
}

impl Definition {
    /// The value fits the kind.
    pub(crate) fn check(&self, name: &str, value: &str) -> Result<(), ConfigError> {
        let expected = match self.kind {
            Kind::Bool if !matches!(value, "true" | "false") => "true or false",
            Kind::Int(low, high) | Kind::Long(low, high)
                if value.parse().ok().is_none_or(|it: i64| it < low || it > high) =>
            {
                "a whole number in the setting's range"
            }
            Kind::Ratio if value.parse().ok().is_none_or(|it: f64| !(0.0..=1.0).contains(&it)) => {
                "a fraction from 0 to 1"
            }
            Kind::Choice(of) if !of.contains(&value) => "one of the values that Kafka knows",
            Kind::List(of)
                if !value.split(',').all(|it| of.is_empty() || of.contains(&it.trim())) =>
            {
                "a list of values that Kafka knows"
            }
            _ => return Ok(()),
        };
        Err(ConfigError::Invalid { name: name.to_owned(), value: value.to_owned(), expected })
    }

    /// A topic's value when it has none of its own.
    pub(crate) fn value_on(&self, broker: &BrokerConfig) -> String {
        let inherited =
            self.from_broker.filter(|it| broker.is_set(it)).and_then(|it| broker.get(it));
        inherited.unwrap_or(self.default).to_owned()
    }

    /// Where a topic's value comes from: itself, the broker's settings, or Kafka's default.
    pub(crate) fn source(&self, own: bool, broker: &BrokerConfig) -> Source {
        match self.from_broker {
            _ if own => Source::Topic,
            Some(name) if broker.is_set(name) => Source::StaticBroker,
            _ => Source::Default,
        }
    }
}

/// Where a value comes from, as Kafka numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum Source {
    Topic = 1,
    StaticBroker = 4,
    Default = 5,
}

impl Kind {
    /// As Kafka numbers the types of settings.
    pub(crate) fn number(self) -> i8 {
        match self {
            Self::Bool => 1,
            Self::Choice(_) => 2,
            Self::Int(..) => 3,
            Self::Long(..) => 5,
            Self::Ratio => 6,
            Self::List(_) => 7,
        }
    }
}

/// The setting of a topic by its name.
pub(crate) fn topic_setting(name: &str) -> Option<&'static Definition> {
    TOPIC_SETTINGS.iter().find(|it| it.name == name)
}

/// The setting of a broker by its name: one of its own, or the default of a topic's.
pub(crate) fn broker_setting(name: &str) -> Option<&'static Definition> {
    let own = BROKER_SETTINGS.iter().find(|it| it.name == name);
    own.or_else(|| TOPIC_SETTINGS.iter().find(|it| it.from_broker == Some(name)))
}

const fn topic(
    name: &'static str,
    from_broker: &'static str,
    kind: Kind,
    default: &'static str,
) -> Definition {
    let from_broker = if from_broker.is_empty() { None } else { Some(from_broker) };
    Definition { name, from_broker, kind, default }
}

const fn broker(name: &'static str, kind: Kind, default: &'static str) -> Definition {
    Definition { name, from_broker: None, kind, default }
}

const I32: i64 = i32::MAX as i64;
const I64: i64 = i64::MAX;
const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

/// Every setting that a topic of Kafka 4 has; those that mean nothing here are kept and shown.
pub(crate) const TOPIC_SETTINGS: &[Definition] = &[
    topic("cleanup.policy", "log.cleanup.policy", Kind::List(&["compact", "delete"]), "delete"),
    topic("compression.gzip.level", "compression.gzip.level", Kind::Int(-1, 9), "-1"),
    topic("compression.lz4.level", "compression.lz4.level", Kind::Int(1, 17), "9"),
    topic("compression.type", "compression.type", Kind::Choice(CODECS), "producer"),
    topic("compression.zstd.level", "compression.zstd.level", Kind::Int(-131_072, 22), "3"),
    topic("delete.retention.ms", "log.cleaner.delete.retention.ms", Kind::Long(0, I64), "86400000"),
    topic("file.delete.delay.ms", "log.segment.delete.delay.ms", Kind::Long(0, I64), "60000"),
    topic(
        "flush.messages",
        "log.flush.interval.messages",
        Kind::Long(1, I64),
        "9223372036854775807",
    ),
    topic("flush.ms", "log.flush.interval.ms", Kind::Long(0, I64), "9223372036854775807"),
    topic("follower.replication.throttled.replicas", "", Kind::List(&[]), ""),
    topic("index.interval.bytes", "log.index.interval.bytes", Kind::Int(0, I32), "4096"),
    topic("leader.replication.throttled.replicas", "", Kind::List(&[]), ""),
    topic("local.retention.bytes", "log.local.retention.bytes", Kind::Long(-2, I64), "-2"),
    topic("local.retention.ms", "log.local.retention.ms", Kind::Long(-2, I64), "-2"),
    topic(
        "max.compaction.lag.ms",
        "log.cleaner.max.compaction.lag.ms",
        Kind::Long(1, I64),
        "9223372036854775807",
    ),
    topic("max.message.bytes", "message.max.bytes", Kind::Int(0, I32), "1048588"),
    topic(
        "message.timestamp.after.max.ms",
        "log.message.timestamp.after.max.ms",
        Kind::Long(0, I64),
        "3600000",
    ),
    topic(
        "message.timestamp.before.max.ms",
        "log.message.timestamp.before.max.ms",
        Kind::Long(0, I64),
        "9223372036854775807",
    ),
    topic(
        "message.timestamp.type",
        "log.message.timestamp.type",
        Kind::Choice(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
    ),
    topic("min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio", Kind::Ratio, "0.5"),
    topic("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", Kind::Long(0, I64), "0"),
    topic("min.insync.replicas", "min.insync.replicas", Kind::Int(1, I32), "1"),
    topic("preallocate", "log.preallocate", Kind::Bool, "false"),
    topic("remote.log.copy.disable", "", Kind::Bool, "false"),
    topic("remote.log.delete.on.disable", "", Kind::Bool, "false"),
    topic("remote.storage.enable", "", Kind::Bool, "false"),
    topic("retention.bytes", "log.retention.bytes", Kind::Long(-1, I64), "-1"),
    topic("retention.ms", "log.retention.ms", Kind::Long(-1, I64), "604800000"),
    topic("segment.bytes", "log.segment.bytes", Kind::Int(14, I32), "1073741824"),
    topic("segment.index.bytes", "log.index.size.max.bytes", Kind::Int(4, I32), "10485760"),
    topic("segment.jitter.ms", "log.roll.jitter.ms", Kind::Long(0, I64), "0"),
    topic("segment.ms", "log.roll.ms", Kind::Long(1, I64), "604800000"),
    topic("unclean.leader.election.enable", "unclean.leader.election.enable", Kind::Bool, "false"),
];

/// Settings of the broker itself that mean something here.
pub(crate) const BROKER_SETTINGS: &[Definition] = &[
    broker("auto.create.topics.enable", Kind::Bool, "false"),
    broker("default.replication.factor", Kind::Int(1, 32767), "1"),
    broker("delete.topic.enable", Kind::Bool, "true"),
    broker("group.initial.rebalance.delay.ms", Kind::Int(0, I32), "0"),
    broker("group.max.session.timeout.ms", Kind::Int(1, I32), "1800000"),
    broker("group.max.size", Kind::Int(1, I32), "2147483647"),
    broker("group.min.session.timeout.ms", Kind::Int(1, I32), "6000"),
    broker("log.cleaner.backoff.ms", Kind::Long(0, I64), "15000"),
    broker("log.retention.check.interval.ms", Kind::Long(1, I64), "300000"),
    broker("max.incremental.fetch.session.cache.slots", Kind::Int(0, I32), "1000"),
    broker("num.partitions", Kind::Int(1, I32), "1"),
    broker("offset.metadata.max.bytes", Kind::Int(0, I32), "4096"),
    broker("offsets.retention.minutes", Kind::Int(1, I32), "10080"),
    broker("offsets.topic.num.partitions", Kind::Int(1, I32), "50"),
    broker("producer.id.expiration.ms", Kind::Int(1, I32), "86400000"),
    broker("socket.request.max.bytes", Kind::Int(1, I32), "104857600"),
    broker("transactional.id.expiration.ms", Kind::Int(1, I32), "604800000"),
    broker("transaction.max.timeout.ms", Kind::Int(1, I32), "900000"),
    broker("transaction.state.log.num.partitions", Kind::Int(1, I32), "50"),
];
