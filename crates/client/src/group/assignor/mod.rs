//! Who of a group reads which partition: the strategies the group's leader runs.
//!
//! Rules:
//! - An assignor is a pure function of the members and the partition counts. Equal input gives
//!   equal output, in whatever order the members are listed.
//! - A partition goes to at most one member, and only to a member that subscribes to its topic.
//! - A cooperative assignor says where partitions should *end up*. That a partition is not handed out
//!   while another member still holds it is the group's business, not the assignor's
//!   ([`withhold_moving`], KIP-429).

mod range;
mod round_robin;
mod sticky;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

pub use self::{range::Range, round_robin::RoundRobin, sticky::CooperativeSticky};
use crate::TopicPartition;

/// How members of a group give up partitions in a rebalance (KIP-429).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RebalanceProtocol {
    /// Everything is given up before each rebalance.
    Eager,
    /// Only partitions that move are given up; the others are processed on.
    Cooperative,
}

/// A member of a group, as its leader sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Member {
    /// The id the coordinator gave.
    pub id: String,
    /// `group.instance.id` of a static member (KIP-345).
    pub instance_id: Option<String>,
    /// The topics it subscribes to.
    pub topics: Vec<Arc<str>>,
    /// The partitions it says that it holds. Empty from members that subscribe with version 0.
    pub owned: Vec<TopicPartition>,
    /// The generation in which it got `owned`; -1 where it does not say.
    pub generation: i32,
    /// Its rack, where it says.
    pub rack: Option<String>,
    /// What its assignor gave as [`Assignor::user_data`].
    pub user_data: Bytes,
}

/// What one member gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assignment {
    /// Its partitions.
    pub partitions: Vec<TopicPartition>,
    /// Anything the assignor wants to tell the member.
    pub user_data: Bytes,
}

impl From<Vec<TopicPartition>> for Assignment {
    fn from(partitions: Vec<TopicPartition>) -> Self {
        Self { partitions, user_data: Bytes::new() }
    }
}

/// What each member gets, by member id. Members left out get nothing.
pub type Assignments = BTreeMap<String, Assignment>;

/// Topics that exist and their number of partitions.
pub type PartitionCounts = BTreeMap<Arc<str>, i32>;

/// Why an assignor could not assign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("assignor {assignor} cannot assign: {reason}")]
pub struct AssignError {
    /// [`Assignor::name`].
    pub assignor: String,
    /// What is wrong and what to do.
    pub reason: String,
}

/// A strategy that spreads partitions over the members of a group.
///
/// All members of a group must offer one strategy of the same [`name`](Self::name); the coordinator
/// picks the one most members prefer, and one member, the leader, runs it.
pub trait Assignor: Send + Sync {
    /// The name by which members agree on a strategy, for example `range`.
    fn name(&self) -> &str;

    /// How partitions are given up. Default: eager.
    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Eager
    }

    /// The version of the subscription to send: from 1 on it lists the partitions held, from 2 on
    /// their generation, from 3 on the rack. Default: 0 for eager strategies, which every client can
    /// read (Sarama before 1.38 refuses trailing fields), and 3 for cooperative ones.
    fn subscription_version(&self) -> i16 {
        match self.protocol() {
            RebalanceProtocol::Eager => 0,
            RebalanceProtocol::Cooperative => 3,
        }
    }

    /// What this member tells the leader's assignor; asked anew for each join, with the topics it
    /// joins for and the partitions it holds. Default: nothing.
    fn user_data(&self, topics: &[Arc<str>], owned: &[TopicPartition]) -> Bytes {
        let _ = (topics, owned);
        Bytes::new()
    }

    /// Spreads the partitions of `topics` over `members`. `members` is not empty. A subscribed topic that
    /// does not exist is not in `topics`.
    fn assign(
        &self,
        members: &[Member],
        topics: &PartitionCounts,
    ) -> Result<Assignments, AssignError>;
}

/// Members in the order in which Kafka's assignors serve them: static members by instance id, then the
/// others by member id. Static members keep their place when they come back with a new id.
pub fn in_order(members: &[Member]) -> Vec<&Member> {
    let mut ordered: Vec<_> = members.iter().collect();
    ordered.sort_by(|a, b| match (&a.instance_id, &b.instance_id) {
        (Some(a), Some(b)) => a.cmp(b),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => a.id.cmp(&b.id),
    });
    ordered
}

/// Who really holds which partition: of several claims the one of the newest generation counts, and
/// claims of equal generation cancel each other out.
pub fn owners(members: &[Member]) -> BTreeMap<&TopicPartition, &str> {
    let mut claims: BTreeMap<&TopicPartition, (i32, Option<&str>)> = BTreeMap::new();
    for member in members {
        for partition in member.owned.iter().collect::<BTreeSet<_>>() {
            let claim = (member.generation, Some(member.id.as_str()));
            claims
                .entry(partition)
                .and_modify(|best| {
                    if member.generation > best.0 {
                        *best = claim;
                    } else if member.generation == best.0 {
                        best.1 = None;
                    }
                })
                .or_insert(claim);
        }
    }
    claims.into_iter().filter_map(|(partition, (_, owner))| Some((partition, owner?))).collect()
}

/// Takes out of `assignments` what another member still holds: its holder gives it up after this
/// rebalance, and the rebalance that follows hands it out (KIP-429). The group does this for every cooperative
/// strategy; it is public for those who test their own.
pub fn withhold_moving(members: &[Member], assignments: &mut Assignments) {
    let owners = owners(members);
    for (id, assignment) in assignments {
        assignment
            .partitions
            .retain(|partition| owners.get(partition).is_none_or(|owner| owner == id));
    }
}
