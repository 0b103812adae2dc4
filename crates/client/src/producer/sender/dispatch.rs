//! From partitions that have something to send to Produce requests, one leader at a time.

use std::collections::VecDeque;
use std::time::Duration;

use roka_protocol::ApiKey;
use roka_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use roka_protocol::records::{Compression, ProducerFields};
use tokio::time::Instant;

use super::answers::{Answered, Sent};
use super::part::{Leader, Part};
use super::{Event, Mode, Sender};
use crate::connection::Connection;
use crate::late::LATE;
use crate::producer::batch::{Batch, Format};
use crate::producer::error::{Obstacle, ProduceError};
use crate::producer::sequencer::{Failure, Next, Reaction, Stamp};
use crate::producer::transaction::Level;
use crate::retry::Backoff;
use crate::{Address, NodeId, SendError};

/// Since Produce v13 topics are named by id (KIP-516).
pub(super) const FIRST_WITH_TOPIC_IDS: i16 = 13;

/// Since Produce v12 the leader announces partitions to the transaction coordinator (KIP-890).
pub(super) const FIRST_OF_LEVEL_2: i16 = 12;

/// The way to one broker.
#[derive(Debug)]
pub(crate) struct Link {
    connection: Option<Connection>,
    dialling: bool,
    /// Not dialled before.
    pub(crate) retry_at: Option<Instant>,
    backoff: Backoff,
    /// It was dialled in vain.
    unreached: bool,
    /// Where it listened then, as far as was known.
    dialled: Option<Address>,
    pub(crate) in_flight: usize,
    /// Then the next answer is late: metadata is asked for meanwhile.
    late_at: Option<Instant>,
    /// Where the next request begins, so that no partition is always the last.
    turn: usize,
}

impl Link {
    fn new(backoff: Backoff) -> Self {
        Self {
            connection: None,
            dialling: false,
            retry_at: None,
            backoff,
            unreached: false,
            dialled: None,
            in_flight: 0,
            late_at: None,
            turn: 0,
        }
    }

    /// Whether something is under way on it.
    pub(crate) fn is_used(&self) -> bool {
        self.dialling || self.in_flight > 0
    }

    /// An answer came, or is not waited for any more.
    pub(super) fn answered(&mut self, now: Instant) {
        self.in_flight -= 1;
        self.late_at = (self.in_flight > 0).then(|| now + LATE);
    }

    /// Whether an answer is late; true again only after as long.
    pub(super) fn is_late(&mut self, now: Instant) -> bool {
        let late = self.late_at.is_some_and(|at| at <= now);
        if late {
            self.late_at = Some(now + LATE);
        }
        late
    }

    /// When something is to be done about it, if nothing happens before.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        self.retry_at.filter(|at| *at > now).into_iter().chain(self.late_at).min()
    }

    fn open(&mut self) -> Option<Connection> {
        self.connection = self.connection.take().filter(Connection::is_open);
        self.connection.clone()
    }

    /// The broker listens there now: a wait after dialling another address is over.
    pub(crate) fn listens_at(&mut self, address: Option<&Address>) {
        if self.unreached && self.dialled.as_ref() != address {
            self.unreached = false;
            self.retry_at = None;
            self.backoff.reset();
        }
    }

    /// Nothing is sent before that time: the broker asked for it.
    pub(crate) fn throttle(&mut self, until: Instant) {
        self.retry_at = self.retry_at.max(Some(until));
    }
}

impl Sender {
    /// Sends what can be sent now.
    pub(super) fn dispatch(&mut self, now: Instant) {
        if self.mode == Mode::Unknown {
            return;
        }
        let linger = self.shared.config.linger;
        let mut nodes: Vec<(NodeId, VecDeque<u32>)> = Vec::new();
        for &index in &self.busy {
            let part = &self.parts[index as usize];
            let (Some((node, _)), true) = (part.leader, part.ready(now, linger) != Next::Nothing)
            else {
                continue;
            };
            if self.transaction.as_ref().is_some_and(|it| !it.may_send(index)) {
                continue;
            }
            match nodes.iter_mut().find(|(it, _)| *it == node) {
                Some((_, ready)) => ready.push_back(index),
                None => nodes.push((node, VecDeque::from([index]))),
            }
        }
        for (node, ready) in nodes {
            self.serve(node, ready, now);
        }
    }

    /// Sends to one leader, as much as it may be sent.
    fn serve(&mut self, node: NodeId, mut ready: VecDeque<u32>, now: Instant) {
        let max_in_flight = self.shared.config.max_in_flight;
        let core = &self.core;
        let link = self.links.entry(node).or_insert_with(|| Link::new(core.backoff()));
        let turn = link.turn % ready.len();
        ready.rotate_left(turn);
        while !ready.is_empty() {
            let Some(link) = self.links.get_mut(&node) else { return };
            if link.in_flight >= max_in_flight || link.retry_at.is_some_and(|at| at > now) {
                return;
            }
            let Some(connection) = link.open() else {
                self.dial(node);
                return;
            };
            link.turn = link.turn.wrapping_add(1);
            if !self.send(&connection, &mut ready, now) {
                return;
            }
        }
    }

    fn dial(&mut self, node: NodeId) {
        let Some(link) = self.links.get_mut(&node).filter(|link| !link.dialling) else { return };
        link.dialling = true;
        let (core, tell, lane) = (self.core.clone(), self.tell.clone(), self.lane);
        self.core.spawn(async move {
            let connected = core.connection(node, lane).await;
            // The producer may be gone.
            let _ = tell.send(Event::Connected(node, connected));
        });
    }

    pub(super) fn connected(&mut self, node: NodeId, connected: Result<Connection, SendError>) {
        let core = &self.core;
        let link = self.links.entry(node).or_insert_with(|| Link::new(core.backoff()));
        link.dialling = false;
        match connected {
            Ok(connection) => {
                link.backoff.reset();
                link.retry_at = None;
                link.unreached = false;
                link.connection = Some(connection);
            }
            Err(error) => {
                link.retry_at = Some(Instant::now() + core.next_wait(&mut link.backoff));
                link.unreached = true;
                link.dialled = match &error {
                    SendError::Connect { address, .. } => Some(address.clone()),
                    _ => None,
                };
                let led = |part: &&mut Part| part.leader.is_some_and(|(leader, _)| leader == node);
                for part in self.parts.iter_mut().filter(led) {
                    part.obstacle = Some(Obstacle::Send(error.clone()));
                }
                // A dial that failed has asked for metadata already; an unknown node means old metadata.
                self.core.request_refresh(self.generation, crate::metadata::Why::Unreachable);
            }
        }
    }

    /// One request with batches of partitions from the front of `ready`; those that have more go to its end. False if
    /// nothing came together.
    fn send(&mut self, connection: &Connection, ready: &mut VecDeque<u32>, now: Instant) -> bool {
        let node = connection.node();
        let cap = self.transaction.as_ref().and_then(|it| it.produce_cap());
        let version = match connection.version_of::<ProduceRequest>(cap) {
            Ok(version) => version,
            Err(error) => {
                ready.drain(..).for_each(|index| self.refuse(index, node, &error, now));
                return false;
            }
        };
        self.shared.modern.store(version >= 3, std::sync::atomic::Ordering::Relaxed);
        let mut request = self.request();
        let (mut sent, mut size, mut id_less, mut repeats) = (Vec::new(), 0, false, false);
        let mut again = Vec::new();
        while let Some(&index) = ready.front() {
            let (next, wire_size) = self.peek(index, now);
            let full = !sent.is_empty() && size + wire_size > self.shared.config.request_bytes_max;
            if full {
                break;
            }
            ready.pop_front();
            let Some(leader) = self.parts[index as usize].leader.filter(|_| next != Next::Nothing)
            else {
                continue;
            };
            let taken = self.take(index, leader, version, next);
            if let Some((one, bytes)) = taken {
                size += bytes.len();
                let topic = &self.topics[self.parts[index as usize].topic];
                id_less |= topic.id == roka_protocol::Uuid::default();
                add(&mut request, topic, self.parts[index as usize].slot.partition, bytes);
                sent.push(one);
                repeats |= next == Next::Again;
            }
            if self.peek(index, now).0 != Next::Nothing {
                again.push(index);
            }
        }
        ready.extend(again);
        if sent.is_empty() {
            return false;
        }
        if repeats {
            self.core.recorder.retry(ApiKey::Produce);
        }
        let version = if id_less { version.min(FIRST_WITH_TOPIC_IDS - 1) } else { version };
        self.start(connection, version, &request, sent);
        true
    }

    fn request(&self) -> ProduceRequest {
        // The broker gives up before the connection does, so that its answer still comes.
        let timeout = self.core.config().request_timeout.mul_f64(0.9);
        ProduceRequest {
            transactional_id: self.transaction.as_ref().map(|it| it.id().to_string()),
            acks: self.shared.config.acks.wire(),
            timeout_ms: timeout.as_millis().max(1) as i32,
            topic_data: Vec::new(),
        }
    }

    fn start(
        &mut self,
        connection: &Connection,
        version: i16,
        request: &ProduceRequest,
        sent: Vec<Sent>,
    ) {
        let node = connection.node();
        let timeout = self.core.config().request_timeout + Duration::from_millis(500);
        let mut answered = Answered {
            node,
            version,
            generation: self.generation,
            sent,
            result: Err(SendError::Closed),
        };
        if let Some(link) = self.links.get_mut(&node) {
            link.in_flight += 1;
            link.late_at.get_or_insert_with(|| Instant::now() + LATE);
        }
        match connection.start_in(version, request, timeout) {
            Ok(reply) => {
                let tell = self.tell.clone();
                self.core.spawn(async move {
                    answered.result = reply.await;
                    // The producer may be gone.
                    let _ = tell.send(Event::Answered(Box::new(answered)));
                });
            }
            Err(error) => {
                answered.result = Err(error);
                self.answered(answered);
            }
        }
    }

    /// What the partition would send, and its size on the wire.
    fn peek(&mut self, index: u32, now: Instant) -> (Next, usize) {
        let linger = self.shared.config.linger;
        let next = self.parts[index as usize].ready(now, linger);
        if next == Next::Fresh && self.parts[index as usize].queue.is_empty() {
            self.collect(index, true);
        }
        let part = &self.parts[index as usize];
        let batch = match next {
            Next::Nothing => None,
            Next::Again => part.sequencer.peek(),
            Next::Fresh => part.queue.front(),
        };
        // The open batch may be behind one that is being compressed.
        batch.map_or((Next::Nothing, 0), |batch| (next, batch.wire_size()))
    }

    /// Takes the next batch of the partition, encoded.
    fn take(
        &mut self,
        index: u32,
        leader: Leader,
        version: i16,
        next: Next,
    ) -> Option<(Sent, bytes::Bytes)> {
        let part = &mut self.parts[index as usize];
        if next == Next::Fresh {
            let batch = part.queue.pop_front()?;
            let count = batch.count();
            part.sequencer.admit(batch, count);
        }
        let (token, batch, stamp) = part.sequencer.dispatch(leader.0.0)?;
        let (topic, partition) = (&part.slot.topic, part.slot.partition);
        let transaction = self.transaction.as_mut().map(|it| it.sent());
        let encoded = match needs(batch, stamp, transaction, version) {
            Some((feature, need)) => Err(ProduceError::BrokerTooOld {
                topic: topic.clone(),
                partition,
                feature,
                need,
                have: version,
                node: leader.0,
            }),
            None => batch
                .encode(format(stamp, transaction.is_some(), version))
                .map_err(|source| ProduceError::Record { topic: topic.clone(), partition, source }),
        };
        match encoded {
            Ok(bytes) => Some((Sent { index, token, leader }, bytes)),
            Err(error) => {
                if let Reaction::Dropped(batch) = part.sequencer.failed(token, Failure::Fatal) {
                    self.finish(index, batch, Err(error));
                }
                None
            }
        }
    }

    /// The broker has no version of Produce in common with us; another may lead later.
    fn refuse(&mut self, index: u32, node: NodeId, error: &SendError, now: Instant) {
        let (core, part) = (&self.core, &mut self.parts[index as usize]);
        tracing::debug!(%node, %error, "cannot produce");
        part.obstacle = Some(Obstacle::Send(error.clone()));
        if let Some(leader) = part.leader {
            part.back_off(leader, |backoff| now + core.next_wait(backoff));
        }
    }
}

/// What the batch needs that a broker with this version of Produce does not have, and since which it has it.
fn needs(
    batch: &Batch,
    stamp: Option<Stamp>,
    transaction: Option<Level>,
    version: i16,
) -> Option<(&'static str, i16)> {
    let needs = [
        (transaction == Some(Level::Two), "a transaction of version 2", FIRST_OF_LEVEL_2),
        (batch.compression() == Compression::Zstd, "compression zstd", 7),
        (batch.has_headers(), "a record header", 3),
        (stamp.is_some(), "an idempotent producer", 3),
        // Message sets v1 came with it.
        (true, "a record timestamp", 2),
    ];
    let lacks = needs.into_iter().find(|(needed, _, need)| *needed && version < *need);
    lacks.map(|(_, feature, need)| (feature, need))
}

fn format(stamp: Option<Stamp>, transactional: bool, version: i16) -> Format {
    match stamp {
        Some(Stamp { identity, base_sequence }) => Format::Batch(ProducerFields {
            id: identity.id,
            epoch: identity.epoch,
            base_sequence,
            transactional,
        }),
        None if version >= 3 => Format::Batch(ProducerFields::NONE),
        None => Format::MessageSet,
    }
}

fn add(request: &mut ProduceRequest, topic: &super::Topic, index: i32, records: bytes::Bytes) {
    let data = PartitionProduceData { index, records: Some(records) };
    let same = |it: &&mut TopicProduceData| it.name == *topic.state.name;
    match request.topic_data.iter_mut().find(same) {
        Some(it) => it.partition_data.push(data),
        None => request.topic_data.push(TopicProduceData {
            name: topic.state.name.to_string(),
            topic_id: topic.id,
            partition_data: vec![data],
        }),
    }
}
