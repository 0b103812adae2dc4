//! Per topic, neighbouring partitions to the same member.

use super::{AssignError, Assignment, Assignments, Assignor, Member, PartitionCounts, in_order};
use crate::TopicPartition;

/// Kafka's `range`: each topic by itself, its partitions in ranges to the members in order, the first members
/// get one more where it does not divide. Topics with equal partition counts and subscribers are
/// co-partitioned.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range;

impl Assignor for Range {
    fn name(&self) -> &'static str {
        "range"
    }

    fn assign(
        &self,
        members: &[Member],
        topics: &PartitionCounts,
    ) -> Result<Assignments, AssignError> {
        let ordered = in_order(members);
        let mut assignments: Assignments =
            members.iter().map(|member| (member.id.clone(), Assignment::default())).collect();
        for (topic, &count) in topics {
            let subscribers: Vec<_> =
                ordered.iter().filter(|member| member.topics.contains(topic)).collect();
            let Ok(n) = i32::try_from(subscribers.len()) else { continue };
            let mut next = 0;
            for (member, i) in subscribers.iter().zip(0..) {
                let len = count / n + i32::from(i < count % n);
                if let Some(assignment) = assignments.get_mut(&member.id) {
                    assignment
                        .partitions
                        .extend((next..next + len).map(|p| TopicPartition::new(topic.clone(), p)));
                }
                next += len;
            }
        }
        Ok(assignments)
    }
}
