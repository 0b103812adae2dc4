//! Why a processor ended.

use std::fmt;

use roka_client::{TopicPartition, consumer::FetchError, group::GroupError};

use super::topics::TopicError;
use crate::{BoxError, ConfigError, GraphError, RecordError, StoreError};

/// Why a processor could not start, or ended by itself. Brokers that fail, move or restart are no reason: a processor
/// waits for them. Nothing of what is named here goes away by waiting.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ProcessorError {
    /// The graph contradicts itself.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No broker could be reached when the processor started.
    #[error("no broker could be reached at {} within {waited:.1?}: {reason}", brokers.join(", "))]
    NoBroker {
        /// The addresses that were tried.
        brokers: Vec<String>,
        /// How long.
        waited: std::time::Duration,
        /// What the last attempt met.
        reason: String,
    },
    /// The topics cannot carry the graph.
    #[error(transparent)]
    Topics(#[from] TopicError),
    /// A record could not be processed, and its input's policy is to fail.
    #[error("cannot process a record: {0}")]
    Record(#[from] RecordError),
    /// A callback's effects cannot be written.
    #[error("cannot write to {topic}: {source}")]
    Write {
        /// The output, loop or table topic.
        topic: String,
        /// Why.
        source: BoxError,
    },
    /// A row of a table cannot be encoded, decoded or kept.
    #[error("table {table}: {source}")]
    Table {
        /// The table's topic and partition.
        table: TopicPartition,
        /// Why.
        source: BoxError,
    },
    /// The local store of a table cannot be used.
    #[error("table {table}: {source}")]
    Store {
        /// The table's topic and partition.
        table: TopicPartition,
        /// Why.
        source: StoreError,
    },
    /// A partition cannot be read on.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The processor cannot be in its group.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The cluster refuses something that the processor needs.
    #[error("{action}: {source}")]
    Refused {
        /// What was asked for.
        action: String,
        /// The cluster's answer.
        source: roka_client::Error,
    },
    /// A thread could not be started, or ended on its own.
    #[error("thread {name}: {reason}")]
    Thread {
        /// The thread's name.
        name: &'static str,
        /// What happened.
        reason: String,
    },
}

/// The message: `main` shows the error it returns by [`Debug`](fmt::Debug), and names of fields help no user.
impl fmt::Debug for ProcessorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
