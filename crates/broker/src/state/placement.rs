//! Which nodes hold which partitions, as Kafka spreads them.

/// The replicas of `partitions` partitions that follow `first`: leaders go round the nodes from `start` on, and the
/// other replicas are shifted so that they do not always sit on the same pair.
pub(crate) fn spread(
    nodes: &[i32],
    start: usize,
    first: usize,
    partitions: usize,
    factor: usize,
) -> Vec<Vec<i32>> {
    let count = nodes.len();
    let replicas = |partition: usize| {
        let leader = start + partition;
        let shift = start + partition / count;
        let other = |replica: usize| (leader + 1 + (shift + replica) % (count - 1).max(1)) % count;
        let ids = std::iter::once(leader % count).chain((0..factor.saturating_sub(1)).map(other));
        ids.map(|at| nodes[at]).collect()
    };
    (first..first + partitions).map(replicas).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_partition_has_distinct_nodes_and_leaders_are_balanced(
            count in 1usize..6, start in 0usize..9, partitions in 1usize..40, factor in 1usize..6,
        ) {
            let nodes: Vec<i32> = (1..=count as i32).collect();
            let factor = factor.min(count);
            let spread = spread(&nodes, start, 0, partitions, factor);
            for replicas in &spread {
                let mut unique = replicas.clone();
                unique.sort_unstable();
                unique.dedup();
                prop_assert_eq!(unique.len(), factor);
            }
            let leads = |node: i32| spread.iter().filter(|it| it[0] == node).count();
            let counts: Vec<usize> = nodes.iter().map(|&node| leads(node)).collect();
            let (most, fewest) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
            prop_assert!(most - fewest <= 1, "{:?}", counts);
        }
    }
}
