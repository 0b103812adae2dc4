//! Every setting of processors, emitters and views, with its default and its unit.

use std::{path::PathBuf, time::Duration};

use crate::{
    ConfigError, Hasher, Isolation, Start,
    security::{SaslConfig, TlsConfig},
};

/// Where the rows of tables are kept on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum StoreKind {
    /// [`SledStore`](crate::SledStore)s below [`Config::state_dir`]: sled keeps the index on disk too,
    /// so that a table may have more rows than memory can name. The default.
    #[default]
    Sled,
    /// [`LogStore`](crate::LogStore)s below [`Config::state_dir`]: 20 bytes of memory for each row, and
    /// a write costs about a tenth of sled's.
    Log,
    /// Memory only: after a restart tables are read back from their changelogs.
    Memory,
}

/// How the members of a group share its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Assignment {
    /// Evenly; partitions stay where they are, or go where their local state is; members that keep theirs
    /// process on during a rebalance. The default. All members must be Roka's.
    #[default]
    Sticky,
    /// As Goka does it, so that Goka's processors can be in the group: every rebalance stops all members.
    Goka,
}

/// The settings of a processor, an emitter or a view.
///
/// ```
/// use roka::{Config, StoreKind};
///
/// let config = Config { store: StoreKind::Memory, ..Config::new(["localhost:9092"]) };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Brokers to begin with, `host:port`. The others are found through them.
    pub brokers: Vec<String>,
    /// Whether and how connections are encrypted. Default: none, plain text.
    pub tls: Option<TlsConfig>,
    /// Who we are, for listeners with SASL. Default: none.
    pub sasl: Option<SaslConfig>,
    /// Name under which the brokers log us. Default: `roka`.
    pub client_id: String,
    /// Name of this instance among the members of its group, for static membership: it keeps its
    /// partitions over a restart. Default: none, membership is dynamic.
    pub instance_id: Option<String>,
    /// Folder for local state, one folder per group below it. Default: `roka` in the user's data
    /// folder (`$XDG_DATA_HOME`, else `~/.local/share`), `./roka-state` where there is no home.
    /// Never a folder for temporary files: those are wiped at a reboot, and shared by users.
    pub state_dir: PathBuf,
    /// Where rows are kept. Default: [`StoreKind::Sled`].
    pub store: StoreKind,
    /// Threads that run callbacks; partitions are spread over them. Default: the number of cores.
    pub workers: usize,
    /// The longest time between commits. Default: 1 s.
    pub commit_interval: Duration,
    /// A commit begins earlier when this many bytes of inputs were processed since the last.
    /// Default: 64 MiB.
    pub commit_bytes: usize,
    /// Memory for clean table rows of a processor, over all its partitions, in bytes. Rows that are
    /// not yet committed or stored come on top. Default: 64 MiB.
    pub cache_bytes_max: usize,
    /// Rows that are committed may wait this long before they are written to the local store, so
    /// that a row that changes often is written once. A crash costs that much more to read back.
    /// Default: 30 s.
    pub store_interval: Duration,
    /// Rows that wait for the local store are written earlier when they are more than this, over
    /// all partitions of a worker. Default: 200 000.
    pub store_rows_max: usize,
    /// Replicas of topics that are created. Default: -1, the brokers' default.
    pub replication: i16,
    /// How long the loop topic keeps messages where it is created. Default: 7 days; `None` keeps
    /// them for ever. Goka's hour loses messages when a group is down longer; for ever would fill
    /// the brokers' disks with messages that were processed long ago.
    pub loop_retention: Option<Duration>,
    /// How a key decides its partition. Default: [`Hasher::Fnv1a`], as Goka.
    pub hasher: Hasher,
    /// Where a group starts on partitions without a committed offset. Default: [`Start::Earliest`].
    pub start: Start,
    /// Which records of transactions are seen: by inputs, joins, lookups and views. With
    /// [`Isolation::ReadCommitted`] nothing after the first open transaction of a partition is read, and a table is
    /// complete where that begins. Default: [`Isolation::ReadUncommitted`], as in Kafka and Goka.
    pub isolation: Isolation,
    /// How long a member may be silent before its partitions go to others. Default: 45 s.
    pub session_timeout: Duration,
    /// How long members may take to give up partitions in a rebalance. Default: 60 s.
    pub rebalance_timeout: Duration,
    /// How partitions are shared among the members of a group. Default: [`Assignment::Sticky`].
    pub assignment: Assignment,
    /// Whether rows in the changelog say, in a header of some 30 bytes, which inputs they include. With it an input never
    /// counts twice in the table after a crash, though what it emits may be repeated; without it, or on
    /// brokers before 0.11, which have no headers, it may. Goka and others ignore the header. Default: true.
    pub changelog_marks: bool,
    /// How long to wait for a broker when a processor starts, and for as many brokers as the topics that it creates need
    /// for their replicas. Afterwards brokers are waited for without limit. Default: 60 s.
    pub start_timeout: Duration,
    /// How long a producer waits to fill a batch. Default: 5 ms.
    pub linger: Duration,
    /// How long a write may go unacknowledged before it is given up. A processor then begins again from what is
    /// committed, and goes on doing so until brokers take writes again; an emitter gives the error. Default: 2 min, as
    /// Kafka's `delivery.timeout.ms`.
    pub delivery_timeout: Duration,
}

impl Config {
    /// The defaults, with these brokers.
    pub fn new(brokers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            brokers: brokers.into_iter().map(Into::into).collect(),
            tls: None,
            sasl: None,
            client_id: "roka".to_owned(),
            instance_id: None,
            state_dir: default_state_dir(),
            store: StoreKind::default(),
            workers: cores,
            commit_interval: Duration::from_secs(1),
            commit_bytes: 64 << 20,
            cache_bytes_max: 64 << 20,
            store_interval: Duration::from_secs(30),
            store_rows_max: 200_000,
            replication: -1,
            loop_retention: Some(Duration::from_secs(7 * 24 * 3600)),
            hasher: Hasher::default(),
            start: Start::default(),
            isolation: Isolation::default(),
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(60),
            assignment: Assignment::default(),
            changelog_marks: true,
            start_timeout: Duration::from_secs(60),
            linger: Duration::from_millis(5),
            delivery_timeout: Duration::from_secs(120),
        }
    }

    /// The part of it that a client of one's own needs, to make topics for example.
    ///
    /// ```
    /// let config = roka::Config::new(["localhost:9092"]);
    /// let client = roka_client::Client::new(config.client()).unwrap();
    /// ```
    pub fn client(&self) -> roka_client::Config {
        roka_client::Config::from_addresses(self.brokers.iter().cloned())
            .client_id(self.client_id.clone())
            .tls(self.tls.clone())
            .sasl(self.sasl.clone())
    }

    /// Checks every field. Processors, emitters and views do this when they are made.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for broker in &self.brokers {
            let port = broker.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            check(
                port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0)),
                "brokers",
                broker,
                "must be host:port, with a port from 1 to 65535",
            )?;
        }
        check(!self.brokers.is_empty(), "brokers", "[]", "must name at least one broker")?;
        check(!self.client_id.is_empty(), "client_id", "\"\"", "must not be empty")?;
        let instance = self.instance_id.as_deref().unwrap_or("-");
        check(!instance.is_empty(), "instance_id", "\"\"", "must not be empty if it is set")?;
        let state_dir = self.state_dir.as_os_str();
        check(
            self.store == StoreKind::Memory || !state_dir.is_empty(),
            "state_dir",
            "\"\"",
            "must name a folder",
        )?;
        check((1..=1024).contains(&self.workers), "workers", self.workers, "must be 1 to 1024")?;
        check(
            self.replication == -1 || self.replication > 0,
            "replication",
            self.replication,
            "must be positive, or -1 for the brokers' default",
        )?;
        let retention = self.loop_retention.unwrap_or(Duration::MAX);
        positive("loop_retention", retention)?;
        positive("commit_interval", self.commit_interval)?;
        check(self.commit_bytes > 0, "commit_bytes", self.commit_bytes, "must be positive")?;
        check(self.store_rows_max > 0, "store_rows_max", self.store_rows_max, "must be positive")?;
        positive("start_timeout", self.start_timeout)?;
        let session = self.session_timeout;
        check(
            (Duration::from_secs(1)..=Duration::from_secs(30 * 60)).contains(&session),
            "session_timeout",
            format_args!("{session:?}"),
            "must be 1 s to 30 min",
        )?;
        let rebalance = self.rebalance_timeout;
        check(
            rebalance >= Duration::from_secs(1) && rebalance < Duration::from_secs(24 * 3600),
            "rebalance_timeout",
            format_args!("{rebalance:?}"),
            "must be 1 s to 24 h",
        )?;
        let linger = self.linger;
        check(
            linger <= Duration::from_secs(60),
            "linger",
            format_args!("{linger:?}"),
            "must be at most 1 min",
        )?;
        let delivery = self.delivery_timeout;
        check(
            delivery > linger,
            "delivery_timeout",
            format_args!("{delivery:?}"),
            "must be longer than linger",
        )
    }
}

fn positive(field: &'static str, value: Duration) -> Result<(), ConfigError> {
    check(!value.is_zero(), field, format_args!("{value:?}"), "must be positive")
}

fn check(
    holds: bool,
    field: &'static str,
    value: impl std::fmt::Display,
    reason: &'static str,
) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError { field, value: value.to_string(), reason }) }
}

fn default_state_dir() -> PathBuf {
    let folder =
        |name| std::env::var_os(name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    folder("XDG_DATA_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/share")))
        .map_or_else(|| PathBuf::from("roka-state"), |folder| folder.join("roka"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::new(["localhost:9092"]);
        config.validate().unwrap();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn errors_name_field_and_value() {
        assert_eq!(
            refused(|config| config.brokers = vec!["localhost".into()]),
            "config: brokers = localhost: must be host:port, with a port from 1 to 65535"
        );
        assert!(refused(|config| config.brokers.clear()).contains("brokers"));
        assert!(refused(|config| config.brokers = vec![":1".into()]).contains("brokers"));
        assert!(refused(|config| config.workers = 0).contains("workers = 0"));
        assert!(refused(|config| config.replication = 0).contains("replication = 0"));
        assert!(refused(|config| config.commit_interval = Duration::ZERO).contains("0ns"));
        assert!(refused(|config| config.session_timeout = Duration::ZERO).contains("session"));
    }
}
