//! The commit of a worker: all of its partitions together.
//!
//! 1. The state between two records of each partition is marked: input positions, and rows that changed.
//! 2. Everything that was emitted up to there is acknowledged. Only then
//! 3. the rows are written to the changelog, each with the [`mark`](super::mark) of what it includes, and acknowledged.
//! 4. The input positions are committed.
//! 5. The rows may go to the local store, which the worker does when it has time.
//!
//! Partitions process on after step 1: what they do belongs to the next commit, and a commit begins only when the one
//! before has ended. A crash at any point repeats inputs, never loses one, and no row counts one twice: see the
//! module of marks. A failure in 2 or 3 leaves it open what was written: the partitions then drop what they have in
//! memory and begin again from what is committed ([`CommitError::Unknown`]).

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use roka_client::{
    TopicPartition,
    consumer::Position,
    group::{self, Group},
    producer::ProduceError,
};
use tokio::sync::{Mutex, Notify};

use super::{
    cluster,
    error::ProcessorError,
    mark::{self, Span},
    outputs::{EmitError, Outputs},
    partition::{Core, Partition, Stop},
    recovery::now_ms,
    stats::Counters,
};

/// Between attempts to commit offsets while the group is in a rebalance.
const OFFSETS_RETRY: Duration = Duration::from_millis(50);
/// Rows written before others on this thread get their turn.
const ROWS_PER_TURN: usize = 1024;

/// Why a commit did not end well.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// It is not known what was written: what is in memory must be dropped and read back.
    Unknown(ProduceError),
    /// Waiting does not help.
    Fatal(ProcessorError),
}

/// What asks for a commit before its time: bytes of inputs processed since the last one began.
#[derive(Debug)]
pub(crate) struct Pressure {
    bytes: Cell<usize>,
    bytes_max: usize,
    wanted: Notify,
}

impl Pressure {
    /// A commit is wanted after this many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes: Cell::new(0), bytes_max, wanted: Notify::new() }
    }

    /// So many bytes more were processed.
    pub(crate) fn add(&self, bytes: usize) {
        let before = self.bytes.get();
        self.bytes.set(before + bytes);
        if before < self.bytes_max && before + bytes >= self.bytes_max {
            self.wanted.notify_one();
        }
    }

    fn relieve(&self) {
        self.bytes.set(0);
    }

    /// Waits until a commit is wanted before its time. Cancel safe.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }
}

/// Commits the partitions of one worker.
pub(crate) struct Committer {
    outputs: Rc<Outputs>,
    group: Group,
    totals: Arc<Counters>,
    partitions: RefCell<BTreeMap<i32, Rc<Partition>>>,
    one_at_a_time: Mutex<()>,
    pub(crate) pressure: Rc<Pressure>,
    with_marks: bool,
}

/// One partition's part of a commit.
struct Part {
    partition: Rc<Partition>,
    /// By input.
    positions: Vec<i64>,
    /// By input; what is new since the last commit.
    offsets: Vec<Option<i64>>,
    rows: usize,
    began_ms: i64,
}

impl Committer {
    /// Of a worker without partitions.
    pub(crate) fn new(
        outputs: Rc<Outputs>,
        group: Group,
        totals: Arc<Counters>,
        pressure: Rc<Pressure>,
        with_marks: bool,
    ) -> Self {
        Self {
            outputs,
            group,
            totals,
            partitions: RefCell::default(),
            one_at_a_time: Mutex::new(()),
            pressure,
            with_marks,
        }
    }

    /// The partition is part of commits from now on.
    pub(crate) fn add(&self, partition: &Rc<Partition>) {
        self.partitions.borrow_mut().insert(partition.number, Rc::clone(partition));
    }

    /// The partition is no longer part of commits that begin from now on.
    pub(crate) fn remove(&self, partition: i32) {
        self.partitions.borrow_mut().remove(&partition);
    }

    /// The partitions that are part of commits.
    pub(crate) fn partitions(&self) -> Vec<Rc<Partition>> {
        self.partitions.borrow().values().cloned().collect()
    }

    /// Commits what was done up to now. Waits for a commit that is under way, and for callbacks that wait.
    pub(crate) async fn commit(&self) -> Result<(), CommitError> {
        let _one = self.one_at_a_time.lock().await;
        self.pressure.relieve();
        let mut parts = Vec::new();
        for partition in self.partitions() {
            let core = &mut *partition.core.lock().await;
            if !partition.is_lost() {
                parts.extend(begin(&partition, core));
            }
        }
        if parts.is_empty() {
            return Ok(());
        }
        let result = self.run(&parts).await;
        let totals = &self.totals.totals;
        let counter = if result.is_ok() { &totals.commits } else { &totals.commits_failed };
        counter.fetch_add(1, Relaxed);
        result
    }

    async fn run(&self, parts: &[Part]) -> Result<(), CommitError> {
        tracing::trace!(partitions = parts.len(), "commit begins");
        if self.outputs.emits() {
            self.outputs.flush().await?;
        }
        tracing::trace!("what was emitted is acknowledged");
        let rows: usize = parts.iter().map(|part| part.rows).sum();
        if rows > 0 {
            for part in parts {
                self.write_rows(part).await?;
            }
            self.outputs.flush().await?;
            self.totals.totals.rows.fetch_add(rows as u64, Relaxed);
        }
        tracing::trace!(rows, "rows are acknowledged");
        self.commit_offsets(parts).await?;
        tracing::trace!("offsets are committed");
        for part in parts {
            self.end(part).await;
        }
        Ok(())
    }

    async fn write_rows(&self, part: &Part) -> Result<(), CommitError> {
        if part.rows == 0 {
            return Ok(());
        }
        let partition = &part.partition;
        let mut marks = Marks::new(part, self.with_marks);
        let mut written = 0;
        while written < part.rows && !partition.is_lost() {
            let core = &mut *partition.core.lock().await;
            let Core { task, progress, guards } = core;
            let Some(table) = task.as_mut().and_then(|task| task.table()) else { return Ok(()) };
            for _ in 0..ROWS_PER_TURN {
                let row =
                    table.next_dirty().map_err(|source| self.table_error(partition, source))?;
                let Some((key, value)) = row else { return Ok(()) };
                let mark = marks.of(key, progress, guards);
                match self.outputs.try_row(partition.number, key, value, mark) {
                    Ok(()) => {}
                    Err(EmitError::Failed(error)) => return Err(CommitError::Fatal(error)),
                    Err(EmitError::Full) => {
                        let sent = self.outputs.row(partition.number, key, value, mark).await;
                        sent.map_err(CommitError::Fatal)?;
                    }
                }
                table.advance();
                written += 1;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn table_error(&self, partition: &Partition, source: crate::BoxError) -> CommitError {
        let table = TopicPartition::new(self.outputs.table_topic(), partition.number);
        CommitError::Fatal(ProcessorError::Table { table, source })
    }

    /// Commits until it worked, or until nothing is left to commit: a partition that was lost is somebody else's.
    async fn commit_offsets(&self, parts: &[Part]) -> Result<(), CommitError> {
        loop {
            let mut offsets = Vec::new();
            for part in parts.iter().filter(|part| !part.partition.is_lost()) {
                for (input, offset) in part.offsets.iter().enumerate() {
                    let Some(offset) = *offset else { continue };
                    let topic = Arc::clone(&part.partition.topics[input]);
                    let name = TopicPartition::new(topic, part.partition.number);
                    offsets.push((name, Position::at(offset)));
                }
            }
            if offsets.is_empty() {
                return Ok(());
            }
            match self.group.commit(offsets).await {
                Ok(()) => return Ok(()),
                Err(group::CommitError::NotOwned { partition, .. }) => {
                    // It went to somebody else before the event of that was handled here.
                    let lost =
                        parts.iter().find(|part| part.partition.number == partition.partition);
                    if let Some(lost) = lost {
                        tracing::warn!(%partition, "not held any more: dropping what is not committed");
                        lost.partition.stop.stop(Stop::Now);
                    }
                }
                Err(group::CommitError::Client(error)) if cluster::may_pass(&error) => {
                    tracing::warn!(%error, "offsets are not committed yet");
                    tokio::time::sleep(OFFSETS_RETRY).await;
                }
                Err(group::CommitError::Client(source)) => {
                    let action = "committing offsets".to_owned();
                    return Err(CommitError::Fatal(ProcessorError::Refused { action, source }));
                }
                Err(group::CommitError::Group(error)) => {
                    return Err(CommitError::Fatal(error.into()));
                }
                Err(error) => {
                    tracing::warn!(%error, "offsets are not committed yet");
                    tokio::time::sleep(OFFSETS_RETRY).await;
                }
            }
        }
    }

    /// Step 5, and everything that the commit's end changes.
    async fn end(&self, part: &Part) {
        let partition = &part.partition;
        let core = &mut *partition.core.lock().await;
        if partition.is_lost() {
            return;
        }
        for (input, offset) in part.offsets.iter().enumerate() {
            let Some(offset) = *offset else { continue };
            core.progress[input].commit(offset);
            partition.counters.inputs[input].committed.store(offset, Relaxed);
        }
        let acked = (part.rows > 0).then(|| self.outputs.acked_row(partition.number)).flatten();
        core.guards.committed(&part.positions);
        let floor = core.guards.floor().unwrap_or(i64::MAX);
        if let Some(table) = core.table() {
            table.end_commit(acked.map(|offset| (offset + 1).min(floor)));
            if floor == i64::MAX {
                table.caught_up(part.began_ms);
            }
        }
    }
}

/// Marks the state between two records; none if there is nothing to commit.
fn begin(partition: &Rc<Partition>, core: &mut Core) -> Option<Part> {
    let offsets: Vec<Option<i64>> =
        core.progress.iter().map(|progress| progress.to_commit()).collect();
    let rows = core.table().map_or(0, |table| table.dirty_rows());
    if rows == 0 && offsets.iter().all(Option::is_none) {
        return None;
    }
    if let Some(table) = core.table() {
        table.begin_commit();
    }
    let positions = core.progress.iter().map(|progress| progress.position()).collect();
    let began_ms = now_ms();
    Some(Part { partition: Rc::clone(partition), positions, offsets, rows, began_ms })
}

/// The marks of one partition's rows: nearly always the same for all.
struct Marks<'a> {
    part: &'a Part,
    hashes: Vec<u32>,
    common: Vec<u8>,
    own: Vec<u8>,
    enabled: bool,
}

impl<'a> Marks<'a> {
    fn new(part: &'a Part, enabled: bool) -> Self {
        let hashes = part.partition.topics.iter().map(|topic| mark::topic_hash(topic)).collect();
        Self { part, hashes, common: Vec::new(), own: Vec::new(), enabled }
    }

    fn of(
        &mut self,
        key: &[u8],
        progress: &[super::offsets::Progress],
        guards: &mark::Guards,
    ) -> Option<&[u8]> {
        if !self.enabled {
            return None;
        }
        let span = |input: usize, to: i64| Span {
            topic: self.hashes[input],
            from: progress[input].base(),
            to,
        };
        let positions = self.part.positions.iter().copied().enumerate();
        if guards.concern(key) {
            self.own.clear();
            let spans =
                positions.map(|(input, position)| span(input, guards.reach(input, position, key)));
            mark::encode(spans, &mut self.own);
            return Some(&self.own);
        }
        if self.common.is_empty() {
            mark::encode(
                positions.map(|(input, position)| span(input, position)),
                &mut self.common,
            );
        }
        Some(&self.common)
    }
}

impl From<ProduceError> for CommitError {
    fn from(error: ProduceError) -> Self {
        match error {
            ProduceError::DeliveryTimeout { .. } | ProduceError::Closed { .. } => {
                Self::Unknown(error)
            }
            error => {
                let topic = error.partition().map_or("the cluster", |(topic, _)| topic).to_owned();
                Self::Fatal(ProcessorError::Write { topic, source: error.into() })
            }
        }
    }
}
