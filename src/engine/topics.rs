//! The topics of a graph: that they exist, are partitioned alike, and clean up as their use asks for.
//!
//! - All inputs, joins, the loop and the table have the same number of partitions: a key is in the same one everywhere.
//! - The table is compacted: with `delete` alone Kafka would forget rows that nobody deleted.
//! - The loop is not compacted: Kafka would forget messages that nobody has processed.
//! - Inputs, joins, lookups and outputs belong to somebody else: they are checked, never made.
//! - Outputs and lookups may have any number of partitions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

/// Topics that cannot carry the graph. Nothing was read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// Topics that the graph uses and does not own are not there.
    #[error("group {group}: no such topic: {}: create it first", Names(topics))]
    Missing {
        /// The group of the graph.
        group: String,
        /// The missing topics' names.
        topics: Vec<String>,
    },
    /// Topics that must be partitioned alike are not.
    #[error(
        "group {group}: topics are not co-partitioned: {}: inputs, joins, the loop and the table need the same number \
         of partitions",
        Counts(counts)
    )]
    NotCopartitioned {
        /// The group of the graph.
        group: String,
        /// Number of partitions by topic.
        counts: BTreeMap<String, i32>,
    },
    /// The table's or the loop's topic exists with a clean-up policy that would lose records.
    #[error(
        "group {group}: topic {topic} has cleanup.policy={found}, it needs {wanted}: change the topic's configuration"
    )]
    CleanupPolicy {
        /// The group of the graph.
        group: String,
        /// The topic.
        topic: String,
        /// The topic's policy.
        found: String,
        /// The policy it needs.
        wanted: &'static str,
    },
    /// One of the group's own topics cannot have as many replicas as were asked for.
    #[error(
        "group {group}: topic {topic} cannot be created with replication={}, tried for {waited:.1?}: {reason}; start \
         more brokers or set `replication` lower",
        Replication(*replication)
    )]
    TooFewBrokers {
        /// The group of the graph.
        group: String,
        /// The topic.
        topic: String,
        /// [`Config::replication`](crate::Config::replication): -1 is the brokers' default.
        replication: i16,
        /// How long it was tried.
        waited: Duration,
        /// What the cluster said last.
        reason: String,
    },
}

struct Replication(i16);

impl fmt::Display for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            -1 => f.write_str("-1 (the brokers' default)"),
            replication => replication.fmt(f),
        }
    }
}

struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

struct Counts<'a>(&'a BTreeMap<String, i32>);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (topic, partitions)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{topic} has {partitions}")?;
        }
        Ok(())
    }
}

/// The topics that a graph names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) group: String,
    /// Consumed by the group, without the loop.
    pub(crate) inputs: Vec<String>,
    pub(crate) joins: Vec<String>,
    pub(crate) lookups: Vec<String>,
    /// Without the loop.
    pub(crate) outputs: Vec<String>,
    pub(crate) table: Option<String>,
    pub(crate) loopback: Option<String>,
}

impl Wanted {
    /// All names, each once.
    pub(crate) fn all(&self) -> BTreeSet<&str> {
        self.foreign().chain(&self.table).chain(&self.loopback).map(String::as_str).collect()
    }

    /// Those that the group does not own, each once or more.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = &String> {
        let read = self.inputs.iter().chain(&self.joins).chain(&self.lookups);
        read.chain(&self.outputs)
    }
}

/// What the cluster says of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) partitions: i32,
    /// `cleanup.policy`, where it was asked for and the broker told.
    pub(crate) cleanup: Option<String>,
    /// `delete.retention.ms`: how long compaction keeps tombstones at least.
    pub(crate) tombstones: Duration,
}

/// How long a topic keeps tombstones where the broker does not tell: Kafka's default.
pub(crate) const TOMBSTONES_KEPT: Duration = Duration::from_secs(24 * 3600);

/// How long each topic keeps tombstones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tombstones(Arc<BTreeMap<String, Duration>>);

impl Tombstones {
    /// Of all topics that were found.
    pub(crate) fn new(found: &BTreeMap<String, Found>) -> Self {
        let kept = found.iter().map(|(topic, found)| (topic.clone(), found.tombstones));
        Self(Arc::new(kept.collect()))
    }

    /// Of a topic.
    pub(crate) fn of(&self, topic: &str) -> Duration {
        self.0.get(topic).copied().unwrap_or(TOMBSTONES_KEPT)
    }
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Create {
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    pub(crate) cleanup: &'static str,
}

/// A graph whose topics fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fit {
    /// Number of partitions of everything that is partitioned alike.
    pub(crate) partitions: i32,
    /// The group's own topics that are not there yet.
    pub(crate) create: Vec<Create>,
}

/// Compares what the graph names with what the cluster has.
pub(crate) fn check(wanted: &Wanted, found: &BTreeMap<String, Found>) -> Result<Fit, TopicError> {
    let group = || wanted.group.clone();
    let missing: BTreeSet<&String> =
        wanted.foreign().filter(|topic| !found.contains_key(*topic)).collect();
    if !missing.is_empty() {
        let missing = missing.into_iter().cloned().collect();
        return Err(TopicError::Missing { group: group(), topics: missing });
    }

    let own = wanted.table.iter().chain(&wanted.loopback);
    let alike = wanted.inputs.iter().chain(&wanted.joins).chain(own);
    let counts: BTreeMap<String, i32> =
        alike.filter_map(|topic| Some((topic.clone(), found.get(topic)?.partitions))).collect();
    let Some(&partitions) = counts.values().next() else {
        // Only a loop as input, and that not made yet: nothing says how many partitions it should have.
        let topics = wanted.loopback.iter().cloned().collect();
        return Err(TopicError::Missing { group: group(), topics });
    };
    if counts.values().any(|&count| count != partitions) {
        return Err(TopicError::NotCopartitioned { group: group(), counts });
    }

    let mut create = Vec::new();
    for (topic, cleanup) in [(&wanted.table, "compact"), (&wanted.loopback, "delete")] {
        let Some(topic) = topic else { continue };
        match found.get(topic) {
            None => create.push(Create { topic: topic.clone(), partitions, cleanup }),
            Some(Found { cleanup: Some(policy), .. }) if !keeps(policy, cleanup) => {
                return Err(TopicError::CleanupPolicy {
                    group: group(),
                    topic: topic.clone(),
                    found: policy.clone(),
                    wanted: cleanup,
                });
            }
            Some(_) => {}
        }
    }
    Ok(Fit { partitions, create })
}

/// A table that is compacted and also deleted by age is a choice that users make for tables that may forget.
fn keeps(policy: &str, wanted: &str) -> bool {
    let mut policies = policy.split(',').map(str::trim);
    match wanted {
        "compact" => policies.any(|policy| policy == "compact"),
        _ => policies.all(|policy| policy != "compact"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            group: "g".into(),
            inputs: vec!["in".into()],
            joins: vec!["join".into()],
            lookups: vec![],
            outputs: vec!["out".into()],
            table: Some("g-table".into()),
            loopback: Some("g-loop".into()),
        }
    }

    fn found(topics: &[(&str, i32, Option<&str>)]) -> BTreeMap<String, Found> {
        let topics = topics.iter().map(|&(topic, partitions, cleanup)| {
            let cleanup = cleanup.map(str::to_owned);
            (topic.to_owned(), Found { partitions, cleanup, tombstones: TOMBSTONES_KEPT })
        });
        topics.collect()
    }

    #[test]
    fn own_topics_are_made_with_the_inputs_partitions() {
        let fit = check(&wanted(), &found(&[("in", 6, None), ("join", 6, None), ("out", 1, None)]));
        let create = |topic: &str, cleanup| Create { topic: topic.into(), partitions: 6, cleanup };
        let create = vec![create("g-table", "compact"), create("g-loop", "delete")];
        assert_eq!(fit, Ok(Fit { partitions: 6, create }));
    }

    #[test]
    fn missing_topics_are_named() {
        let error = check(&wanted(), &found(&[("join", 6, None)])).unwrap_err();
        assert_eq!(error.to_string(), "group g: no such topic: in, out: create it first");
    }

    #[test]
    fn different_counts_are_named() {
        let found =
            found(&[("in", 6, None), ("join", 6, None), ("out", 1, None), ("g-table", 4, None)]);
        let error = check(&wanted(), &found).unwrap_err().to_string();
        assert!(error.contains("g-table has 4, in has 6, join has 6"), "{error}");
    }

    #[test]
    fn a_table_that_forgets_and_a_loop_that_merges_are_refused() {
        let topics = [("in", 1, None), ("join", 1, None), ("out", 1, None)];
        let with = |topic, policy| {
            let mut all = topics.to_vec();
            all.push((topic, 1, Some(policy)));
            check(&wanted(), &found(&all))
        };
        assert!(matches!(with("g-table", "delete"), Err(TopicError::CleanupPolicy { .. })));
        assert!(matches!(with("g-loop", "compact"), Err(TopicError::CleanupPolicy { .. })));
        assert!(with("g-table", "compact,delete").is_ok());
        assert!(with("g-loop", "delete").is_ok());
    }

    #[test]
    fn a_loop_alone_cannot_be_made() {
        let wanted =
            Wanted { group: "g".into(), loopback: Some("g-loop".into()), ..Wanted::default() };
        assert!(matches!(check(&wanted, &BTreeMap::new()), Err(TopicError::Missing { .. })));
    }
}
