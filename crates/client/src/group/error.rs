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
    /// The member has left, or its client was closed.
    #[error("group {group}: this member has left: join again for a new one")]
    Left {
        /// The group.
        group: Arc<str>,
    },
}
