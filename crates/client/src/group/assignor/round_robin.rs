//! All partitions in turn to all members.

use super::{AssignError, Assignment, Assignments, Assignor, Member, PartitionCounts, in_order};
use crate::TopicPartition;

/// Kafka's `roundrobin`: the partitions of all topics in order, each to the next member that subscribes to
/// its topic.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoundRobin;

impl Assignor for RoundRobin {
    fn name(&self) -> &'static str {
        "roundrobin"
    }

    fn assign(
        &self,
        members: &[Member],
        topics: &PartitionCounts,
    ) -> Result<Assignments, AssignError> {
        let ordered = in_order(members);
        let mut assignments: Assignments =
            members.iter().map(|member| (member.id.clone(), Assignment::default())).collect();
        let mut turn = 0;
        for (topic, &count) in topics {
            for partition in 0..count {
                let next = (0..ordered.len())
                    .map(|i| (turn + i) % ordered.len())
                    .find(|&i| ordered[i].topics.contains(topic));
                let Some(i) = next else { break };
                if let Some(assignment) = assignments.get_mut(&ordered[i].id) {
                    assignment.partitions.push(TopicPartition::new(topic.clone(), partition));
                }
                turn = i + 1;
            }
        }
        Ok(assignments)
    }
}
