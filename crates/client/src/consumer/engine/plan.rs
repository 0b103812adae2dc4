//! Which requests to send now.

use std::{collections::hash_map::Entry, time::Duration};

use roka_protocol::Uuid;
use tokio::time::Instant;

use super::{
    Action, Asked, Busy, Engine, FetchPlan, Flight, ListWant, Map, Part, Slot, ValidateWant,
};
use crate::{
    NodeId, TopicPartition,
    consumer::{
        place::Stage,
        session::{SessionPlan, Want},
    },
    late::LATE,
};

/// How long a long poll may be while changes of what is fetched are likely.
const BRISK_WAIT: Duration = Duration::from_millis(100);
/// An express Fetch. Not 0: Redpanda once did not answer that.
const EXPRESS_WAIT: Duration = Duration::from_millis(1);
/// What a partition of which nothing is on its way may always ask for, in bytes, also of a full queue.
const STARVED_BYTES: usize = 16 << 10;

/// A partition that can be fetched now.
struct Ready {
    name: TopicPartition,
    want: Want,
    patient: bool,
    replicas: bool,
    room: usize,
}

/// What can be asked of one broker now.
#[derive(Default)]
struct Bucket {
    ready: Vec<Ready>,
    lists: Vec<ListWant>,
    validates: Vec<ValidateWant>,
    /// Partitions that were left out because their readers have enough.
    left_out: bool,
}

impl Bucket {
    /// Adds what can be asked about the partition.
    fn add(
        &mut self,
        name: &TopicPartition,
        part: &mut Part,
        node: NodeId,
        most: usize,
        now: Instant,
    ) {
        let (name, number, attempt) = (name.clone(), 0, part.place.attempt(node));
        match part.place.stage() {
            Stage::Stopped => {}
            Stage::Seeking(search) => {
                let start = search.start;
                self.lists.push(ListWant { name, number, start, attempt });
            }
            Stage::Validating(position) => {
                self.validates.push(ValidateWant { name, number, position, attempt });
            }
            Stage::Reading(position) => match part.allowance(most) {
                None => self.left_out = true,
                Some(bytes) => self.ready.push(Ready {
                    name,
                    want: Want {
                        topic_id: part.place.topic_id(),
                        offset: position.offset,
                        leader_epoch: part.place.leader().map_or(-1, |(_, epoch)| epoch),
                        last_fetched_epoch: position.leader_epoch.unwrap_or(-1),
                        max_bytes: i32::try_from(bytes).unwrap_or(i32::MAX),
                    },
                    patient: part.patient,
                    replicas: !part.place.avoids_replicas(now),
                    room: part.flow.queue().room(),
                }),
            },
        }
    }
}

impl Part {
    /// Whom to ask next, if there is something to ask.
    pub(super) fn whom(&mut self, now: Instant) -> Option<NodeId> {
        match self.place.stage() {
            Stage::Stopped => None,
            Stage::Reading(_) if self.paused => None,
            Stage::Reading(_) => self.place.source(now),
            Stage::Seeking(_) | Stage::Validating(_) => self.place.leader().map(|it| it.0),
        }
    }

    /// How many bytes may be asked for; none while the reader has enough. The fetcher is woken when that changes.
    fn allowance(&self, most: usize) -> Option<usize> {
        let queue = self.flow.queue();
        let share = queue.share(most).max(self.least_bytes);
        if !self.flow.is_below(share) {
            None
        } else if queue.has_room() {
            Some(share)
        } else if self.flow.outstanding() == 0 {
            Some(share.min(STARVED_BYTES).max(self.least_bytes))
        } else {
            None
        }
    }
}

impl Engine {
    /// Everything that can be sent now.
    pub(in crate::consumer) fn poll(&mut self, now: Instant) -> Vec<Action> {
        self.wake_at = None;
        let mut actions = Vec::new();
        let buckets = self.buckets(now);
        self.look_for_late(now);
        let nodes = buckets.len();
        for (node, bucket) in buckets {
            if !bucket.lists.is_empty() {
                let (mut wants, number) = (bucket.lists, self.flight());
                for want in &mut wants {
                    want.number = number;
                    self.mark(&want.name, number, node);
                }
                actions.push(Action::List { node, wants });
            }
            if !bucket.validates.is_empty() {
                let (mut wants, number) = (bucket.validates, self.flight());
                for want in &mut wants {
                    want.number = number;
                    self.mark(&want.name, number, node);
                }
                actions.push(Action::Validate { node, wants });
            }
            if !bucket.ready.is_empty() {
                actions.extend(self.fetch(node, bucket.ready, bucket.left_out, nodes, now));
            }
        }
        if std::mem::take(&mut self.refresh)
            || self.parts.values().any(|part| part.place.needs_metadata())
        {
            actions.push(Action::Refresh { after: self.metadata.generation });
        }
        actions
    }

    fn wake_by(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |wake| wake.min(at)));
    }

    /// What can be asked, by broker.
    fn buckets(&mut self, now: Instant) -> Map<NodeId, Bucket> {
        let mut buckets: Map<NodeId, Bucket> = Map::default();
        let mut wake: Option<Instant> = None;
        let mut wake_by = |at: Instant| wake = Some(wake.map_or(at, |wake| wake.min(at)));
        let most = usize::try_from(self.config.partition_max_bytes).unwrap_or(usize::MAX);
        for (name, part) in &mut self.parts {
            if part.busy.is_some() {
                continue;
            }
            if let Some(at) = part.place.retry_at().filter(|at| *at > now) {
                wake_by(at);
                continue;
            }
            let Some(node) = part.whom(now) else { continue };
            let known = self.nodes.get(&node);
            if let Some(at) = known.and_then(|node| node.retry_at).filter(|at| *at > now) {
                wake_by(at);
                continue;
            }
            buckets.entry(node).or_default().add(name, part, node, most, now);
        }
        self.wake_at = wake;
        buckets
    }

    /// The Fetch to a broker, if one can be sent.
    fn fetch(
        &mut self,
        id: NodeId,
        mut ready: Vec<Ready>,
        left_out: bool,
        nodes: usize,
        now: Instant,
    ) -> Option<Action> {
        let brisk = left_out || now < self.brisk_until;
        let config_wait = self.config.max_wait;
        let most = self.config.max_bytes;
        let number = self.flight();
        let node = self.node(id);
        let slot = match (&node.regular, &node.express) {
            (None, _) => Slot::Regular,
            (_, None) => Slot::Express,
            _ => return None,
        };
        if slot == Slot::Express {
            ready.retain(|ready| !ready.patient);
            if ready.is_empty() {
                return None;
            }
        }
        // The broker fills its answer in this order: all have their turn to be first.
        let turn = usize::try_from(number).unwrap_or(0) % ready.len();
        ready.rotate_left(turn);
        let replicas = ready.iter().all(|ready| ready.replicas);
        let ids_known = ready.iter().all(|ready| ready.want.topic_id != Uuid::default());
        let max_bytes = max_bytes(&ready, nodes).min(most);
        let wants: Vec<_> = ready.into_iter().map(|ready| (ready.name, ready.want)).collect();
        let names: Vec<_> =
            wants.iter().map(|(name, want)| (name.clone(), want.max_bytes)).collect();
        let session = if slot == Slot::Express || node.sessionless {
            SessionPlan::sessionless(wants)
        } else {
            node.session.plan(wants)
        };
        let asked = names
            .into_iter()
            .filter_map(|(name, bytes)| {
                let part = self.parts.get_mut(&name)?;
                part.busy = Some(Busy { number, node: id });
                part.patient = false;
                let (attempt, bytes) = (part.place.attempt(id), bytes as usize);
                Some((name, Asked { attempt, bytes }))
            })
            .collect();
        let max_wait = match slot {
            Slot::Regular if brisk => config_wait.min(BRISK_WAIT),
            Slot::Regular => config_wait,
            Slot::Express => EXPRESS_WAIT,
        };
        let due = now + max_wait + LATE;
        self.wake_by(due);
        let flight = Some(Flight { number, due, asked });
        let node = self.node(id);
        match slot {
            Slot::Regular => node.regular = flight,
            Slot::Express => node.express = flight,
        }
        let plan = FetchPlan { session, max_wait, max_bytes, ids_known, replicas };
        Some(Action::Fetch { node: id, slot, plan })
    }

    fn mark(&mut self, name: &TopicPartition, number: u64, node: NodeId) {
        if let Some(part) = self.parts.get_mut(name) {
            part.busy = Some(Busy { number, node });
        }
    }

    /// Asks for metadata while a broker does not answer: its partitions may have another leader by now.
    fn look_for_late(&mut self, now: Instant) {
        let mut next: Option<Instant> = None;
        for (id, node) in &mut self.nodes {
            for flight in node.regular.iter_mut().chain(&mut node.express) {
                if flight.due <= now {
                    tracing::debug!(node = %id, "a Fetch is late");
                    flight.due = now + LATE;
                    self.refresh = true;
                }
                next = Some(next.map_or(flight.due, |next| next.min(flight.due)));
            }
        }
        if let Some(at) = next {
            self.wake_by(at);
        }
    }

    /// Nothing is to be sent to the broker for a while.
    pub(super) fn rest(&mut self, id: NodeId, now: Instant) {
        let mut rng = self.rng.fork();
        let node = self.node(id);
        let at = now + node.backoff.next(&mut rng);
        if let Entry::Occupied(mut entry) = self.nodes.entry(id) {
            entry.get_mut().retry_at = Some(at);
        }
        self.wake_by(at);
    }
}

/// The bound of an answer: no more than the readers have room for, of which this broker gets its part, but at least
/// what the largest partition asks for.
fn max_bytes(ready: &[Ready], nodes: usize) -> i32 {
    let asked: usize = ready.iter().map(|ready| ready.want.max_bytes as usize).sum();
    let largest = ready.iter().map(|ready| ready.want.max_bytes as usize).max().unwrap_or(0);
    let room = ready.iter().map(|ready| ready.room).max().unwrap_or(0) / nodes.max(1);
    i32::try_from(asked.min(room.max(largest))).unwrap_or(i32::MAX)
}
