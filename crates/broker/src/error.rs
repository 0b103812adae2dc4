//! What can go wrong with a cluster as such; what goes wrong with a request is in its response.

use std::io;

use roka_protocol::ErrorCode;

use crate::config::ConfigError;

/// A cluster that cannot be started or commanded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Certificates or key of the listeners cannot be used.
    #[error("TLS: {0}: give PEM text of a certificate and of its key")]
    Tls(String),
    /// A setting given to the builder.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The number of nodes.
    #[error("{0} nodes: a cluster has 1 to 100")]
    Nodes(usize),
    /// The level of the feature `transaction.version`.
    #[error("transaction version {0}: there are 0, 1 and 2")]
    TransactionVersion(i16),
    /// A port cannot be taken.
    #[error("node {node} cannot listen on {address}: {source}")]
    Listen {
        /// The node.
        node: i32,
        /// What it was to listen on.
        address: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The data folder, or the system's threads.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A command names a node that the cluster lacks.
    #[error("node {0} is not in the cluster")]
    UnknownNode(i32),
    /// A node is to be added under the id of another.
    #[error("node {0} is in the cluster already: remove it, or take another id")]
    NodeExists(i32),
    /// A command names a topic that the cluster lacks.
    #[error("topic {topic} partition {partition} does not exist")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// A release that nodes cannot pretend to be.
    #[error("release {name} is unknown: nodes can be {known}")]
    UnknownRelease {
        /// The name as given.
        name: String,
        /// Those that are known.
        known: String,
    },
    /// A command that Kafka would refuse too.
    #[error("topic {topic}: {error}: {text}")]
    Refused {
        /// The topic.
        topic: String,
        /// Kafka's code.
        error: ErrorCode,
        /// Why.
        text: String,
    },
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
