//! What the APIs of groups and of transactions check first.

use roka_protocol::ErrorCode;

use crate::node::Node;

/// The error as a version says it that may not know `PRODUCER_FENCED` yet.
pub(super) fn fenced(error: ErrorCode, is_known: bool) -> ErrorCode {
    if error == ErrorCode::PRODUCER_FENCED && !is_known {
        ErrorCode::INVALID_PRODUCER_EPOCH
    } else {
        error
    }
}

/// Whether this node coordinates the group, or the transactional id.
pub(super) fn check(node: &Node, group: &str) -> Result<(), ErrorCode> {
    if node.shared.groups.coordinator(&node.shared, group) == Some(node.id()) {
        Ok(())
    } else {
        Err(ErrorCode::NOT_COORDINATOR)
    }
}

/// As [`check`], for the APIs of members. An empty id names a group only for offsets, where old clients used it.
pub(super) fn check_named(node: &Node, group: &str) -> Result<(), ErrorCode> {
    if group.is_empty() { Err(ErrorCode::INVALID_GROUP_ID) } else { check(node, group) }
}
