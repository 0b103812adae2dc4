//! What can go wrong, in types. Each message names the API, broker, topic, partition or group concerned
//! and says what to do next; whatever waiting can cure has been retried until the call's time was up.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use roka_protocol::{ApiKey, ErrorCode};

use crate::security::SecurityError;
use crate::{Address, NodeId};

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field of a configuration has a value that cannot work.
    #[error("config `{field}` is `{value}`: it must be {expected}")]
    Config {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// The client was closed while, or before, the call ran.
    #[error("the client is closed: make a new one")]
    Closed,
    /// The I/O thread could not be started.
    #[error("the I/O thread cannot start: {0}; free some threads or memory")]
    Thread(Arc<io::Error>),
    /// The time for the call is up; `last` is what its last attempt met.
    #[error("{operation} was given up after {after:?}{}", Last(last.as_deref()))]
    Timeout {
        /// What was tried.
        operation: String,
        /// How long.
        after: Duration,
        /// Why the last attempt failed; none if there was no answer at all.
        last: Option<Box<Error>>,
    },
    /// A broker could not be reached or did not answer as it must.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A broker refused the call, and repeating it does not help.
    #[error("{api} for {subject} was refused: {code}{}", Detail(detail.as_deref()))]
    Refused {
        /// The API.
        api: ApiKey,
        /// What it was about.
        subject: Subject,
        /// Kafka's error code.
        code: ErrorCode,
        /// The broker's own words, if it gave any.
        detail: Option<Arc<str>>,
    },
    /// The broker is too old for what was asked.
    #[error("{feature} needs {need}, broker {node} has {have}: upgrade it or do without")]
    BrokerTooOld {
        /// What was asked.
        feature: &'static str,
        /// What it needs, e.g. `CreateTopics v2`.
        need: String,
        /// What the broker has, e.g. `v0 to v1`.
        have: String,
        /// The broker.
        node: NodeId,
    },
    /// A response lacks an item that was asked for.
    #[error(
        "{api}: the response of the broker says nothing about {subject}: report it to the broker's maker"
    )]
    Missing {
        /// The API.
        api: ApiKey,
        /// What was asked for.
        subject: Subject,
    },
    /// The topic has no such partition.
    #[error("topic {topic} has no partition {partition}: it has {partitions}")]
    NoSuchPartition {
        /// The topic.
        topic: Arc<str>,
        /// What was asked for.
        partition: i32,
        /// How many it has.
        partitions: i32,
    },
}

/// What a refused call was about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// The cluster as a whole.
    Cluster,
    /// A broker.
    Node(NodeId),
    /// A topic.
    Topic(Arc<str>),
    /// A partition.
    Partition(Arc<str>, i32),
    /// A consumer group.
    Group(Arc<str>),
    /// A partition's offset in a consumer group.
    GroupOffset {
        /// The group.
        group: Arc<str>,
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
    },
    /// A transactional id.
    Transaction(Arc<str>),
    /// Anything else that has a name: a config resource, a principal.
    Other(Arc<str>),
}

/// Why one request got no usable response from one broker. Nothing is known of its effect unless `sent`
/// says that not a byte of it left.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The broker could not be dialled, or spoke no Kafka.
    #[error(
        "broker {node} at {address} cannot be reached: {problem}; check that it runs and that this address is right from here"
    )]
    Connect {
        /// The broker.
        node: NodeId,
        /// Where it should listen.
        address: Address,
        /// What the dial met.
        problem: Arc<str>,
        /// False if it was not dialled this time, because the last dial failed a moment ago.
        dialled: bool,
    },
    /// The broker can be reached, but broker and client do not trust each other.
    #[error("broker {node} at {address}: {error}")]
    Security {
        /// The broker.
        node: NodeId,
        /// Where it listens.
        address: Address,
        /// What is wrong.
        error: Arc<SecurityError>,
        /// False if it was not dialled this time, because the last dial failed a moment ago.
        dialled: bool,
    },
    /// The metadata names no such broker (any more).
    #[error("broker {node} is not part of the cluster: ask for metadata and take another")]
    UnknownNode {
        /// The broker.
        node: NodeId,
    },
    /// The connection ended before the response came.
    #[error("{api}: broker {node} closed the connection{}: {problem}", if *sent { "" } else { " before the request left" })]
    Disconnected {
        /// The broker.
        node: NodeId,
        /// The API.
        api: ApiKey,
        /// Whether any byte of the request may have reached the broker.
        sent: bool,
        /// What ended it.
        problem: Arc<str>,
    },
    /// No response in time; the connection is closed, so that order holds for what follows.
    #[error("{api}: broker {node} did not answer within {after:?}; the connection was closed")]
    Timeout {
        /// The broker.
        node: NodeId,
        /// The API.
        api: ApiKey,
        /// How long it was waited for.
        after: Duration,
    },
    /// Broker and client have no version of the API in common.
    #[error("{api} needs version {} or later, broker {node} has {}", need.0, Range(*have))]
    UnsupportedVersion {
        /// The broker.
        node: NodeId,
        /// The API.
        api: ApiKey,
        /// Lowest and highest version that would do.
        need: (i16, i16),
        /// Lowest and highest version of the broker; none if it does not know the API.
        have: Option<(i16, i16)>,
    },
    /// The request cannot be written in the version that the broker speaks, or the response cannot be read.
    #[error("{api} with broker {node}: {problem}")]
    Malformed {
        /// The broker.
        node: NodeId,
        /// The API.
        api: ApiKey,
        /// What is wrong with the bytes.
        problem: Arc<str>,
    },
    /// Too many requests wait on the connection (`requests_in_flight_max`).
    #[error("{api}: too many requests wait for broker {node}: send fewer at a time")]
    Busy {
        /// The broker.
        node: NodeId,
        /// The API.
        api: ApiKey,
    },
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl SendError {
    /// Whether another attempt, maybe at another broker, can succeed.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::UnknownNode { .. }
            | Self::Disconnected { .. }
            | Self::Timeout { .. }
            | Self::Busy { .. } => true,
            Self::Security { .. }
            | Self::UnsupportedVersion { .. }
            | Self::Malformed { .. }
            | Self::Closed => false,
        }
    }

    /// Whether the broker may have acted on the request.
    pub fn maybe_done(&self) -> bool {
        match self {
            Self::Disconnected { sent, .. } => *sent,
            Self::Timeout { .. } | Self::Malformed { .. } => true,
            _ => false,
        }
    }
}

impl Error {
    /// A wrong value of a configuration's field; `expected` completes "it must be …".
    pub fn config(
        field: &'static str,
        value: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Config { field, value: value.into(), expected: expected.into() }
    }

    /// A refusal without the broker's own words.
    pub(crate) fn refused(api: ApiKey, subject: Subject, code: ErrorCode) -> Self {
        Self::Refused { api, subject, code, detail: None }
    }

    /// Kafka's error code, if a broker gave one; that of the last attempt if time ran out.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Timeout { last, .. } => last.as_ref()?.code(),
            _ => None,
        }
    }

    /// What is wrong with trust or credentials, if that is it; that of the last attempt if time ran out.
    pub fn security(&self) -> Option<&SecurityError> {
        match self {
            Self::Send(SendError::Security { error, .. }) => Some(error.as_ref()),
            Self::Timeout { last, .. } => last.as_ref()?.security(),
            _ => None,
        }
    }

    /// An unsupported version said in terms of the feature that needs it; other errors as they are.
    pub(crate) fn for_feature(self, feature: &'static str) -> Self {
        match self {
            Self::Send(SendError::UnsupportedVersion { node, api, need, have }) => {
                let need = format!("{api} v{}", need.0);
                Self::BrokerTooOld { feature, need, have: Range(have).to_string(), node }
            }
            other => other,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => write!(f, "the cluster"),
            Self::Node(node) => write!(f, "broker {node}"),
            Self::Topic(topic) => write!(f, "topic {topic}"),
            Self::Partition(topic, partition) => write!(f, "partition {topic}/{partition}"),
            Self::Group(group) => write!(f, "group {group}"),
            Self::GroupOffset { group, topic, partition } => {
                write!(f, "group {group}, partition {topic}/{partition}")
            }
            Self::Transaction(id) => write!(f, "transactional id {id}"),
            Self::Other(name) => write!(f, "{name}"),
        }
    }
}

struct Last<'a>(Option<&'a Error>);

impl fmt::Display for Last<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(error) => write!(f, "; the last attempt met: {error}"),
            None => write!(f, ": no broker answered; check `bootstrap` and the network"),
        }
    }
}

struct Detail<'a>(Option<&'a str>);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

struct Range(Option<(i16, i16)>);

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((low, high)) => write!(f, "v{low} to v{high}"),
            None => write!(f, "no version of it"),
        }
    }
}
