//! Positions of a group that are committed with a transaction.

use crate::TopicPartition;
use crate::consumer::Position;
use crate::group::GroupMetadata;

/// One call's positions.
#[derive(Debug)]
pub(crate) struct Offsets {
    /// Which call of the producer it was.
    pub(crate) job: u64,
    pub(crate) group: GroupMetadata,
    pub(crate) positions: Vec<(TopicPartition, Position, Option<String>)>,
}
