//! One call, many brokers: items go to the leaders of their partitions, or each to its own broker.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;

use roka_protocol::{ApiKey, ErrorCode};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::action::{self, Action};
use crate::core::Core;
use crate::late::LATE;
use crate::metadata::{Tracked, Why};
use crate::retry::Deadline;
use crate::router::{TOPIC_PROPAGATION, Target};
use crate::{Error, Metadata, NodeId, SendError, Subject, TopicPartition};

/// Calls under way at a time.
const AT_ONCE: usize = 32;

/// Runs `call` for each item, some at a time; results in the order of the items.
pub(super) async fn each<I, T, F>(items: Vec<I>, call: impl Fn(I) -> F) -> Vec<Result<T, Error>>
where
    F: Future<Output = Result<T, Error>> + Send + 'static,
    T: Send + 'static,
{
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut results: Vec<_> = items.iter().map(|_| None).collect();
    let mut calls = JoinSet::new();
    for (index, item) in items.into_iter().enumerate() {
        let (permits, call) = (permits.clone(), call(item));
        calls.spawn(async move {
            // Never closed, so the permit is there or the task is gone.
            let _permit = permits.acquire().await;
            (index, call.await)
        });
    }
    while let Some(done) = calls.join_next().await {
        if let Ok((index, result)) = done {
            results[index] = Some(result);
        }
    }
    results.into_iter().map(|result| result.unwrap_or(Err(Error::Closed))).collect()
}

/// An item on its way to the leader of its partition.
#[derive(Debug, Clone)]
pub(super) struct Item<I> {
    pub(super) at: TopicPartition,
    pub(super) leader_epoch: i32,
    pub(super) value: I,
}

/// What a broker said about items, by partition. One that it leaves out is asked for again.
pub(super) type Answers<T> = HashMap<TopicPartition, Result<T, ErrorCode>>;

/// Asks the leaders of the items' partitions, each once for all of its items, and again for those that
/// failed in a way that can pass.
pub(super) async fn leaders<I, T, F>(
    core: Arc<Core>,
    deadline: Deadline,
    api: ApiKey,
    items: Vec<(TopicPartition, I)>,
    ask: impl Fn(Arc<Core>, NodeId, Vec<Item<I>>) -> F,
) -> Result<Vec<Result<T, Error>>, Error>
where
    I: Clone + Send + 'static,
    F: Future<Output = Result<Answers<T>, SendError>> + Send + 'static,
    T: Send + 'static,
{
    let topics: Vec<_> = items.iter().map(|(at, _)| at.topic.clone()).collect();
    let _tracked = Tracked::new(&core, topics);
    let mut run = Run {
        results: items.iter().map(|_| None).collect(),
        last: items.iter().map(|_| None).collect(),
        asked: HashMap::new(),
        stale: false,
        core,
        api,
        items,
        started: Instant::now(),
        deadline,
    };
    let mut backoff = run.core.backoff();
    loop {
        let metadata = run.core.metadata();
        let groups = run.located(&metadata);
        let progress = run.round(groups, &ask).await;
        if run.results.iter().all(Option::is_some) {
            return Ok(run.results.into_iter().flatten().collect());
        }
        if deadline.passed(Instant::now()) {
            return Ok(run.timed_out());
        }
        if progress {
            backoff.reset();
        }
        if run.stale {
            run.core.request_refresh(metadata.generation, Why::Stale);
        }
        // What failed may live elsewhere by now; only if it does not, there is a wait, and news ends it.
        let wait = run.core.next_wait(&mut backoff);
        let mut changes = run.core.metadata_changed();
        let moved = changes.wait_for(|metadata| run.anything_moved(metadata));
        let _ = timeout_at((Instant::now() + wait).min(deadline.at()), moved).await;
        if run.core.is_closed() {
            return Err(Error::Closed);
        }
    }
}

struct Run<I, T> {
    core: Arc<Core>,
    api: ApiKey,
    items: Vec<(TopicPartition, I)>,
    results: Vec<Option<Result<T, Error>>>,
    /// What the last attempt met.
    last: Vec<Option<Error>>,
    /// Where each item was asked for last.
    asked: HashMap<usize, (NodeId, i32)>,
    /// Whether the metadata led astray in the last round.
    stale: bool,
    started: Instant,
    deadline: Deadline,
}

impl<I: Clone + Send + 'static, T: Send + 'static> Run<I, T> {
    fn subject(&self, index: usize) -> Subject {
        let at = &self.items[index].0;
        Subject::Partition(at.topic.clone(), at.partition)
    }

    fn open(&self) -> impl Iterator<Item = usize> {
        (0..self.items.len()).filter(|index| self.results[*index].is_none())
    }

    /// The open items by leader. Those of partitions that do not exist are done.
    fn located(&mut self, metadata: &Metadata) -> BTreeMap<NodeId, Vec<usize>> {
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        self.stale = false;
        for index in self.open().collect::<Vec<_>>() {
            let at = &self.items[index].0;
            if let Some((node, epoch)) = metadata.leader(&at.topic, at.partition) {
                self.asked.insert(index, (node, epoch));
                groups.entry(node).or_default().push(index);
            } else if let Some(error) = self.absent(metadata, index) {
                self.results[index] = Some(Err(error));
            } else {
                self.stale = true;
            }
        }
        groups
    }

    fn absent(&mut self, metadata: &Metadata, index: usize) -> Option<Error> {
        let at = &self.items[index].0;
        let topic = metadata.topic(&at.topic)?;
        let partitions = topic.partitions.len() as i32;
        if topic.error.is_ok() {
            if (0..partitions).contains(&at.partition) {
                let leaderless = ErrorCode::LEADER_NOT_AVAILABLE;
                let error = Error::refused(ApiKey::Metadata, self.subject(index), leaderless);
                self.last[index] = Some(error);
                return None;
            }
            let (topic, partition) = (at.topic.clone(), at.partition);
            return Some(Error::NoSuchPartition { topic, partition, partitions });
        }
        let error = Error::refused(ApiKey::Metadata, self.subject(index), topic.error);
        let patient = Target::Leader(at.topic.clone(), 0).repeats(topic.error)
            && (topic.error != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                || self.started.elapsed() < TOPIC_PROPAGATION);
        if !patient {
            return Some(error);
        }
        self.last[index] = Some(error);
        None
    }

    /// Asks all leaders at the same time; whether anything was settled.
    async fn round<F>(
        &mut self,
        groups: BTreeMap<NodeId, Vec<usize>>,
        ask: &impl Fn(Arc<Core>, NodeId, Vec<Item<I>>) -> F,
    ) -> bool
    where
        F: Future<Output = Result<Answers<T>, SendError>> + Send + 'static,
    {
        let mut calls = JoinSet::new();
        for (node, indexes) in groups {
            let item = |index: &usize| {
                let (at, value) = self.items[*index].clone();
                let leader_epoch = self.asked.get(index).map_or(-1, |it| it.1);
                Item { at, leader_epoch, value }
            };
            let items: Vec<_> = indexes.iter().map(item).collect();
            let led: Vec<_> = items.iter().map(|it| (it.at.clone(), it.leader_epoch)).collect();
            let call = ask(self.core.clone(), node, items);
            let (core, deadline, api) = (self.core.clone(), self.deadline, self.api);
            let answer = async move {
                // The request is on its way whole; only its answer is dropped.
                tokio::select! {
                    answer = call => answer,
                    () = core.leader_replaced(&led, node) => {
                        Err(SendError::Timeout { node, api, after: LATE })
                    }
                }
            };
            calls.spawn(async move { (node, indexes, timeout_at(deadline.at(), answer).await) });
        }
        let mut progress = false;
        while let Some(done) = calls.join_next().await {
            let Ok((node, indexes, Ok(answer))) = done else { continue };
            match answer {
                Ok(mut answers) => {
                    for index in indexes {
                        let answer = answers.remove(&self.items[index].0);
                        progress |= self.take(index, answer);
                    }
                }
                Err(error) => {
                    if matches!(error, SendError::UnknownNode { .. }) {
                        self.core.unreachable(node);
                    }
                    let retried = error.is_retriable();
                    self.stale |= !matches!(error, SendError::Disconnected { .. });
                    let error = Error::from(error);
                    for index in indexes {
                        if retried {
                            self.last[index] = Some(error.clone());
                        } else {
                            self.results[index] = Some(Err(error.clone()));
                        }
                    }
                }
            }
        }
        progress
    }

    fn take(&mut self, index: usize, answer: Option<Result<T, ErrorCode>>) -> bool {
        let at = &self.items[index].0;
        let target = Target::Leader(at.topic.clone(), at.partition);
        let subject = self.subject(index);
        match answer {
            Some(Ok(value)) => self.results[index] = Some(Ok(value)),
            Some(Err(code)) if target.repeats(code) => {
                self.core.recorder.error(self.api);
                self.stale |= action::of(code) == Action::RetryAfterMetadata;
                self.last[index] = Some(Error::refused(self.api, subject, code));
                return false;
            }
            Some(Err(code)) => {
                self.results[index] = Some(Err(Error::refused(self.api, subject, code)));
            }
            None => {
                self.last[index] = Some(Error::Missing { api: self.api, subject });
                return false;
            }
        }
        true
    }

    fn anything_moved(&self, metadata: &Metadata) -> bool {
        self.open().any(|index| {
            let at = &self.items[index].0;
            let now = metadata.leader(&at.topic, at.partition);
            now.is_some() && now.as_ref() != self.asked.get(&index)
        })
    }

    fn timed_out(self) -> Vec<Result<T, Error>> {
        let after = self.started.elapsed();
        let api = self.api;
        let timeout = |at: &TopicPartition, last: Option<Error>| Error::Timeout {
            operation: format!("{api} for partition {}/{}", at.topic, at.partition),
            after,
            last: last.map(Box::new),
        };
        let results = self.results.into_iter().zip(self.last).zip(&self.items);
        results
            .map(|((result, last), (at, _))| result.unwrap_or_else(|| Err(timeout(at, last))))
            .collect()
    }
}
