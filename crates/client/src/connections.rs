//! The connections of a client: one per broker and lane, dialled when first needed.
//!
//! Rules:
//! - One dial per broker and lane at a time; all who want it wait for the same dial.
//! - After a failed dial the address is left alone for a back-off (50 ms to 1 s), whichever broker or
//!   bootstrap address it stands for; who asks meanwhile gets the error at once and can go elsewhere.
//! - A dial that ends in mistrust is repeated once if another try may help; then the address is left alone for 1 s
//!   to 10 s, so that no account is locked by trying.
//! - A failed dial and a silent broker invalidate what was cached about the broker (coordinators,
//!   controller) and ask for metadata.
//! - An address is looked up in the newest metadata at every dial. A broker that moved or left has its
//!   connections retired: they answer what is in flight and take nothing new.

mod dial;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::connection::{Connection, Ended, Lane};
use crate::core::Core;
use crate::counters::Event;
use crate::retry::Backoff;
use crate::{Address, Metadata, NodeId, SendError};
use dial::{Dial, Problem};

type Waiter = oneshot::Sender<Result<Connection, SendError>>;

/// Dials that ended in the middle of the version negotiation before the oldest version is tried: some
/// old brokers and proxies hang up on what they do not know.
const HANG_UPS_BEFORE_OLDEST: u32 = 2;
/// How long an address is left alone where broker and client do not trust each other: first, and at most.
const DISTRUST_BACKOFF: Duration = Duration::from_secs(1);
const DISTRUST_BACKOFF_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Connections {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    nodes: HashMap<NodeId, Node>,
    health: HashMap<Address, Health>,
}

#[derive(Debug)]
struct Node {
    address: Address,
    lanes: HashMap<Lane, Slot>,
}

/// How an address answered of late.
#[derive(Debug, Default)]
struct Health {
    /// None after a success; whether for mistrust.
    backoff: Option<(bool, Backoff)>,
    /// Not dialled before.
    retry_at: Option<Instant>,
    problem: Problem,
    /// It was slow to answer; others are preferred where any broker will do.
    slow: bool,
    hang_ups: u32,
}

#[derive(Debug)]
enum Slot {
    Dialing(Vec<Waiter>),
    Up(Connection),
}

/// How well a broker is suited where any will do; the least is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Suitability {
    slow: bool,
    backing_off: bool,
    unconnected: bool,
    in_flight: usize,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open connection, if there is one.
    pub(crate) fn existing(&self, node: NodeId, lane: Lane) -> Option<Connection> {
        self.lock().nodes.get(&node)?.open(lane).cloned()
    }

    pub(crate) fn suitability(&self, node: NodeId, address: &Address, now: Instant) -> Suitability {
        let state = self.lock();
        let health = state.health.get(address);
        let connection = state.nodes.get(&node).and_then(|node| node.open(Lane::General));
        Suitability {
            slow: health.is_some_and(|health| health.slow),
            backing_off: health.is_some_and(|health| health.backs_off(now)),
            unconnected: connection.is_none(),
            in_flight: connection.map_or(0, Connection::in_flight),
        }
    }

    /// The address was slow to answer, or answered.
    pub(crate) fn set_slow(&self, address: &Address, slow: bool) {
        let mut state = self.lock();
        if slow {
            state.health.entry(address.clone()).or_default().slow = true;
        } else if let Some(health) = state.health.get_mut(address) {
            health.slow = false;
        }
    }

    /// When the first of the addresses may be dialled again; none if one may now.
    pub(crate) fn retry_at(
        &self,
        addresses: impl Iterator<Item = Address>,
        now: Instant,
    ) -> Option<Instant> {
        let state = self.lock();
        let at = |address| state.health.get(&address).and_then(|it| it.retry_at);
        addresses.map(|address| at(address).filter(|at| *at > now)).min().flatten()
    }

    /// Whether the last dial of the address ended in mistrust.
    fn distrusts(&self, address: &Address) -> bool {
        let state = self.lock();
        let health = state.health.get(address);
        health.is_some_and(|it| it.backoff.is_some() && matches!(it.problem, Problem::Trust(_)))
    }

    /// Retires what the metadata does not name any more, and what moved to another address; of the bootstrap addresses those
    /// where no broker listens that is named.
    pub(crate) fn reconcile(&self, metadata: &Metadata, seeds: &[Address]) {
        let mut state = self.lock();
        state.nodes.retain(|id, node| {
            // A bootstrap address is dialled when it is needed again.
            let stays = match id.as_seed() {
                Some(_) => metadata.brokers.values().any(|broker| broker.address == node.address),
                None => {
                    metadata.brokers.get(id).is_some_and(|broker| broker.address == node.address)
                }
            };
            if !stays {
                node.retire();
            }
            stays
        });
        if state.health.len() > metadata.brokers.len() + seeds.len() {
            let named =
                |it: &Address| metadata.brokers.values().any(|broker| broker.address == *it);
            state.health.retain(|address, _| seeds.contains(address) || named(address));
        }
    }

    /// Retires the connections of a lane that nobody will use again.
    pub(crate) fn retire_lane(&self, lane: Lane) {
        for node in self.lock().nodes.values_mut() {
            // One that is being dialled ends when it has been idle.
            if let Some(Slot::Up(connection)) = node.lanes.get(&lane) {
                connection.retire();
                node.lanes.remove(&lane);
            }
        }
    }

    /// Retires everything.
    pub(crate) fn close(&self) {
        for (_, mut node) in self.lock().nodes.drain() {
            node.retire();
        }
    }
}

impl Node {
    fn open(&self, lane: Lane) -> Option<&Connection> {
        match self.lanes.get(&lane) {
            Some(Slot::Up(connection)) if connection.is_open() => Some(connection),
            _ => None,
        }
    }

    fn retire(&mut self) {
        for (_, slot) in self.lanes.drain() {
            // Waiters of a dial learn from the dropped sender.
            if let Slot::Up(connection) = slot {
                connection.retire();
            }
        }
    }
}

impl Health {
    fn backs_off(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|at| at > now)
    }

    fn failed(&mut self, problem: Problem, core: &Core) {
        let distrust = matches!(problem, Problem::Trust(_));
        if self.backoff.as_ref().is_some_and(|(before, _)| *before != distrust) {
            self.backoff = None;
        }
        let config = core.config();
        let (_, backoff) = self.backoff.get_or_insert_with(|| {
            let (first, most) = (config.reconnect_backoff, config.reconnect_backoff_max);
            let patient = Backoff::new(first.max(DISTRUST_BACKOFF), most.max(DISTRUST_BACKOFF_MAX));
            (distrust, if distrust { patient } else { Backoff::new(first, most) })
        });
        let wait = core.with_rng(|rng| backoff.next(rng));
        self.retry_at = Some(Instant::now() + wait);
        self.problem = problem;
    }

    fn error(&self, node: NodeId, address: &Address, dialled: bool) -> SendError {
        let address = address.clone();
        match self.problem.clone() {
            Problem::Network(problem) => SendError::Connect { node, address, problem, dialled },
            Problem::Trust(error) => SendError::Security { node, address, error, dialled },
        }
    }
}

impl Core {
    /// The negotiated connection to the broker; dials if there is none. Fails at once while the broker is
    /// left alone after a failed dial.
    pub(crate) async fn connection(
        self: &Arc<Self>,
        node: NodeId,
        lane: Lane,
    ) -> Result<Connection, SendError> {
        if let Some(connection) = self.connections.existing(node, lane) {
            return Ok(connection);
        }
        if self.is_closed() {
            return Err(SendError::Closed);
        }
        let address = self.address_of(node).ok_or(SendError::UnknownNode { node })?;
        let receiver = {
            let mut state = self.connections.lock();
            let State { nodes, health } = &mut *state;
            let new = || Node { address: address.clone(), lanes: HashMap::new() };
            let entry = nodes.entry(node).or_insert_with(new);
            if entry.address != address {
                entry.retire();
                *entry = new();
            }
            if let Some(connection) = entry.open(lane) {
                return Ok(connection.clone());
            }
            let (sender, receiver) = oneshot::channel();
            if let Some(Slot::Dialing(waiters)) = entry.lanes.get_mut(&lane) {
                waiters.push(sender);
            } else {
                let health = health.get(&address);
                if let Some(health) = health.filter(|it| it.backs_off(Instant::now())) {
                    return Err(health.error(node, &address, false));
                }
                let oldest = health.is_some_and(|it| it.hang_ups >= HANG_UPS_BEFORE_OLDEST);
                entry.lanes.insert(lane, Slot::Dialing(vec![sender]));
                let core = self.clone();
                self.spawn(async move { core.dial(node, lane, address, oldest).await });
            }
            receiver
        };
        receiver.await.unwrap_or(Err(SendError::UnknownNode { node }))
    }

    /// Dials once, within the time for it, and tells all who wait.
    async fn dial(self: Arc<Self>, node: NodeId, lane: Lane, address: Address, oldest: bool) {
        let patience = self.config().connect_timeout;
        let dialled = timeout(patience, self.try_twice(node, lane, &address, oldest)).await;
        let dialled = dialled
            .unwrap_or_else(|_| Err(Dial::failed(format!("no connection within {patience:?}"))));
        let event = if dialled.is_ok() { Event::Connect } else { Event::ConnectFailure };
        self.recorder.event(event);
        let failed = dialled.is_err();
        let mut state = self.connections.lock();
        let State { nodes, health } = &mut *state;
        let entry = nodes.get_mut(&node).filter(|entry| entry.address == address);
        let health = health.entry(address.clone()).or_default();
        let outcome = match dialled {
            Ok(connection) => {
                *health = Health::default();
                Ok(connection)
            }
            Err(Dial { problem, hung_up }) => {
                health.hang_ups += u32::from(hung_up);
                health.failed(problem, &self);
                Err(health.error(node, &address, true))
            }
        };
        let Some(entry) = entry else {
            // It moved meanwhile: the waiters were told, and nobody wants this one.
            drop(state);
            if let Ok(connection) = outcome {
                connection.retire();
            }
            return;
        };
        let slot = match &outcome {
            Ok(connection) => entry.lanes.insert(lane, Slot::Up(connection.clone())),
            Err(_) => entry.lanes.remove(&lane),
        };
        drop(state);
        let waiters = match slot {
            Some(Slot::Dialing(waiters)) => waiters,
            _ => Vec::new(),
        };
        if let Err(error) = &outcome {
            tracing::debug!(%node, %error, "dial failed");
        }
        if failed {
            // Before the waiters go on: they must not find what is out of date.
            self.unreachable(node);
        }
        for waiter in waiters {
            let _ = waiter.send(outcome.clone());
        }
    }

    fn ended(&self, connection: &Connection, lane: Lane, ended: &Ended) {
        let node = connection.node();
        let mut state = self.connections.lock();
        let State { nodes, health } = &mut *state;
        let ours = nodes.get_mut(&node).filter(
            |entry| matches!(entry.lanes.get(&lane), Some(Slot::Up(it)) if it.is(connection)),
        );
        let known = ours.is_some();
        if let Some(entry) = ours {
            entry.lanes.remove(&lane);
            if matches!(ended, Ended::Silent(_)) {
                let health = health.entry(entry.address.clone()).or_default();
                let problem = "it did not answer a request in time".into();
                health.failed(Problem::Network(problem), self);
            }
        }
        drop(state);
        match ended {
            Ended::Distrusted(error) => {
                tracing::debug!(%node, ?lane, %error, "connection lost");
                self.recorder.event(Event::Disconnect);
            }
            Ended::Lost(problem) => {
                tracing::debug!(%node, ?lane, %problem, "connection lost");
                self.recorder.event(Event::Disconnect);
            }
            Ended::Silent(api) => {
                tracing::warn!(%node, ?lane, %api, "connection closed: a request was not answered");
                self.recorder.event(Event::RequestTimeout);
                if known {
                    self.unreachable(node);
                }
            }
            Ended::Idle | Ended::Retired => {}
        }
    }
}
