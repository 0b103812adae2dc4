//! As even as can be, and as few moves as can be.
//!
//! Three steps, each keeps what the one before decided where it can:
//! 1. every member keeps what it validly holds;
//! 2. partitions nobody holds go to the member with the fewest that subscribes to their topic;
//! 3. while one member has at least two more than another that could take one of its partitions, one moves.
//!
//! Each move of step 3 makes the sum of the squared loads smaller, so it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    AssignError, Assignment, Assignments, Assignor, Member, PartitionCounts, RebalanceProtocol,
    in_order, owners,
};
use crate::TopicPartition;

/// Kafka's `cooperative-sticky`: even, sticky to who holds a partition now, and cooperative: partitions that
/// stay are processed through the rebalance.
#[derive(Debug, Clone, Copy, Default)]
pub struct CooperativeSticky;

impl Assignor for CooperativeSticky {
    fn name(&self) -> &'static str {
        "cooperative-sticky"
    }

    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Cooperative
    }

    fn assign(
        &self,
        members: &[Member],
        topics: &PartitionCounts,
    ) -> Result<Assignments, AssignError> {
        let mut balance = Balance::new(members, topics);
        balance.keep(members);
        balance.hand_out(topics);
        balance.even_out();
        Ok(balance.into_assignments())
    }
}

/// The assignment while it grows. Members are numbered in serving order.
struct Balance<'a> {
    members: Vec<&'a Member>,
    /// Who subscribes to a topic that exists.
    subscribers: BTreeMap<&'a Arc<str>, Vec<usize>>,
    topics: &'a PartitionCounts,
    /// Per member, per topic, its partitions.
    held: Vec<BTreeMap<&'a Arc<str>, BTreeSet<i32>>>,
    load: Vec<usize>,
    taken: BTreeSet<(&'a Arc<str>, i32)>,
}

impl<'a> Balance<'a> {
    fn new(members: &'a [Member], topics: &'a PartitionCounts) -> Self {
        let members = in_order(members);
        let mut subscribers: BTreeMap<&Arc<str>, Vec<usize>> = BTreeMap::new();
        for (i, member) in members.iter().enumerate() {
            for topic in member.topics.iter().collect::<BTreeSet<_>>() {
                if let Some((topic, _)) = topics.get_key_value(topic) {
                    subscribers.entry(topic).or_default().push(i);
                }
            }
        }
        let n = members.len();
        Self {
            members,
            subscribers,
            topics,
            held: vec![BTreeMap::new(); n],
            load: vec![0; n],
            taken: BTreeSet::new(),
        }
    }

    fn give(&mut self, member: usize, topic: &'a Arc<str>, partition: i32) {
        self.held[member].entry(topic).or_default().insert(partition);
        self.load[member] += 1;
        self.taken.insert((topic, partition));
    }

    fn keep(&mut self, members: &'a [Member]) {
        let number: BTreeMap<&str, usize> =
            self.members.iter().enumerate().map(|(i, member)| (member.id.as_str(), i)).collect();
        for (held, owner) in owners(members) {
            let Some((topic, &count)) = self.topics.get_key_value(&held.topic) else { continue };
            let member = number[owner];
            let subscribed = self.subscribers.get(topic).is_some_and(|all| all.contains(&member));
            if subscribed && (0..count).contains(&held.partition) {
                self.give(member, topic, held.partition);
            }
        }
    }

    fn hand_out(&mut self, topics: &'a PartitionCounts) {
        // Topics with few subscribers first: they have the least choice.
        let mut order: Vec<_> = topics.iter().collect();
        order.sort_by_key(|(topic, _)| self.subscribers.get(topic).map_or(0, Vec::len));
        for (topic, &count) in order {
            let Some(subscribers) = self.subscribers.get(topic).cloned() else { continue };
            for partition in 0..count {
                if self.taken.contains(&(topic, partition)) {
                    continue;
                }
                if let Some(&least) = subscribers.iter().min_by_key(|&&member| self.load[member]) {
                    self.give(least, topic, partition);
                }
            }
        }
    }

    fn even_out(&mut self) {
        while let Some((from, to, topic)) = self.next_move() {
            let Some(partition) = self.held[from].get_mut(topic).and_then(BTreeSet::pop_last)
            else {
                return;
            };
            self.load[from] -= 1;
            self.give(to, topic, partition);
        }
    }

    /// From the member with the most that has something to give, to the one with the fewest that can take it.
    fn next_move(&self) -> Option<(usize, usize, &'a Arc<str>)> {
        let mut order: Vec<_> = (0..self.members.len()).collect();
        order.sort_by_key(|&member| (std::cmp::Reverse(self.load[member]), member));
        let lightest = *self.load.iter().min()?;
        for &from in order.iter().take_while(|&&from| self.load[from] >= lightest + 2) {
            let target = self.held[from]
                .iter()
                .filter(|(_, partitions)| !partitions.is_empty())
                .filter_map(|(topic, _)| {
                    let to = self.subscribers[topic].iter().min_by_key(|&&to| self.load[to])?;
                    Some((self.load[*to], *to, *topic))
                })
                .min();
            if let Some((load, to, topic)) = target
                && load + 2 <= self.load[from]
            {
                return Some((from, to, topic));
            }
        }
        None
    }

    fn into_assignments(self) -> Assignments {
        self.members
            .iter()
            .zip(self.held)
            .map(|(member, held)| {
                let partitions: Vec<_> = held
                    .into_iter()
                    .flat_map(|(topic, partitions)| {
                        partitions.into_iter().map(|p| TopicPartition::new(topic.clone(), p))
                    })
                    .collect();
                (member.id.clone(), Assignment::from(partitions))
            })
            .collect()
    }
}
