//! What a processor has done and how far it is behind.
//!
//! Workers count in atomics of their own partition, a few times per batch, never per record; a snapshot reads them
//! without stopping anybody. Numbers of one snapshot may be some milliseconds apart.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::state::State;

/// What a processor has done since it began.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Where the processor stands.
    pub state: State,
    /// The partitions that are here.
    pub partitions: BTreeMap<i32, PartitionStats>,
    /// Totals, partitions that have left included.
    pub totals: Totals,
}

impl Stats {
    /// Records that wait in Kafka, over all partitions that are here.
    pub fn lag(&self) -> i64 {
        let inputs = self.partitions.values().flat_map(|partition| partition.inputs.values());
        inputs.map(InputStats::lag).sum()
    }
}

/// What a processor has done since it began, over all partitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Records processed, whatever came of them.
    pub records: u64,
    /// Messages emitted to outputs and the loop.
    pub emitted: u64,
    /// Rows written to the changelog.
    pub rows: u64,
    /// Commits that ended well.
    pub commits: u64,
    /// Commits that did not; their records were processed again.
    pub commits_failed: u64,
    /// Records left out after an error, by policy.
    pub skipped: u64,
    /// Records sent to a dead-letter topic.
    pub dead_letters: u64,
    /// Callbacks run again after an error, by policy.
    pub retries: u64,
    /// Records passed over after a restart because the table already included them.
    pub included: u64,
    /// Rows read back from changelogs and joined tables.
    pub recovered: u64,
}

/// One partition of a processor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionStats {
    /// Where the partition stands.
    pub state: State,
    /// Its inputs by topic, the loop included.
    pub inputs: BTreeMap<String, InputStats>,
    /// Its tables by topic: the group's own and the joined ones.
    pub tables: BTreeMap<String, TableStats>,
}

/// One input of a partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InputStats {
    /// Records processed, whatever came of them.
    pub records: u64,
    /// The next offset to process.
    pub position: i64,
    /// The committed offset; -1 before the first commit.
    pub committed: i64,
    /// Where the input ended when it was last fetched.
    pub end: i64,
}

impl InputStats {
    /// Records that wait in Kafka.
    pub fn lag(&self) -> i64 {
        (self.end - self.position).max(0)
    }
}

/// One table of a partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableStats {
    /// Changelog offset up to which the table is read.
    pub position: i64,
    /// Where the changelog ended when recovery began.
    pub end: i64,
    /// How long the rest of the recovery will take at the rate so far; `None` when it has ended or cannot be told.
    pub remaining: Option<Duration>,
}

macro_rules! totals {
    ($($name:ident)*) => {
        /// Totals while they change.
        #[derive(Debug, Default)]
        pub(crate) struct TotalCounters { $(pub(crate) $name: AtomicU64,)* }

        impl TotalCounters {
            fn snapshot(&self) -> Totals {
                Totals { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

totals! { records emitted rows commits commits_failed skipped dead_letters retries included recovered }

/// An input's numbers while they change.
#[derive(Debug)]
pub(crate) struct InputCounters {
    topic: Arc<str>,
    pub(crate) records: AtomicU64,
    pub(crate) position: AtomicI64,
    pub(crate) committed: AtomicI64,
    pub(crate) end: AtomicI64,
}

/// A table's numbers while they change.
#[derive(Debug)]
pub(crate) struct TableCounters {
    topic: Arc<str>,
    pub(crate) position: AtomicI64,
    pub(crate) end: AtomicI64,
    /// Milliseconds; -1 where it cannot be told.
    pub(crate) remaining_ms: AtomicI64,
}

/// A partition's numbers while they change.
#[derive(Debug)]
pub(crate) struct PartitionCounters {
    pub(crate) inputs: Vec<InputCounters>,
    pub(crate) tables: Vec<TableCounters>,
}

impl PartitionCounters {
    /// All zero, for inputs and tables in the order of the graph.
    pub(crate) fn new(inputs: &[Arc<str>], tables: &[Arc<str>]) -> Self {
        let input = |topic: &Arc<str>| InputCounters {
            topic: Arc::clone(topic),
            records: AtomicU64::new(0),
            position: AtomicI64::new(0),
            committed: AtomicI64::new(-1),
            end: AtomicI64::new(0),
        };
        let table = |topic: &Arc<str>| TableCounters {
            topic: Arc::clone(topic),
            position: AtomicI64::new(0),
            end: AtomicI64::new(0),
            remaining_ms: AtomicI64::new(-1),
        };
        Self {
            inputs: inputs.iter().map(input).collect(),
            tables: tables.iter().map(table).collect(),
        }
    }

    fn snapshot(&self, state: State) -> PartitionStats {
        let inputs = self.inputs.iter().map(|input| {
            let stats = InputStats {
                records: input.records.load(Relaxed),
                position: input.position.load(Relaxed),
                committed: input.committed.load(Relaxed),
                end: input.end.load(Relaxed),
            };
            (input.topic.to_string(), stats)
        });
        let tables = self.tables.iter().map(|table| {
            let remaining = u64::try_from(table.remaining_ms.load(Relaxed)).ok();
            let stats = TableStats {
                position: table.position.load(Relaxed),
                end: table.end.load(Relaxed),
                remaining: remaining.map(Duration::from_millis),
            };
            (table.topic.to_string(), stats)
        });
        PartitionStats { state, inputs: inputs.collect(), tables: tables.collect() }
    }
}

/// All numbers of a processor.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) totals: TotalCounters,
    partitions: Mutex<BTreeMap<i32, Arc<PartitionCounters>>>,
}

impl Counters {
    /// The partition is here from now on.
    pub(crate) fn add(&self, partition: i32, counters: Arc<PartitionCounters>) {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, counters);
    }

    /// The partition has left.
    pub(crate) fn remove(&self, partition: i32) {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }

    /// All numbers as they are now.
    pub(crate) fn snapshot(&self, state: State, states: &BTreeMap<i32, State>) -> Stats {
        let partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let partitions = partitions.into_iter().map(|(partition, counters)| {
            let state = states.get(&partition).copied().unwrap_or(State::Joining);
            (partition, counters.snapshot(state))
        });
        Stats { state, partitions: partitions.collect(), totals: self.totals.snapshot() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_has_the_lag_of_what_is_here() {
        let counters = Counters::default();
        let partition = Arc::new(PartitionCounters::new(&["in".into()], &["g-table".into()]));
        partition.inputs[0].position.store(7, Relaxed);
        partition.inputs[0].end.store(10, Relaxed);
        partition.tables[0].remaining_ms.store(1500, Relaxed);
        counters.totals.records.fetch_add(7, Relaxed);
        counters.add(3, partition);
        let stats = counters.snapshot(State::Running, &BTreeMap::from([(3, State::Running)]));
        assert_eq!(stats.lag(), 3);
        assert_eq!(stats.totals.records, 7);
        let table = stats.partitions[&3].tables["g-table"];
        assert_eq!(table.remaining, Some(Duration::from_millis(1500)));
        counters.remove(3);
        assert_eq!(counters.snapshot(State::Running, &BTreeMap::new()).lag(), 0);
    }
}
