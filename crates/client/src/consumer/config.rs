//! How to fetch, and where to begin.

use std::time::Duration;

use crate::Error;

/// Where a partition is read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The offset of the next record wanted.
    pub offset: i64,
    /// The leader epoch of the record before it, if known: with it, records that were truncated after an
    /// unclean election are noticed (KIP-320). Keep it with the offset wherever that is stored.
    pub leader_epoch: Option<i32>,
}

impl Position {
    /// An offset whose epoch is not known.
    pub fn at(offset: i64) -> Self {
        Self { offset, leader_epoch: None }
    }
}

/// Where to begin with a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Start {
    /// There.
    At(Position),
    /// At the first record there is.
    Earliest,
    /// After the last record there is; with [`Isolation::ReadCommitted`], after the last stable one.
    Latest,
    /// At the first record of that time or later, in milliseconds since 1970; at the end if there is none.
    Timestamp(i64),
    /// At the first record that is no older than this when it is looked for; at the end if there is none (KIP-1106).
    Ago(Duration),
}

impl From<Position> for Start {
    fn from(position: Position) -> Self {
        Self::At(position)
    }
}

/// What to do when the wanted offset is not in the log, neither at the leader nor anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ResetPolicy {
    /// Go on at the first record there is.
    Earliest,
    /// Go on after the last record there is.
    Latest,
    /// Go on at the first record that is no older than this by then; after the last one if there is none
    /// (KIP-1106, `by_duration`).
    Ago(Duration),
    /// Stop that partition with an error; the others go on. The default: records are never skipped silently.
    #[default]
    Fail,
}

/// Which records of transactions are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Isolation {
    /// All records, also of transactions that are open or were aborted. Kafka's default.
    #[default]
    ReadUncommitted,
    /// Only records of committed transactions, and none after the first open one.
    ReadCommitted,
}

impl Isolation {
    pub(crate) fn wire(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// How a [`Fetcher`](super::Fetcher) asks the brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetcherConfig {
    /// The broker answers when it has this many bytes, or when `max_wait` is over. Default: 1.
    pub min_bytes: i32,
    /// How long the broker may wait for `min_bytes`. Default: 500 ms.
    pub max_wait: Duration,
    /// The most bytes in one response. Default: 50 MiB.
    pub max_bytes: i32,
    /// The most bytes of one partition in one response. Less is asked for where a queue serves so many
    /// partitions that two such answers of each would not fit into it. Default: 1 MiB.
    pub partition_max_bytes: i32,
    /// Which records of transactions are seen. Default: all.
    pub isolation: Isolation,
    /// Whether the checksum of each batch is compared, on the thread that reads the chunk. Default: true.
    pub check_crcs: bool,
    /// How long a topic may be missing before its partitions fail with
    /// [`FetchError::TopicGone`](super::FetchError::TopicGone). Default: 30 s.
    pub missing_topic_timeout: Duration,
}

impl Default for FetcherConfig {
    fn default() -> Self {
        Self {
            min_bytes: 1,
            max_wait: Duration::from_millis(500),
            max_bytes: 50 << 20,
            partition_max_bytes: 1 << 20,
            isolation: Isolation::default(),
            check_crcs: true,
            missing_topic_timeout: Duration::from_secs(30),
        }
    }
}

macro_rules! setters {
    ($($field:ident: $ty:ty,)*) => {$(
        #[doc = concat!("Sets [`", stringify!($field), "`](#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: $ty) -> Self {
            self.$field = $field;
            self
        }
    )*};
}

impl FetcherConfig {
    setters! {
        min_bytes: i32,
        max_wait: Duration,
        max_bytes: i32,
        partition_max_bytes: i32,
        isolation: Isolation,
        check_crcs: bool,
        missing_topic_timeout: Duration,
    }

    /// The first field with a value that cannot work.
    pub fn validate(&self) -> Result<(), Error> {
        let positive = [
            ("min_bytes", self.min_bytes),
            ("max_bytes", self.max_bytes),
            ("partition_max_bytes", self.partition_max_bytes),
        ];
        for (field, value) in positive {
            if value < 1 {
                return Err(Error::config(field, value.to_string(), "at least 1 byte"));
            }
        }
        if self.max_wait > Duration::from_secs(600) {
            let value = format!("{:?}", self.max_wait);
            return Err(Error::config("max_wait", value, "10 minutes at most"));
        }
        Ok(())
    }
}
