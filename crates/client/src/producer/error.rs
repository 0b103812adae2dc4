//! What can go wrong with records. Each error names topic and partition, and says what to do next; what waiting can
//! cure has been retried until the delivery timeout.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use roka_protocol::records::RecordError;
use roka_protocol::{ErrorCode, Uuid};

use crate::{Error, SendError};

/// Why records were not delivered, or not provably so.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// The broker refused the batch, and would refuse it again. Nothing of it was written.
    #[error("{records} records for {topic}/{partition} were refused: {code}{}", Detail(detail.as_deref()))]
    Refused {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// Kafka's error code.
        code: ErrorCode,
        /// How many records the batch had.
        records: i32,
        /// The broker's own words, if it gave any.
        detail: Option<Arc<str>>,
    },
    /// The delivery timeout is over. If the batch was sent at all, `maybe_written` is true: it may be in the log.
    #[error(
        "{records} records for {topic}/{partition} were not delivered within {timeout:?}{}{}",
        if *maybe_written { " (they may have been written all the same)" } else { "" },
        Last(last.as_deref()),
    )]
    DeliveryTimeout {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// The configured `delivery_timeout`.
        timeout: Duration,
        /// How many records the batch had.
        records: i32,
        /// Whether the batch was sent at least once.
        maybe_written: bool,
        /// What stood in the way last.
        last: Option<Box<Obstacle>>,
    },
    /// The broker that leads the partition is too old for what the batch needs.
    #[error(
        "{topic}/{partition}: {feature} needs Produce v{need}, broker {node} has v{have}: upgrade it or do without"
    )]
    BrokerTooOld {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// What the batch needs.
        feature: &'static str,
        /// Since which version of Produce brokers have it.
        need: i16,
        /// The version that the broker speaks.
        have: i16,
        /// The broker.
        node: crate::NodeId,
    },
    /// A record cannot be put into a batch.
    #[error("record for {topic}/{partition}: {source}")]
    Record {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A record is larger than `request_bytes_max`.
    #[error(
        "a record for {topic}/{partition} takes {size} bytes, the limit `request_bytes_max` is {max}: \
         raise it, and the broker's max.message.bytes, or send less"
    )]
    TooLarge {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// Its size in a batch of its own, at most.
        size: usize,
        /// The limit.
        max: usize,
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
    /// The producer or its client was closed before the records were delivered.
    #[error("{topic}/{partition}: the producer was closed before the records were delivered")]
    Closed {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
    },
    /// The topic was deleted and created again while the records were on their way. Some of them may be in either; what
    /// is sent from now on goes to the new one.
    #[error(
        "{records} records for {topic}/{partition} were dropped: the topic was deleted and created again (id {was}, now {is}); \
         send them again if they belong into the new one"
    )]
    TopicRecreated {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// How many records the batch had.
        records: i32,
        /// The id of the topic that they were sent to.
        was: Uuid,
        /// The id of the topic that has its name now.
        is: Uuid,
    },
    /// A transactional producer takes records only while a transaction is open that has not failed.
    #[error("{topic}/{partition}: no transaction is open: begin one, or abort the one that failed")]
    NoTransaction {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
    },
    /// The transaction that the records belonged to is aborted: nobody who reads what is committed sees them.
    #[error("{records} records for {topic}/{partition} were dropped: their transaction is aborted")]
    Aborted {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// How many records the batch had.
        records: i32,
    },
    /// The client could not do what the producer needed from it.
    #[error(transparent)]
    Client(#[from] Error),
}

/// Why a record was not taken. Nothing of it was kept.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TrySendError {
    /// The memory for records (`buffer_bytes_max`) is used up: try again when something was delivered, or `send`.
    #[error("the producer's buffer of {max} bytes is full: wait until records are delivered")]
    Full {
        /// The limit.
        max: usize,
    },
    /// Waiting does not help.
    #[error(transparent)]
    Failed(#[from] ProduceError),
}

/// What kept a batch from being delivered.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// The broker said so.
    #[error("{0}")]
    Code(ErrorCode),
    /// The broker could not be reached, or did not answer.
    #[error(transparent)]
    Send(SendError),
    /// The partition has no leader.
    #[error("the partition has no leader")]
    Leaderless,
    /// The broker's answer did not name the partition.
    #[error("the broker's answer says nothing about the partition")]
    Unanswered,
    /// No producer id could be had.
    #[error("no producer id: {0}")]
    NoIdentity(Arc<Error>),
}

impl ProduceError {
    /// Kafka's error code, if a broker gave one; that of the last attempt if time ran out.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::DeliveryTimeout { last: Some(last), .. } => match **last {
                Obstacle::Code(code) => Some(code),
                Obstacle::Leaderless => Some(ErrorCode::LEADER_NOT_AVAILABLE),
                _ => None,
            },
            Self::Client(error) => error.code(),
            _ => None,
        }
    }

    /// The topic and partition concerned, if it is about one.
    pub fn partition(&self) -> Option<(&str, i32)> {
        match self {
            Self::Refused { topic, partition, .. }
            | Self::DeliveryTimeout { topic, partition, .. }
            | Self::BrokerTooOld { topic, partition, .. }
            | Self::Record { topic, partition, .. }
            | Self::TooLarge { topic, partition, .. }
            | Self::NoSuchPartition { topic, partition, .. }
            | Self::NoTransaction { topic, partition }
            | Self::TopicRecreated { topic, partition, .. }
            | Self::Aborted { topic, partition, .. }
            | Self::Closed { topic, partition } => Some((topic, *partition)),
            Self::Client(_) => None,
        }
    }
}

struct Detail<'a>(Option<&'a str>);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

struct Last<'a>(Option<&'a Obstacle>);

impl fmt::Display for Last<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |last| write!(f, "; the last obstacle: {last}"))
    }
}
