//! What can go wrong in a group.

use std::sync::Arc;

use roka_protocol::ErrorCode;

use super::assignor::AssignError;

/// Why this member cannot be in its group (any more). None of these goes away by waiting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// Another process joined with the same instance id and took this member's place (KIP-345).
    #[error(
        "group {group}: another process took the place of instance {instance_id}: give every process an instance id of its own"
    )]
    Fenced {
        /// The group.
        group: Arc<str>,
        /// `group.instance.id` of both.
        instance_id: Arc<str>,
    },
    /// The coordinator refuses the member.
    #[error("group {group}: {api} was refused: {code}")]
    Refused {
        /// The group.
        group: Arc<str>,
        /// The request that was refused.
        api: &'static str,
        /// Kafka's reason.
        code: ErrorCode,
    },
    /// This member leads the group, and its assignor cannot assign.
    #[error("group {group}: {error}")]
    Assign {
        /// The group.
        group: Arc<str>,
        /// What the assignor says.
        error: AssignError,
    },
    /// Another member sent something that this one cannot read.
    #[error(
        "group {group}: cannot read the {what}: {problem}; do all members use the same strategy?"
    )]
    Malformed {
        /// The group.
        group: Arc<str>,
        /// A subscription or an assignment.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The brokers cannot do what is needed: they are too old, or access is denied.
    #[error("group {group}: cannot be a member: {problem}")]
    Impossible {
        /// The group.
        group: Arc<str>,
        /// What stands in the way.
        problem: String,
    },
    /// The member has left, or its client was closed.
    #[error("group {group}: this member has left: join again for a new one")]
    Left {
        /// The group.
        group: Arc<str>,
    },
}

/// Why offsets were not committed. What was not named may have been.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The partition was revoked or lost since: another member goes on from the last committed offset.
    #[error(
        "group {group}: partition {partition} is not this member's any more: drop what was done since the last commit"
    )]
    NotOwned {
        /// The group.
        group: Arc<str>,
        /// The partition.
        partition: crate::TopicPartition,
    },
    /// The member is not in the group any more.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The coordinator refused, or did not answer in time.
    #[error(transparent)]
    Client(#[from] crate::Error),
}
