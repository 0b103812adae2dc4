//! Settings of the cluster and of topics, with Kafka's names, defaults and checks.
//!
//! A topic's setting is its own override, else the broker's setting that gives the default (`log.retention.ms` for
//! `retention.ms`), else Kafka's default. Values are checked when they are set, so that what is stored is valid.

mod definition;

use std::collections::BTreeMap;

pub(crate) use definition::{
    BROKER_SETTINGS, Definition, Kind, Source, TOPIC_SETTINGS, broker_setting, topic_setting,
};

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No topic or broker has a setting of this name.
    #[error("unknown setting {name}: names are Kafka's, such as retention.ms or log.retention.ms")]
    Unknown {
        /// The name as given.
        name: String,
    },
    /// The value is not one that the setting takes.
    #[error("setting {name}: value {value:?} is not {expected}")]
    Invalid {
        /// The setting.
        name: String,
        /// The value as given.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
}

/// The cluster's settings: what every node would have in its `server.properties`.
#[derive(Debug, Clone, Default)]
pub(crate) struct BrokerConfig {
    overrides: BTreeMap<String, String>,
}

impl BrokerConfig {
    /// Sets one setting after checking it.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let definition =
            broker_setting(name).ok_or_else(|| ConfigError::Unknown { name: name.to_owned() })?;
        definition.check(name, value)?;
        self.overrides.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// The value in force.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let own = self.overrides.get(name).map(String::as_str);
        own.or_else(|| broker_setting(name).map(|definition| definition.default))
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.overrides.contains_key(name)
    }

    /// A number in force; `fallback` when the setting is unknown.
    pub(crate) fn number(&self, name: &str, fallback: i64) -> i64 {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or(fallback)
    }
}

/// What a topic is set to, parsed for the paths that need it often.
#[derive(Debug, Clone)]
pub(crate) struct TopicConfig {
    pub(crate) overrides: BTreeMap<String, String>,
    pub(crate) delete: bool,
    pub(crate) compact: bool,
    /// Milliseconds; negative is for ever.
    pub(crate) retention_ms: i64,
    /// Bytes per partition; negative is without limit.
    pub(crate) retention_bytes: i64,
    pub(crate) max_message_bytes: usize,
    pub(crate) append_time: bool,
    /// How far a record's own time may lie before and after the broker's, in milliseconds.
    pub(crate) timestamp_before_max_ms: i64,
    pub(crate) timestamp_after_max_ms: i64,
    pub(crate) segment_bytes: u64,
    pub(crate) segment_ms: i64,
    pub(crate) delete_retention_ms: i64,
    pub(crate) min_compaction_lag_ms: i64,
    /// Compaction runs by itself when this part of the log is new to it.
    pub(crate) min_cleanable_ratio: f64,
    pub(crate) min_insync_replicas: usize,
}

impl TopicConfig {
    /// The settings of a topic with these overrides on a cluster with those defaults.
    pub(crate) fn new(
        broker: &BrokerConfig,
        overrides: BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        for (name, value) in &overrides {
            let definition =
                topic_setting(name).ok_or_else(|| ConfigError::Unknown { name: name.clone() })?;
            definition.check(name, value)?;
        }
        let effective = |name: &str| -> String {
            let default = || topic_setting(name).map(|it| it.value_on(broker)).unwrap_or_default();
            overrides.get(name).cloned().unwrap_or_else(default)
        };
        // Checked above, or a default.
        let number = |name: &str| effective(name).parse::<i64>().unwrap_or(-1);
        let policy = effective("cleanup.policy");
        let policies: Vec<&str> = policy.split(',').map(str::trim).collect();
        Ok(Self {
            delete: policies.contains(&"delete"),
            compact: policies.contains(&"compact"),
            retention_ms: number("retention.ms"),
            retention_bytes: number("retention.bytes"),
            max_message_bytes: number("max.message.bytes").max(0) as usize,
            append_time: effective("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            segment_bytes: number("segment.bytes").max(1) as u64,
            segment_ms: number("segment.ms"),
            delete_retention_ms: number("delete.retention.ms"),
            min_compaction_lag_ms: number("min.compaction.lag.ms"),
            min_cleanable_ratio: effective("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
            min_insync_replicas: number("min.insync.replicas").max(1) as usize,
            overrides,
        })
    }
}
