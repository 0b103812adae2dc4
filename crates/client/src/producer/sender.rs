//! The task that delivers batches: one per producer, on the I/O runtime. It owns everything between a closed batch and
//! its acknowledgement, so that none of it needs a lock.
//!
//! Rules:
//! - One pass looks at what changed, then sends all that can be sent: per leader one request with at most one batch per
//!   partition, up to `request_bytes_max`, at most `max_in_flight` requests unanswered, partitions in turn.
//! - *Back off only if nothing newer than the failed attempt is known*: a partition whose leader is not the one that
//!   failed is sent again at once. All partitions that wait for news share one request for metadata.
//! - A partition without a leader waits for metadata and sends nothing.
//! - A leader whose acknowledgement is [late](crate::late) may have been replaced: metadata is asked for meanwhile.
//! - A batch is encoded for the broker that it goes to; a request for the version of its connection.

mod answers;
mod dispatch;
mod flushes;
mod part;
mod recreated;
mod transact;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use roka_protocol::messages::init_producer_id::InitProducerIdRequest;
use roka_protocol::{ApiKey, ErrorCode, Uuid};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use self::answers::Answered;
use self::dispatch::Link;
pub(crate) use self::flushes::Done;
use self::flushes::Flushes;
use self::part::Part;
pub(crate) use self::transact::{Call, Transactor};
use super::batch::Batch;
use super::error::{Obstacle, ProduceError};
use super::receipt::Written;
use super::sequencer::Identity;
use super::shared::Shared;
use super::slot::Slot;
use super::topic::TopicState;
use super::transaction::{Answer, Ask, TransactionError};
use crate::connection::{Connection, Lane};
use crate::core::Core;
use crate::metadata::Why;
use crate::retry::Deadline;
use crate::router::Target;
use crate::{Error, NodeId, SendError, Subject};

/// A batch that is open for that much longer than the linger time has to wait for something.
const SLOW: Duration = Duration::from_millis(10);

/// Numbers producers, for their lanes.
static PRODUCERS: AtomicU32 = AtomicU32::new(0);

/// What the sender is told.
#[derive(Debug)]
pub(crate) enum Event {
    /// Another topic; dropped when its partitions are there.
    Topic(Arc<TopicState>, tokio::sync::oneshot::Sender<()>),
    Flush(Done),
    /// Deliver what is there, then end.
    Close(Option<Done>),
    Connected(NodeId, Result<Connection, SendError>),
    Answered(Box<Answered>),
    /// A producer id, or none for brokers that have no such thing.
    Identity(Result<Option<Identity>, Error>),
    /// Something of a transaction; the number of the transaction is the answer.
    Call(Call, tokio::sync::oneshot::Sender<Result<u64, TransactionError>>),
    /// What a coordinator said about a transaction.
    Heard(Ask, Answer),
}

/// Whether and how batches are numbered. In transactions the identity comes from their coordinator, and a hole aborts
/// instead of beginning a new epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Not known yet: nothing is sent.
    Unknown,
    /// Without sequences.
    Plain,
    Idempotent(Identity),
}

impl Mode {
    fn identity(self) -> Option<Identity> {
        match self {
            Self::Idempotent(identity) => Some(identity),
            Self::Unknown | Self::Plain => None,
        }
    }
}

struct Topic {
    state: Arc<TopicState>,
    id: Uuid,
    /// Index of each partition's `Part`.
    parts: Vec<u32>,
}

/// See the module.
pub(crate) struct Sender {
    core: Arc<Core>,
    shared: Arc<Shared>,
    events: mpsc::UnboundedReceiver<Event>,
    tell: mpsc::UnboundedSender<Event>,
    /// Its own connections.
    lane: Lane,
    mode: Mode,
    /// A new identity is asked for.
    identifying: bool,
    /// None is asked for before: the last time there was none to be had.
    identify_at: Option<Instant>,
    topics: Vec<Topic>,
    parts: Vec<Part>,
    /// Partitions with something to do.
    busy: Vec<u32>,
    changed: Vec<u32>,
    links: HashMap<NodeId, Link>,
    flushes: Flushes,
    transaction: Option<Box<Transactor>>,
    /// The snapshot of the cluster that was looked at last, and the last one with news.
    generation: u64,
    news: u64,
    closing: bool,
}

impl Sender {
    pub(crate) fn new(
        core: Arc<Core>,
        shared: Arc<Shared>,
        transaction: Option<Box<Transactor>>,
    ) -> (Self, mpsc::UnboundedSender<Event>) {
        let (tell, events) = mpsc::unbounded_channel();
        let mode = if shared.config.idempotent { Mode::Unknown } else { Mode::Plain };
        let sender = Self {
            core,
            shared,
            events,
            tell: tell.clone(),
            lane: Lane::Produce(PRODUCERS.fetch_add(1, Ordering::Relaxed)),
            mode,
            identifying: false,
            identify_at: None,
            topics: Vec::new(),
            parts: Vec::new(),
            busy: Vec::new(),
            changed: Vec::new(),
            links: HashMap::new(),
            flushes: Flushes::default(),
            transaction,
            generation: 0,
            news: u64::MAX,
            closing: false,
        };
        (sender, tell)
    }

    /// Runs until the producer is closed and everything is delivered or given up.
    pub(crate) async fn run(mut self) {
        let shared = self.shared.clone();
        let mut metadata = self.core.metadata_changed();
        loop {
            shared.wake.is_awake();
            while let Ok(event) = self.events.try_recv() {
                self.handle(event);
            }
            let now = Instant::now();
            let due = self.pass(now);
            if self.closing && self.flushes.is_idle() && self.is_settled(now) {
                return;
            }
            shared.wake.sleeps(due <= now + shared.config.linger);
            if !shared.is_quiet() {
                continue;
            }
            // Nothing here is lost when another is ready first.
            tokio::select! {
                event = self.events.recv() => {
                    if let Some(event) = event {
                        shared.wake.is_awake();
                        self.handle(event);
                    }
                }
                () = shared.wake.woken() => {}
                changed = metadata.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = sleep_until(due) => {}
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Topic(state, done) => {
                let name = state.name.clone();
                self.topics.push(Topic { state, id: Uuid::default(), parts: Vec::new() });
                self.news = u64::MAX;
                self.learn();
                tracing::trace!(topic = %name, "producing");
                // Whoever asked may be gone.
                let _ = done.send(());
            }
            Event::Flush(done) => {
                self.collect_all();
                self.flushes.add(done);
            }
            Event::Close(done) => {
                self.closing = true;
                self.abandon();
                self.parts.iter().for_each(|part| part.slot.end());
                self.collect_all();
                if let Some(done) = done {
                    self.flushes.add(done);
                }
            }
            Event::Connected(node, connected) => self.connected(node, connected),
            Event::Answered(answered) => self.answered(*answered),
            Event::Identity(identity) => self.identified(identity),
            Event::Call(call, done) => self.call(call, done),
            Event::Heard(ask, answer) => self.heard(&ask, answer),
        }
    }

    /// Looks at everything that may have changed, sends what can be sent; when to look again.
    fn pass(&mut self, now: Instant) -> Instant {
        self.learn();
        self.shared.take_changed(&mut self.changed);
        let pressed = self.shared.pressed.swap(false, Ordering::SeqCst);
        let changed = std::mem::take(&mut self.changed);
        for &index in &changed {
            self.collect(index, pressed);
        }
        self.changed = changed;
        self.changed.clear();
        if pressed {
            for index in self.busy.clone() {
                self.collect(index, true);
            }
        }
        self.give_up(now);
        if self.transaction.is_some() {
            self.transact(now);
        } else {
            self.identify(now);
        }
        self.dispatch(now);
        self.rest(now)
    }

    /// Forgets partitions that have nothing to do; when the first of the others has.
    fn rest(&mut self, now: Instant) -> Instant {
        let config = &self.shared.config;
        let (linger, delivery) = (config.linger, config.delivery_timeout);
        let mut due = now + delivery;
        let mut lost = false;
        let parts = &mut self.parts;
        self.busy.retain(|&index| {
            let part = &mut parts[index as usize];
            part.busy = !part.is_idle();
            if part.busy {
                due = part.due(now, linger, delivery).map_or(due, |at| at.min(due));
                lost |= part.leader.is_none();
                if part.opened.is_some_and(|opened| opened + linger + SLOW < now) {
                    part.slot.slow.store(true, Ordering::Relaxed);
                }
            }
            part.busy
        });
        for (node, link) in &mut self.links {
            if link.is_late(now) {
                tracing::debug!(%node, "an acknowledgement is late");
                lost = true;
            }
        }
        if lost {
            self.core.request_refresh(self.generation, Why::Stale);
        }
        let links = self.links.values().filter_map(|link| link.due(now));
        let dials = links.chain(self.identify_at);
        let dials = dials.chain(self.transaction.as_ref().and_then(|it| it.due()));
        dials.filter(|at| *at > now).min().map_or(due, |at| at.min(due))
    }

    fn collect(&mut self, index: u32, open: bool) {
        let generation = self.flushes.generation();
        let part = &mut self.parts[index as usize];
        let new = part.collect(&self.shared, open, generation);
        self.flushes.began(generation, new);
        if !std::mem::replace(&mut part.busy, true) {
            self.busy.push(index);
        }
    }

    /// Takes everything that was sent so far, open batches too.
    fn collect_all(&mut self) {
        self.shared.take_changed(&mut self.changed);
        let changed = std::mem::take(&mut self.changed);
        for &index in changed.iter().chain(&self.busy.clone()) {
            self.collect(index, true);
        }
    }

    /// Takes over what is new in the metadata: leaders, topic ids, more partitions.
    fn learn(&mut self) {
        let metadata = self.core.metadata();
        self.generation = metadata.generation;
        if self.news == metadata.changed {
            return;
        }
        self.news = metadata.changed;
        let mut recreated = Vec::new();
        for (at, topic) in self.topics.iter_mut().enumerate() {
            let Some(known) = metadata.topic(&topic.state.name) else { continue };
            let was = std::mem::replace(&mut topic.id, known.id);
            if was != known.id && was != Uuid::default() && known.id != Uuid::default() {
                recreated.push((at, was));
            }
            for (partition, it) in known.partitions.iter().enumerate() {
                if partition == topic.parts.len() {
                    let index = self.parts.len() as u32;
                    let name = topic.state.name.clone();
                    let slot = Arc::new(Slot::new(index, name, partition as i32, &self.shared));
                    if self.closing {
                        slot.end();
                    }
                    let limit = self.shared.config.max_in_flight;
                    let backoff = self.core.backoff();
                    let part = Part::new(slot.clone(), at, limit, self.mode.identity(), backoff);
                    self.parts.push(part);
                    topic.parts.push(index);
                    topic.state.add(slot);
                }
                let leader = it.leader.map(|node| (node, it.leader_epoch));
                self.parts[topic.parts[partition] as usize].led_by(leader);
            }
        }
        for (node, link) in &mut self.links {
            link.listens_at(metadata.brokers.get(node).map(|broker| &broker.address));
        }
        self.links.retain(|node, link| metadata.brokers.contains_key(node) || link.is_used());
        for (topic, was) in recreated {
            self.recreated(topic, was);
        }
    }

    /// Gives up batches whose time is over.
    fn give_up(&mut self, now: Instant) {
        let timeout = self.shared.config.delivery_timeout;
        let is_late = |opened: Instant| opened + timeout <= now;
        for at in 0..self.busy.len() {
            let index = self.busy[at];
            if !self.parts[index as usize].oldest().is_some_and(is_late) {
                continue;
            }
            if self.parts[index as usize].opened.is_some_and(is_late) {
                self.collect(index, true);
            }
            let part = &mut self.parts[index as usize];
            let mut late = part.sequencer.give_up(|batch| is_late(batch.opened()));
            while part.queue.front().is_some_and(|batch| is_late(batch.opened())) {
                late.extend(part.queue.pop_front().map(|batch| (batch, false)));
            }
            let last = match part.leader {
                None => Some(Obstacle::Leaderless),
                Some(_) => part.obstacle.clone(),
            };
            for (batch, maybe_written) in late {
                let part = &self.parts[index as usize];
                let error = ProduceError::DeliveryTimeout {
                    topic: part.slot.topic.clone(),
                    partition: part.slot.partition,
                    timeout,
                    records: batch.count(),
                    maybe_written,
                    last: last.clone().map(Box::new),
                };
                self.finish(index, batch, Err(error));
            }
        }
    }

    /// The end of a batch.
    fn finish(&mut self, index: u32, batch: Batch, outcome: Result<Written, ProduceError>) {
        if let Err(error) = &outcome {
            self.note_loss(error);
        }
        let part = &mut self.parts[index as usize];
        if let Ok(written) = &outcome
            && written.base_offset >= 0
        {
            part.slot.acknowledged(written.base_offset + i64::from(batch.count()) - 1);
        }
        part.slot.waiting.fetch_sub(1, Ordering::Relaxed);
        // First, so that who hears of the end finds the memory free.
        self.shared.budget.give(batch.bytes());
        self.flushes.ended(batch.generation, outcome.as_ref().err());
        if let Some(builder) = batch.finish(outcome) {
            self.shared.recycle(builder);
        }
    }

    /// Asks for a producer id when one is needed, and hands out new epochs.
    fn identify(&mut self, now: Instant) {
        let mut needed = self.mode == Mode::Unknown && !self.busy.is_empty();
        if let Mode::Idempotent(current) = &mut self.mode {
            for &index in &self.busy {
                let sequencer = &mut self.parts[index as usize].sequencer;
                let Some(renewal) = sequencer.wanted() else { continue };
                if sequencer.identity() == Some(*current) {
                    let Some(next) = current.next(renewal) else {
                        needed = true;
                        continue;
                    };
                    *current = next;
                    tracing::debug!(id = current.id, epoch = current.epoch, "new producer epoch");
                }
                sequencer.renew(*current);
            }
        }
        needed &= self.identify_at.is_none_or(|at| at <= now);
        if !needed || std::mem::replace(&mut self.identifying, true) {
            return;
        }
        self.identify_at = None;
        let (core, tell) = (self.core.clone(), self.tell.clone());
        self.core.spawn(async move {
            let identity = request_identity(&core).await;
            // The producer may be gone.
            let _ = tell.send(Event::Identity(identity));
        });
    }

    fn identified(&mut self, identity: Result<Option<Identity>, Error>) {
        self.identifying = false;
        match identity {
            Ok(Some(identity)) => {
                let first = self.mode == Mode::Unknown;
                self.mode = Mode::Idempotent(identity);
                let limit = self.shared.config.max_in_flight;
                for part in self.parts.iter_mut().filter(|_| first) {
                    part.sequencer = super::sequencer::Sequencer::new(limit, Some(identity));
                }
            }
            Ok(None) => {
                tracing::info!("the brokers have no idempotent producer: going on without");
                self.mode = Mode::Plain;
            }
            Err(error) => {
                tracing::debug!(%error, "no producer id");
                self.identify_at = Some(Instant::now() + self.core.config().retry_backoff_max);
                let error = Arc::new(error);
                for &index in &self.busy {
                    let obstacle = Obstacle::NoIdentity(error.clone());
                    self.parts[index as usize].obstacle = Some(obstacle);
                }
            }
        }
    }
}

/// Asks for a producer id until there is one; `None` if the brokers are too old to have any.
async fn request_identity(core: &Arc<Core>) -> Result<Option<Identity>, Error> {
    let deadline = Deadline::after(core.config().api_timeout);
    let request = |_| InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        ..InitProducerIdRequest::default()
    };
    match core.route(Target::Any, Lane::General, deadline, request).await {
        Ok(response) => match ErrorCode(response.error_code) {
            ErrorCode::NONE => {
                Ok(Some(Identity { id: response.producer_id, epoch: response.producer_epoch }))
            }
            other => Err(Error::refused(ApiKey::InitProducerId, Subject::Cluster, other)),
        },
        Err(Error::Send(SendError::UnsupportedVersion { have: None, .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// When the client is closed nobody delivers any more: records are refused, and all who wait are told.
impl Drop for Sender {
    fn drop(&mut self) {
        self.core.connections.retire_lane(self.lane);
        for topic in &self.topics {
            self.core.untrack_topics(&[&topic.state.name]);
        }
        for part in &mut self.parts {
            part.slot.end();
            part.collect(&self.shared, true, 0);
        }
        self.shared.budget.end();
    }
}
