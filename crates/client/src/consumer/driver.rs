//! Does what the [engine](super::engine) says, on the I/O thread.
//!
//! One task owns the engine. Each request runs as a task of its own and reports back; nothing that is under way is
//! ever dropped half done.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use roka_protocol::{
    ErrorCode,
    messages::{
        fetch::{FetchRequest, FetchResponse},
        list_offsets::ListOffsetsRequest,
        offset_for_leader_epoch::OffsetForLeaderEpochRequest,
    },
};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use super::{
    FetcherConfig, Position,
    engine::{
        Action, Command, Engine, FetchFailure, FetchPlan, Fetched, ListWant, Slot, ValidateWant,
    },
    queue::Shared,
    session::SessionPlan,
    wire,
};
use crate::{
    Address, ApiKey, Broker, NodeId, SendError,
    connection::Lane,
    core::Core,
    metadata::{Hint, Why},
};

/// Requests that are under way are at most a few per broker.
const ANSWERS_MAX: usize = 64;
/// How long the brokers have to hear that the sessions are over.
const GOODBYE: Duration = Duration::from_secs(1);

/// Numbers the fetchers of this process, for connections of their own.
static FETCHERS: AtomicU32 = AtomicU32::new(0);

/// What users want, until the driver takes it.
#[derive(Default)]
pub(super) struct Mailbox {
    commands: Mutex<(Vec<Command>, bool)>,
    queues: Mutex<Vec<Weak<Shared>>>,
    /// Nothing comes any more; a queue that is made now ends at once.
    ended: AtomicBool,
    /// Rung by users and by readers that gave back bytes.
    pub(super) wake: Arc<Notify>,
}

impl Mailbox {
    pub(super) fn put(&self, commands: impl IntoIterator<Item = Command>) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).0.extend(commands);
        self.wake.notify_one();
    }

    pub(super) fn close(&self) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.wake.notify_one();
    }

    /// Remembers the queue, so that its reader learns of the end.
    pub(super) fn add_queue(&self, queue: &Arc<Shared>) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(queue));
        if self.ended.load(Ordering::SeqCst) {
            queue.close();
        }
    }

    /// Ends all queues: their readers get what is in them, and then nothing any more.
    fn close_queues(&self) {
        self.ended.store(true, Ordering::SeqCst);
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.iter().filter_map(Weak::upgrade).for_each(|queue| queue.close());
    }

    fn take(&self) -> (Vec<Command>, bool) {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut commands.0), commands.1)
    }
}

type Lookup<W> = Vec<(W, Result<Option<Position>, Option<ErrorCode>>)>;

enum Answer {
    Fetched { node: NodeId, slot: Slot, result: Result<Fetched, FetchFailure> },
    Listed(Lookup<ListWant>),
    Validated(Lookup<ValidateWant>),
}

/// The task of a fetcher.
pub(super) struct Driver {
    core: Arc<Core>,
    config: FetcherConfig,
    lane: Lane,
    engine: Engine,
    mailbox: Arc<Mailbox>,
    answers: mpsc::Sender<Answer>,
}

impl Driver {
    /// Runs until the mailbox or the client is closed.
    pub(super) fn run(
        core: Arc<Core>,
        config: FetcherConfig,
        mailbox: Arc<Mailbox>,
    ) -> impl Future<Output = ()> {
        let ends_queues = EndsQueues(Arc::clone(&mailbox));
        async move {
            let _ends_queues = ends_queues;
            Self::serve(core, config, mailbox).await;
        }
    }

    async fn serve(core: Arc<Core>, config: FetcherConfig, mailbox: Arc<Mailbox>) {
        let rng = core.with_rng(fastrand::Rng::fork);
        let engine = Engine::new(config.clone(), core.config(), rng, Instant::now());
        let (answers, mut incoming) = mpsc::channel(ANSWERS_MAX);
        let mut changes = core.metadata_changed();
        let lane = Lane::Fetch(FETCHERS.fetch_add(1, Ordering::Relaxed));
        let mut driver = Self { core, config, lane, engine, mailbox, answers };
        while driver.turn() {
            let wake_at = driver.engine.wake_at();
            // All of these only wait: none is cut short in the middle of anything.
            tokio::select! {
                () = driver.mailbox.wake.notified() => {}
                answer = incoming.recv() => {
                    if let Some(answer) = answer {
                        driver.answer(answer);
                    }
                    while let Ok(answer) = incoming.try_recv() {
                        driver.answer(answer);
                    }
                }
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(wake_at.unwrap_or_else(Instant::now)),
                    if wake_at.is_some() => {}
            }
        }
        driver.goodbye().await;
    }

    /// Takes in what there is and sends what can be sent. False at the end.
    fn turn(&mut self) -> bool {
        let (commands, closed) = self.mailbox.take();
        if closed || self.core.is_closed() {
            return false;
        }
        let now = Instant::now();
        for command in commands {
            match &command {
                Command::Assign { name, .. } => self.core.track_topics(&[&name.topic]),
                Command::Unassign(name) => self.core.untrack_topics(&[&name.topic]),
                _ => {}
            }
            self.engine.command(command, now);
        }
        self.engine.update(&self.core.metadata(), now);
        for action in self.engine.poll(now) {
            self.act(action);
        }
        self.engine.ring();
        true
    }

    fn answer(&mut self, answer: Answer) {
        let now = Instant::now();
        match answer {
            Answer::Fetched { node, slot, result } => {
                match &result {
                    Ok(fetched) => self.hints(&fetched.response),
                    Err(_) => self.core.recorder.error(ApiKey::Fetch),
                }
                self.engine.update(&self.core.metadata(), now);
                self.engine.fetched(node, slot, result, now);
            }
            Answer::Listed(all) => {
                for (want, result) in all {
                    self.engine.listed(&want, result, now);
                }
            }
            Answer::Validated(all) => {
                for (want, result) in all {
                    self.engine.validated(&want, result, now);
                }
            }
        }
    }

    /// Leaders that the answer names (KIP-951).
    fn hints(&self, response: &FetchResponse) {
        let mut partitions = response.responses.iter().flat_map(|it| &it.partitions);
        if response.error_code != 0 || partitions.any(|it| it.error_code != 0) {
            self.core.recorder.error(ApiKey::Fetch);
        }
        let metadata = self.core.metadata();
        let mut leaders = Vec::new();
        for topic in &response.responses {
            for data in &topic.partitions {
                let Some(leader) = NodeId::known(data.current_leader.leader_id) else { continue };
                let known = match topic.topic.as_str() {
                    "" => metadata.topic_by_id(topic.topic_id),
                    name => metadata.topic(name),
                };
                let Some(known) = known else { continue };
                leaders.push(Hint {
                    topic: known.name.clone(),
                    partition: data.partition_index,
                    leader,
                    leader_epoch: data.current_leader.leader_epoch,
                });
            }
        }
        if leaders.is_empty() {
            return;
        }
        let broker = |it: &roka_protocol::messages::fetch::NodeEndpoint| {
            Some(Broker {
                id: NodeId::known(it.node_id)?,
                address: Address::new(it.host.clone(), u16::try_from(it.port).ok()?),
                rack: it.rack.as_deref().map(Arc::from),
            })
        };
        let brokers = response.node_endpoints.iter().filter_map(broker).collect();
        self.core.apply_leader_hints(leaders, brokers);
    }

    fn act(&self, action: Action) {
        let (core, config, lane) = (self.core.clone(), self.config.clone(), self.lane);
        let answers = self.answers.clone();
        match action {
            Action::Refresh { after } => self.core.request_refresh(after, Why::Stale),
            Action::Fetch { node, slot, plan } => {
                self.core.spawn(async move {
                    let result = fetch(&core, &config, (node, lane_of(slot, lane)), &plan).await;
                    // The driver is gone if nobody takes it.
                    let _ = answers.send(Answer::Fetched { node, slot, result }).await;
                });
            }
            Action::List { node, wants } => {
                self.core.spawn(async move {
                    let results = list(&core, &config, node, &wants).await;
                    let results = wants.into_iter().zip(results).collect();
                    let _ = answers.send(Answer::Listed(results)).await;
                });
            }
            Action::Validate { node, wants } => {
                self.core.spawn(async move {
                    let results = validate(&core, node, lane, &wants).await;
                    let results = wants.into_iter().zip(results).collect();
                    let _ = answers.send(Answer::Validated(results)).await;
                });
            }
        }
    }

    /// Gives back what the brokers hold for us, as far as they can be reached.
    async fn goodbye(self) {
        let sessions = self.engine.sessions();
        let topics: Vec<_> = self.engine.topics().collect();
        self.core.untrack_topics(&topics);
        self.mailbox.close_queues();
        if self.core.is_closed() {
            return;
        }
        for (node, id) in sessions {
            let (core, config) = (self.core.clone(), self.config.clone());
            let plan = FetchPlan {
                session: SessionPlan::close(id),
                max_wait: Duration::ZERO,
                max_bytes: 1,
                ids_known: true,
                replicas: false,
            };
            let close = async move { fetch(&core, &config, (node, Lane::General), &plan).await };
            // Whether it succeeds is of no consequence: brokers let go of idle sessions too.
            let _ = tokio::time::timeout(GOODBYE, close).await;
        }
        for node in self.engine.nodes() {
            if let Some(connection) = self.core.connections.existing(node, self.lane) {
                connection.retire();
            }
        }
    }
}

/// Ends the queues when the driver's task is gone, also if the I/O thread ended before it ran for the first time.
struct EndsQueues(Arc<Mailbox>);

impl Drop for EndsQueues {
    fn drop(&mut self) {
        self.0.close_queues();
    }
}

/// What must not wait behind a long poll goes where there are none.
fn lane_of(slot: Slot, own: Lane) -> Lane {
    match slot {
        Slot::Regular => own,
        Slot::Express => Lane::General,
    }
}

async fn fetch(
    core: &Arc<Core>,
    config: &FetcherConfig,
    (node, lane): (NodeId, Lane),
    plan: &FetchPlan,
) -> Result<Fetched, FetchFailure> {
    let patience = core.config().request_timeout + plan.max_wait;
    let send = async {
        let connection = core.connection(node, lane).await?;
        let cap = (!plan.ids_known).then_some(wire::FETCH_BY_ID - 1);
        let version = connection.version_of::<FetchRequest>(cap)?;
        if version < wire::FETCH_SESSIONS && plan.session.is_incremental() {
            return Ok(None);
        }
        let request = wire::fetch(plan, config, core.config().rack.as_deref(), version);
        let response = connection.start_in(version, &request, patience)?.await?;
        Ok(Some(Fetched { response, version }))
    };
    match send.await {
        Ok(Some(fetched)) => Ok(fetched),
        Ok(None) => Err(FetchFailure::NoSessions),
        Err(error) => {
            report("Fetch", node, &error);
            Err(FetchFailure::Unanswered)
        }
    }
}

async fn list(
    core: &Arc<Core>,
    config: &FetcherConfig,
    node: NodeId,
    wants: &[ListWant],
) -> Vec<Result<Option<Position>, Option<ErrorCode>>> {
    let send = async {
        let connection = core.connection(node, Lane::General).await?;
        let version = connection.version_of::<ListOffsetsRequest>(None)?;
        let request = wire::list(wants, config, version, now_ms());
        connection.start_in(version, &request, core.config().request_timeout)?.await
    };
    match send.await {
        Ok(response) => wants.iter().map(|want| wire::listed(&response, want)).collect(),
        Err(error) => {
            report("ListOffsets", node, &error);
            vec![Err(None); wants.len()]
        }
    }
}

async fn validate(
    core: &Arc<Core>,
    node: NodeId,
    lane: Lane,
    wants: &[ValidateWant],
) -> Vec<Result<Option<Position>, Option<ErrorCode>>> {
    let send = async {
        let fetch = core.version_of::<FetchRequest>(node, lane).await?;
        if fetch >= wire::FETCH_VALIDATES {
            // The broker compares by itself, with each Fetch.
            return Ok(None);
        }
        let connection = core.connection(node, Lane::General).await?;
        let request = wire::validate(wants);
        // Before version 2 the broker cannot tell whether it is the leader we think it is.
        let version = match connection.version_of::<OffsetForLeaderEpochRequest>(None) {
            Ok(version @ 2..) => version,
            Ok(_) | Err(SendError::UnsupportedVersion { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let timeout = core.config().request_timeout;
        connection.start_in(version, &request, timeout)?.await.map(Some)
    };
    match send.await {
        Ok(Some(response)) => wants.iter().map(|want| wire::validated(&response, want)).collect(),
        Ok(None) => vec![Ok(None); wants.len()],
        Err(error) => {
            report("OffsetForLeaderEpoch", node, &error);
            vec![Err(None); wants.len()]
        }
    }
}

/// Milliseconds since 1970 by the system's clock.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn report(api: &str, node: NodeId, error: &SendError) {
    match error {
        // It was not even tried: the attempt before was reported.
        SendError::Connect { dialled: false, .. } | SendError::Security { dialled: false, .. } => {}
        error if error.is_retriable() => {
            tracing::debug!(%node, %error, "{api} failed; trying again");
        }
        error => tracing::warn!(%node, %error, "{api} failed; trying again"),
    }
}
