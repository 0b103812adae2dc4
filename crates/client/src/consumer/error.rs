//! Why a partition cannot be read on.

use roka_protocol::{ErrorCode, Uuid, records::RecordError};

use crate::TopicPartition;

/// Why a partition was stopped. The other partitions go on; this one does after a
/// [`seek`](super::Fetcher::seek). What waiting can cure is waited for and never ends here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The offset is not in the log, and the policy is [`ResetPolicy::Fail`](super::ResetPolicy::Fail).
    #[error(
        "{partition}: offset {offset} is outside of the log{}: seek to an offset that exists, or set a reset policy",
        Begins(*log_start)
    )]
    OutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// The offset that was asked for.
        offset: i64,
        /// The first offset of the log, if the broker said so (Kafka does not).
        log_start: Option<i64>,
    },
    /// Records that were read before are gone: a replica without them became leader (KIP-320).
    #[error(
        "{partition}: the log was truncated: it agrees with what was read only up to offset {agrees_to}, but offset {offset} of epoch {epoch} was asked for: seek to {agrees_to} and undo what came after it"
    )]
    Truncated {
        /// The partition.
        partition: TopicPartition,
        /// The offset that was asked for.
        offset: i64,
        /// The leader epoch of the record before it.
        epoch: i32,
        /// Up to here the log holds what was read.
        agrees_to: i64,
    },
    /// The topic was deleted, or never was.
    #[error(
        "{partition}: the topic has not existed for {seconds} s: create it, or unassign the partition"
    )]
    TopicGone {
        /// The partition.
        partition: TopicPartition,
        /// How long it has been missing.
        seconds: u64,
    },
    /// Another topic has the name now, so that offsets mean something else.
    #[error(
        "{partition}: the topic was deleted and created again ({was:?} is now {is:?}): seek to where the new one shall be read from"
    )]
    TopicRecreated {
        /// The partition.
        partition: TopicPartition,
        /// The id it had.
        was: Uuid,
        /// The id it has.
        is: Uuid,
    },
    /// A batch cannot be read.
    #[error(
        "{partition}: cannot read on at offset {offset}: {error}; to skip the batch, seek past it"
    )]
    Corrupt {
        /// The partition.
        partition: TopicPartition,
        /// The position when it was met.
        offset: i64,
        /// What is wrong with the batch.
        error: RecordError,
    },
    /// The broker refuses for good.
    #[error("{partition}: the broker refuses to fetch offset {offset}: {code}")]
    Refused {
        /// The partition.
        partition: TopicPartition,
        /// The offset that was asked for.
        offset: i64,
        /// Kafka's reason.
        code: ErrorCode,
    },
}

struct Begins(Option<i64>);

impl std::fmt::Display for Begins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |offset| write!(f, ", which begins at {offset}"))
    }
}

impl FetchError {
    /// The partition that was stopped.
    pub fn partition(&self) -> &TopicPartition {
        match self {
            Self::OutOfRange { partition, .. }
            | Self::Truncated { partition, .. }
            | Self::TopicGone { partition, .. }
            | Self::TopicRecreated { partition, .. }
            | Self::Corrupt { partition, .. }
            | Self::Refused { partition, .. } => partition,
        }
    }
}
