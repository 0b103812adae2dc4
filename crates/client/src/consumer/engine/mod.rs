//! The fetcher's decisions: which request to send to which broker, and what to do with each answer. Plain values
//! fed with commands, metadata, answers and time; the [driver](super::driver) does the I/O.
//!
//! Rules:
//! - Per broker one Fetch at a time, with a session and a long poll. Partitions that become ready while it waits
//!   (assigned, sought, room again) are asked for beside it, by one *express* Fetch without a session that the
//!   broker answers at once; if that brings nothing they wait for the next regular one.
//! - The next Fetch leaves as soon as the answer to the last is split, not when it is read, as long as there is
//!   room: see [`flow`](super::flow).
//! - A partition is in at most one request at any time. What comes back for an era that is over is dropped.
//! - A broker that does not answer in time is not waited for: metadata is asked for meanwhile, and partitions that are
//!   led by another broker by now leave the request. What comes back for them is dropped.

mod answers;
mod plan;
#[cfg(test)]
mod tests;

pub(super) use answers::{FetchFailure, Fetched};

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    FetchEvent, FetcherConfig, Position, ResetPolicy, Start,
    flow::Flow,
    place::{Attempt, Place, Reaction, Stage},
    queue::{Reset, Shared},
    session::{Session, SessionPlan},
};
use crate::{Config, Metadata, NodeId, TopicPartition, retry::Backoff};

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// After a change of what is fetched, long polls are short for this long: more changes are likely.
const BRISK_FOR: Duration = Duration::from_secs(5);

/// Something the user wants.
pub(super) enum Command {
    Assign {
        name: TopicPartition,
        start: Start,
        policy: ResetPolicy,
        tag: u64,
        queue: Arc<Shared>,
        flow: Arc<Flow>,
    },
    Unassign(TopicPartition),
    Pause(TopicPartition),
    Resume(TopicPartition),
    Seek {
        name: TopicPartition,
        start: Start,
        era: u64,
    },
}

/// Something to send.
#[derive(Debug)]
pub(super) enum Action {
    /// Send Fetch and report [`Engine::fetched`].
    Fetch { node: NodeId, slot: Slot, plan: FetchPlan },
    /// Send `ListOffsets` and report [`Engine::listed`].
    List { node: NodeId, wants: Vec<ListWant> },
    /// Compare with the leader's log and report [`Engine::validated`].
    Validate { node: NodeId, wants: Vec<ValidateWant> },
    /// Ask for metadata newer than that generation.
    Refresh { after: u64 },
}

/// Which of the two requests to a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// The long poll with a session.
    Regular,
    /// The one beside it that is answered at once.
    Express,
}

/// A Fetch to be built in the version that the connection speaks.
#[derive(Debug)]
pub(super) struct FetchPlan {
    pub(super) session: SessionPlan,
    pub(super) max_wait: Duration,
    pub(super) max_bytes: i32,
    /// Whether the ids of all topics are known, so that versions from 13 on can be used.
    pub(super) ids_known: bool,
    /// Whether the leader may name a replica in our rack to read from.
    pub(super) replicas: bool,
}

/// A place that is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListWant {
    pub(super) name: TopicPartition,
    /// The request it is in.
    pub(super) number: u64,
    pub(super) start: Start,
    pub(super) attempt: Attempt,
}

/// A position that is compared with the leader's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValidateWant {
    pub(super) name: TopicPartition,
    /// The request it is in.
    pub(super) number: u64,
    pub(super) position: Position,
    pub(super) attempt: Attempt,
}

struct Part {
    tag: u64,
    era: u64,
    queue: Arc<Shared>,
    flow: Arc<Flow>,
    place: Place,
    paused: bool,
    /// The request it is in.
    busy: Option<Busy>,
    /// An express Fetch brought nothing: it waits for the regular one.
    patient: bool,
    /// The least to ask for, in bytes: a broker before Fetch v3 cuts a batch that is larger than what is asked for.
    least_bytes: usize,
}

/// The request that a partition is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Busy {
    number: u64,
    node: NodeId,
}

struct Asked {
    attempt: Attempt,
    bytes: usize,
}

struct Flight {
    number: u64,
    /// Then it is late.
    due: Instant,
    asked: Map<TopicPartition, Asked>,
}

struct Node {
    session: Session,
    regular: Option<Flight>,
    express: Option<Flight>,
    retry_at: Option<Instant>,
    backoff: Backoff,
    /// It answered in a version without sessions.
    sessionless: bool,
}

/// All partitions of a fetcher.
pub(super) struct Engine {
    config: FetcherConfig,
    retry_backoff: (Duration, Duration),
    lease: Duration,
    rng: fastrand::Rng,
    parts: Map<TopicPartition, Part>,
    nodes: Map<NodeId, Node>,
    metadata: Arc<Metadata>,
    brisk_until: Instant,
    flights: u64,
    /// Queues that got something since their readers were woken.
    touched: Vec<Arc<Shared>>,
    /// Set by an answer that says the metadata is out of date.
    refresh: bool,
    wake_at: Option<Instant>,
}

impl Engine {
    pub(super) fn new(
        config: FetcherConfig,
        client: &Config,
        rng: fastrand::Rng,
        now: Instant,
    ) -> Self {
        Self {
            config,
            retry_backoff: (client.retry_backoff, client.retry_backoff_max),
            lease: client.metadata_max_age,
            rng,
            parts: Map::default(),
            nodes: Map::default(),
            metadata: Arc::default(),
            brisk_until: now,
            flights: 0,
            touched: Vec::new(),
            refresh: false,
            wake_at: None,
        }
    }

    /// When [`poll`](Self::poll) has something to do, if nothing happens before.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.wake_at
    }

    /// Takes in what the user wants.
    pub(super) fn command(&mut self, command: Command, now: Instant) {
        self.brisk_until = now + BRISK_FOR;
        match command {
            Command::Assign { name, start, policy, tag, queue, flow } => {
                let backoff = Backoff::new(self.retry_backoff.0, self.retry_backoff.1);
                let place = Place::new(name.clone(), start, policy, backoff);
                let part = Part {
                    tag,
                    era: flow.era(),
                    queue,
                    flow,
                    place,
                    paused: false,
                    busy: None,
                    patient: false,
                    least_bytes: 0,
                };
                if let Some(before) = self.parts.insert(name.clone(), part) {
                    before.flow.leave();
                }
                self.look_up(&name, now);
            }
            Command::Unassign(name) => {
                if let Some(part) = self.parts.remove(&name) {
                    part.flow.leave();
                }
            }
            Command::Pause(name) => self.set_paused(&name, true),
            Command::Resume(name) => self.set_paused(&name, false),
            Command::Seek { name, start, era } => {
                if let Some(part) = self.parts.get_mut(&name) {
                    part.era = era;
                    // What is under way is of the era before.
                    part.busy = None;
                    part.patient = false;
                    part.place.seek(start);
                    self.look_up(&name, now);
                }
            }
        }
    }

    fn set_paused(&mut self, name: &TopicPartition, paused: bool) {
        if let Some(part) = self.parts.get_mut(name) {
            part.paused = paused;
            part.patient = false;
        }
    }

    /// Takes in a snapshot of the cluster.
    pub(super) fn update(&mut self, metadata: &Arc<Metadata>, now: Instant) {
        if self.metadata.generation == metadata.generation {
            return;
        }
        self.metadata = metadata.clone();
        let names: Vec<_> = self.parts.keys().cloned().collect();
        for name in names {
            self.look_up(&name, now);
            if let Some(part) = self.parts.get_mut(&name) {
                part.leave_request(now);
            }
        }
        // A broker that left takes its session with it.
        self.nodes.retain(|id, node| {
            metadata.brokers.contains_key(id) || node.regular.is_some() || node.express.is_some()
        });
    }

    /// Tells one partition what the metadata says.
    fn look_up(&mut self, name: &TopicPartition, now: Instant) {
        if let Some(part) = self.parts.get_mut(name) {
            let topic = self.metadata.topic(&name.topic).map(AsRef::as_ref);
            let reaction = part.place.update(topic, now, self.config.missing_topic_timeout);
            self.react(name, reaction);
        }
    }

    /// Does what a place says about an answer.
    fn react(&mut self, name: &TopicPartition, reaction: Reaction) {
        let Some(part) = self.parts.get_mut(name) else { return };
        let event = match reaction {
            Reaction::None => return,
            Reaction::Refresh => {
                self.refresh = true;
                return;
            }
            Reaction::Reset { from, to, reason } => {
                tracing::info!(partition = %name, from, to, ?reason, "position set");
                let (partition, tag) = (name.clone(), part.tag);
                FetchEvent::Reset(Reset { partition, tag, from, to, reason })
            }
            Reaction::Stop(error) => {
                tracing::warn!(%error, "partition stopped");
                FetchEvent::Failed { tag: part.tag, error }
            }
        };
        part.queue.push(event, part.flow.clone(), part.era);
        let queue = part.queue.clone();
        self.touch(queue);
    }

    fn touch(&mut self, queue: Arc<Shared>) {
        if !self.touched.iter().any(|touched| Arc::ptr_eq(touched, &queue)) {
            self.touched.push(queue);
        }
    }

    /// Wakes the readers of all queues that got something.
    pub(super) fn ring(&mut self) {
        for queue in self.touched.drain(..) {
            queue.ring();
        }
    }

    /// The sessions that are open, to be closed at the end.
    pub(super) fn sessions(&self) -> Vec<(NodeId, i32)> {
        let nodes = self.nodes.iter();
        nodes.map(|(id, node)| (*id, node.session.id())).filter(|(_, id)| *id != 0).collect()
    }

    /// The brokers that were asked.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied()
    }

    /// The topic of each partition, one item per partition.
    pub(super) fn topics(&self) -> impl Iterator<Item = Arc<str>> {
        self.parts.keys().map(|name| name.topic.clone())
    }

    fn flight(&mut self) -> u64 {
        self.flights += 1;
        self.flights
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        let (first, max) = self.retry_backoff;
        self.nodes.entry(id).or_insert_with(|| Node {
            session: Session::default(),
            regular: None,
            express: None,
            retry_at: None,
            backoff: Backoff::new(first, max),
            sessionless: false,
        })
    }
}

impl Part {
    /// Does not wait for a broker that is not the one to ask any more.
    fn leave_request(&mut self, now: Instant) {
        let Some(busy) = self.busy else { return };
        if self.whom(now).is_some_and(|node| node != busy.node) {
            self.busy = None;
            self.patient = false;
        }
    }

    fn is_in(&self, number: u64) -> bool {
        self.busy.is_some_and(|busy| busy.number == number)
    }

    fn position(&self) -> Option<Position> {
        match self.place.stage() {
            Stage::Reading(position) => Some(position),
            _ => None,
        }
    }
}
