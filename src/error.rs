//! What can go wrong, typed, each with the place where it went wrong.
//!
//! Callbacks return [`Result`], whose error is boxed so that `?` takes any error of the user's own.
//! Everything the framework itself finds wrong is one of the enums here.

use std::{fmt, path::PathBuf};

/// The error of a callback or a codec: any error at all.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The result of a callback or a codec.
pub type Result<T = (), E = BoxError> = std::result::Result<T, E>;

/// A graph that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The group has no name, or one that Kafka does not take as part of a topic name.
    #[error("group name {name:?} is not valid: use letters, digits, '.', '_' and '-'")]
    GroupName {
        /// The name as given.
        name: String,
    },
    /// A topic name that Kafka does not take.
    #[error(
        "group {group}: topic name {topic:?} is not valid: use 1 to 249 letters, digits, '.', '_' and '-'"
    )]
    TopicName {
        /// The group of the graph.
        group: String,
        /// The name as given.
        topic: String,
    },
    /// Nothing would ever be processed.
    #[error("group {group} has no input: call `input`, `input_async` or `on_loop`")]
    NoInput {
        /// The group of the graph.
        group: String,
    },
    /// One topic has two callbacks.
    #[error("group {group} consumes topic {topic} twice: give it one callback")]
    ConsumedTwice {
        /// The group of the graph.
        group: String,
        /// The topic.
        topic: String,
    },
    /// The group's own table or loop topic is used as if it were somebody else's.
    #[error(
        "group {group} lists its own topic {topic} as {edge}: use the context's table methods or `loopback`"
    )]
    OwnTopic {
        /// The group of the graph.
        group: String,
        /// The topic.
        topic: String,
        /// As what it was listed: `input`, `output`, `join` or `lookup`.
        edge: &'static str,
    },
    /// The loop was declared more than once.
    #[error("group {group} declares its loop more than once: declare it once and copy the handle")]
    TwoLoops {
        /// The group of the graph.
        group: String,
    },
    /// The loop was declared, but nothing consumes it.
    #[error("group {group} declares a loop without a callback: call `on_loop`")]
    LoopWithoutCallback {
        /// The group of the graph.
        group: String,
    },
    /// A table is joined or looked up twice.
    #[error("group {group} declares the {edge} of table {topic} twice: copy the handle instead")]
    TableTwice {
        /// The group of the graph.
        group: String,
        /// The topic.
        topic: String,
        /// `join` or `lookup`.
        edge: &'static str,
    },
}

/// A setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("config: {field} = {value}: {reason}")]
pub struct ConfigError {
    /// The field's name.
    pub field: &'static str,
    /// The value as given.
    pub value: String,
    /// What the value must be.
    pub reason: &'static str,
}

/// A local store that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process, or another processor of this one, has the store open.
    #[error(
        "the store in {} is in use: another processor runs on this state directory; \
         give each its own `state_dir`",
        path.display()
    )]
    Locked {
        /// The store's folder.
        path: PathBuf,
    },
    /// The store's files do not hold what was written to them.
    #[error(
        "the store in {} is corrupt ({detail}): delete this folder, the table is then read back \
         from its changelog",
        path.display()
    )]
    Corrupt {
        /// The store's folder.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The store was written by a version of the framework with another format.
    #[error(
        "the store in {} has format {found}, this version reads format {expected}: delete this \
         folder, the table is then read back from its changelog",
        path.display()
    )]
    Format {
        /// The store's folder.
        path: PathBuf,
        /// The format found.
        found: String,
        /// The format this version reads and writes.
        expected: u32,
    },
    /// Reading or writing failed.
    #[error("the store in {}: {action} failed: {source}", path.display())]
    Io {
        /// The store's folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The store was used after it was closed.
    #[error("the store in {} is closed", path.display())]
    Closed {
        /// The store's folder.
        path: PathBuf,
    },
}

/// Which step of processing a record failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The record's key could not be decoded.
    Key,
    /// The record's value could not be decoded.
    Value,
    /// The callback returned an error.
    Callback,
    /// The callback panicked. No policy covers this: the processor ends.
    Panic,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Value => "value",
            Self::Callback => "callback",
            Self::Panic => "panic",
        })
    }
}

/// A record that could not be processed.
///
/// Displays as `topic/partition@offset: reason`.
#[derive(Debug)]
pub struct RecordError {
    /// The group that processed the record.
    pub group: String,
    /// The record's topic.
    pub topic: String,
    /// The record's partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// The record's key as text, shortened to 64 characters.
    pub key: String,
    /// The step that failed.
    pub stage: Stage,
    /// Why it failed.
    pub source: BoxError,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}: ", self.topic, self.partition, self.offset)?;
        match self.stage {
            Stage::Key => write!(f, "cannot decode the key {:?}: ", self.key)?,
            Stage::Value => write!(f, "cannot decode the value of key {:?}: ", self.key)?,
            Stage::Callback => {}
            Stage::Panic => write!(f, "the callback panicked on key {:?}: ", self.key)?,
        }
        self.source.fmt(f)
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}
