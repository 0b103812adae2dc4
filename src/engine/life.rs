//! The life of a partition on a worker: stores, recovery, processing, and again after a failure.
//!
//! 1. The stores of its tables are opened, once.
//! 2. The committed offsets and the ends of its logs are asked for.
//! 3. The group table and the joined tables are read, all at once, beside the partitions that are already processing.
//! 4. Where an input has nothing committed and begins at its end, that is committed before anything is processed: after a
//!    crash it begins there and not at the end of that time.
//! 5. Records are processed, and joined tables followed, until the partition is to stop. A restart goes back to 2.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use roka_client::TopicPartition;
use tokio::{sync::Mutex, task::JoinSet};

use super::{
    cluster,
    commit::CommitError,
    error::ProcessorError,
    feed::{Begin, Feeds},
    mark::{self, Guards},
    offsets::Progress,
    partition::{Core, Partition, Stop, Stopper},
    recovery::Bounds,
    state::State,
    stats::PartitionCounters,
    tables::{TableReader, Which},
    worker::{Worker, report},
};
use crate::{Start, graph::Kind, task::TaskTables};

/// A partition from its assignment on.
pub(crate) struct Life {
    worker: Rc<Worker>,
    number: i32,
    places: Vec<usize>,
    topics: Vec<Arc<str>>,
    table: Option<Arc<str>>,
    joins: Vec<Arc<str>>,
    stop: Rc<Stopper>,
}

/// What the cluster says of the partition's logs.
struct Logs {
    committed: BTreeMap<TopicPartition, i64>,
    bounds: BTreeMap<TopicPartition, Bounds>,
}

impl Life {
    /// Of the inputs at `places` of the graph.
    pub(crate) fn new(
        worker: Rc<Worker>,
        number: i32,
        places: Vec<usize>,
        stop: Rc<Stopper>,
    ) -> Self {
        let topology = &worker.shared.topology;
        let topics = places.iter().map(|&place| Arc::from(topology.input(place).topic)).collect();
        let table = topology.table_topic().map(Arc::from);
        let joins =
            topology.edges().of(Kind::Join).iter().map(|edge| Arc::from(&*edge.topic)).collect();
        Self { worker, number, places, topics, table, joins, stop }
    }

    /// Lives until the partition is to stop for good. Gives the partition, whose stores are still open.
    pub(crate) async fn live(self) -> Option<Rc<Partition>> {
        let shared = &self.worker.shared;
        shared.board.set_partition(self.number, State::Recovering);
        let partition = tokio::select! {
            biased;
            () = self.stop.any() => return None,
            opened = self.open() => match opened {
                Ok(partition) => Rc::new(partition),
                Err(error) => return self.failed(error),
            },
        };
        shared.counters.add(self.number, Arc::clone(&partition.counters));
        loop {
            let lived = self.once(&partition).await;
            if self.stop.get() > Stop::Restart {
                return Some(partition);
            }
            if let Err(error) = lived {
                self.failed(error);
                // The processor ends; until then the partition stands still, and what it did is committed.
                self.stop.any().await;
                return Some(partition);
            }
            shared.board.set_partition(self.number, State::Recovering);
            self.stop.begin_restart();
            if let Some(table) = partition.core.lock().await.table() {
                table.forget();
            }
        }
    }

    fn failed(&self, error: ProcessorError) -> Option<Rc<Partition>> {
        tracing::error!(partition = self.number, %error, "a partition cannot go on");
        report(&self.worker.shared.failures, error);
        None
    }

    async fn open(&self) -> Result<Partition, ProcessorError> {
        let shared = &self.worker.shared;
        let open = async |topic: &Arc<str>| {
            let store = shared.stores.open(topic, self.number).await;
            store.map_err(|source| ProcessorError::Store { table: self.name(topic), source })
        };
        let table = match &self.table {
            Some(topic) => Some(open(topic).await?),
            None => None,
        };
        let mut joins = Vec::new();
        for topic in &self.joins {
            joins.push(open(topic).await?);
        }
        let tables = TaskTables {
            table,
            joins,
            lookups: shared.lookups.clone(),
            cache_bytes_max: shared.config.cache_bytes_max / shared.partitions.max(1),
        };
        let task = Arc::clone(&shared.topology).task(tables);
        let tables: Vec<Arc<str>> = self.table.iter().chain(&self.joins).cloned().collect();
        Ok(Partition {
            number: self.number,
            places: self.places.clone(),
            topics: self.topics.clone(),
            core: Mutex::new(Core {
                task: Some(task),
                progress: Vec::new(),
                guards: Guards::default(),
            }),
            outputs: Rc::clone(&self.worker.outputs),
            counters: Arc::new(PartitionCounters::new(&self.topics, &tables)),
            totals: Arc::clone(&shared.counters),
            pressure: Rc::clone(&self.worker.pressure),
            stop: Rc::clone(&self.stop),
        })
    }

    fn name(&self, topic: &Arc<str>) -> TopicPartition {
        TopicPartition::new(Arc::clone(topic), self.number)
    }

    /// From the committed offsets to the next stop or restart.
    async fn once(&self, partition: &Rc<Partition>) -> Result<(), ProcessorError> {
        let prepared = tokio::select! {
            biased;
            () = self.stop.any() => return Ok(()),
            prepared = self.prepare(partition) => prepared?,
        };
        let (begins, mut followers) = prepared;
        self.worker.committer.add(partition);
        if self.begins_at_end(partition).await && !self.commit_start().await? {
            return Ok(());
        }
        let shared = &self.worker.shared;
        shared.board.set_partition(self.number, State::Running);
        let feeds = Feeds::new(&shared.fetcher, shared.config.isolation, self.number, &begins);
        let result = partition.run(feeds).await;
        followers.shutdown().await;
        result
    }

    /// Steps 2 and 3: everything before the first record.
    async fn prepare(
        &self,
        partition: &Rc<Partition>,
    ) -> Result<(Vec<Begin>, JoinSet<()>), ProcessorError> {
        let logs = self.ask().await?;
        let begins = self.begins(&logs);
        {
            let core = &mut *partition.core.lock().await;
            let starts = begins.iter().map(|begin| mark::Start {
                topic: mark::topic_hash(&begin.topic),
                offset: begin.position,
            });
            core.guards = Guards::new(starts.collect());
            core.progress = begins
                .iter()
                .map(|begin| {
                    Progress::new(
                        begin.position,
                        logs.committed.get(&self.name(&begin.topic)).copied(),
                    )
                })
                .collect();
        }
        for (counters, begin) in partition.counters.inputs.iter().zip(&begins) {
            counters.position.store(begin.position, Relaxed);
            counters.end.store(begin.end, Relaxed);
            let committed = logs.committed.get(&self.name(&begin.topic)).copied();
            counters.committed.store(committed.unwrap_or(-1), Relaxed);
        }
        let followers = self.read_tables(partition, &logs).await?;
        Ok((begins, followers))
    }

    async fn ask(&self) -> Result<Logs, ProcessorError> {
        let shared = &self.worker.shared;
        let inputs: Vec<TopicPartition> =
            self.topics.iter().map(|topic| self.name(topic)).collect();
        let tables = self.table.iter().chain(&self.joins).map(|topic| self.name(topic));
        let all: BTreeSet<TopicPartition> = inputs.iter().cloned().chain(tables).collect();
        let all: Vec<TopicPartition> = all.into_iter().collect();
        let committed = cluster::patiently("reading committed offsets", async || {
            shared.group.committed(&inputs).await
        });
        let committed = committed.await?.into_iter();
        let committed =
            committed.filter_map(|(name, committed)| Some((name, committed?.position.offset)));
        let committed = committed.collect();
        let bounds = cluster::bounds(&shared.client, shared.config.isolation, &all).await?;
        Ok(Logs { committed, bounds })
    }

    /// Where each input begins.
    fn begins(&self, logs: &Logs) -> Vec<Begin> {
        let shared = &self.worker.shared;
        let begin = |(topic, place): (&Arc<str>, &usize)| {
            let name = self.name(topic);
            let Bounds { start, end } = logs.bounds[&name];
            let position = match logs.committed.get(&name) {
                Some(&committed) => committed,
                None => match shared.topology.input(*place).start.unwrap_or(shared.config.start) {
                    Start::Earliest => start,
                    Start::Latest => end,
                },
            };
            Begin { topic: Arc::clone(topic), position, end }
        };
        self.topics.iter().zip(&self.places).map(begin).collect()
    }

    /// Whether an input begins at its end with nothing committed.
    async fn begins_at_end(&self, partition: &Partition) -> bool {
        let shared = &self.worker.shared;
        let core = partition.core.lock().await;
        self.places.iter().zip(&core.progress).any(|(&place, progress)| {
            let start = shared.topology.input(place).start.unwrap_or(shared.config.start);
            start == Start::Latest && progress.to_commit().is_some()
        })
    }

    /// Commits where the inputs begin. False if the partition is to begin again.
    async fn commit_start(&self) -> Result<bool, ProcessorError> {
        match self.worker.committer.commit().await {
            Ok(()) => Ok(true),
            Err(CommitError::Unknown(_)) => {
                self.worker.restart_all();
                Ok(false)
            }
            Err(CommitError::Fatal(error)) => Err(error),
        }
    }

    /// Reads all tables up to their ends, then leaves tasks that follow the joined ones.
    async fn read_tables(
        &self,
        partition: &Rc<Partition>,
        logs: &Logs,
    ) -> Result<JoinSet<()>, ProcessorError> {
        let mut readers = JoinSet::new();
        let group = self.table.iter().map(|topic| (topic, Which::Group));
        let joins = self.joins.iter().enumerate().map(|(place, topic)| (topic, Which::Join(place)));
        for (topic, which) in group.chain(joins) {
            let bounds = logs.bounds[&self.name(topic)];
            let reader = TableReader::new(&self.worker, partition, topic, which, bounds).await;
            readers.spawn_local(reader.recover());
        }
        let mut followers = JoinSet::new();
        while let Some(read) = readers.join_next().await {
            // A reader that panicked has said so; without it the partition cannot go on.
            let Ok(read) = read else { continue };
            let reader = read?;
            if reader.is_join() {
                followers.spawn_local(reader.follow());
            }
        }
        Ok(followers)
    }
}
