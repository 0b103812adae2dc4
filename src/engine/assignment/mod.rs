//! Who works on which partitions: the assignors that processors bring to their group.
//!
//! A member gets partition *numbers*, and of each number all topics that it consumes: inputs and loop of a number live
//! together with the number's table and joins. All consumed topics must have the same partitions.

mod goka;
mod local_state;
mod sticky;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use roka_client::{
    TopicPartition,
    group::assignor::{
        AssignError, Assignment, Assignments, Assignor, Member, PartitionCounts, RebalanceProtocol,
        in_order, owners,
    },
};

/// Changelog offsets of local state by partition number: shared by the workers, which keep it up to date, and the
/// assignor, which tells the group's leader.
#[derive(Debug, Clone, Default)]
pub(crate) struct LocalState(Arc<Mutex<BTreeMap<i32, i64>>>);

impl LocalState {
    /// The local state of `partition` now stands for the changelog up to `offset`.
    pub(crate) fn set(&self, partition: i32, offset: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, offset);
    }

    /// The local state of `partition` is gone.
    pub(crate) fn remove(&self, partition: i32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }

    fn snapshot(&self) -> BTreeMap<i32, i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Roka's own: co-partitioned, balanced, sticky to owners and to local state, cooperative.
#[derive(Debug, Clone, Default)]
pub(crate) struct Copartition {
    local: LocalState,
}

impl Copartition {
    /// The name by which Roka's members agree on it.
    pub(crate) const NAME: &'static str = "roka-copartition";

    /// Tells the group's leader about `local`.
    pub(crate) fn new(local: LocalState) -> Self {
        Self { local }
    }
}

impl Assignor for Copartition {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Cooperative
    }

    fn user_data(&self, _: &[Arc<str>], _: &[TopicPartition]) -> Bytes {
        local_state::encode(&self.local.snapshot()).into()
    }

    fn assign(
        &self,
        members: &[Member],
        topics: &PartitionCounts,
    ) -> Result<Assignments, AssignError> {
        let partitions = partitions(Self::NAME, topics)?;
        let owners = owners(members);
        let ordered = in_order(members);
        let claims: Vec<sticky::Claim> = ordered
            .iter()
            .enumerate()
            .map(|(place, member)| sticky::Claim {
                id: place,
                owned: owned(member, &owners),
                local: local_state::decode(&member.user_data),
            })
            .collect();
        let target = sticky::target(&claims, partitions);
        Ok(ordered
            .iter()
            .zip(target)
            .map(|(member, numbers)| all_topics(member, numbers, topics))
            .collect())
    }
}

/// The partition numbers of which the member holds anything that nobody else holds.
fn owned(member: &Member, owners: &BTreeMap<&TopicPartition, &str>) -> BTreeSet<i32> {
    let holds = |partition: &&TopicPartition| {
        owners.get(*partition).is_some_and(|owner| *owner == member.id)
    };
    member.owned.iter().filter(holds).map(|partition| partition.partition).collect()
}

/// Goka's `copartition`, for groups that have members of both: eager, contiguous ranges, no stickiness.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct GokaCopartition;

impl GokaCopartition {
    /// The name by which Goka's members agree on it.
    pub(crate) const NAME: &'static str = "copartition";
}

impl Assignor for GokaCopartition {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn assign(
        &self,
        members: &[Member],
        topics: &PartitionCounts,
    ) -> Result<Assignments, AssignError> {
        let partitions = partitions(Self::NAME, topics)?;
        let mut ordered: Vec<&Member> = members.iter().collect();
        ordered.sort_by(|a, b| a.id.cmp(&b.id));
        let count = ordered.len();
        let ranges = (0..count).map(|place| goka::range(place, count, partitions));
        Ok(ordered
            .iter()
            .zip(ranges)
            .map(|(member, numbers)| all_topics(member, numbers, topics))
            .collect())
    }
}

/// The number of partitions that all topics share.
fn partitions(assignor: &str, topics: &PartitionCounts) -> Result<i32, AssignError> {
    let partitions = topics.values().copied().next().unwrap_or(0);
    if topics.values().all(|&count| count == partitions) {
        return Ok(partitions);
    }
    let counts: Vec<String> =
        topics.iter().map(|(topic, count)| format!("{topic} has {count}")).collect();
    let reason = format!(
        "the topics are not co-partitioned: {}: give all the same number of partitions",
        counts.join(", ")
    );
    Err(AssignError { assignor: assignor.to_owned(), reason })
}

fn all_topics(
    member: &Member,
    numbers: impl IntoIterator<Item = i32>,
    topics: &PartitionCounts,
) -> (String, Assignment) {
    let mut partitions = Vec::new();
    for number in numbers {
        for topic in member.topics.iter().filter(|topic| topics.contains_key(*topic)) {
            partitions.push(TopicPartition::new(Arc::clone(topic), number));
        }
    }
    (member.id.clone(), partitions.into())
}
