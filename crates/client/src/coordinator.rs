//! Who coordinates a group or a transactional id.
//!
//! Rules:
//! - An answer is kept until it proves wrong: the coordinator says so, or its broker cannot be reached.
//! - One lookup per key at a time, shared by all who wait; keys that wait together are asked for in one
//!   request where the broker can (`FindCoordinator` v4).
//! - A lookup that cannot succeed yet is repeated with back-off for as long as someone waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roka_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use roka_protocol::{ApiKey, ErrorCode};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::action;
use crate::core::Core;
use crate::counters::Event;
use crate::metadata::Update;
use crate::retry::Backoff;
use crate::{Address, Broker, Error, NodeId, SendError, Subject};

/// What is coordinated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CoordinatorKind {
    /// A consumer group.
    Group,
    /// A transactional id.
    Transaction,
}

impl CoordinatorKind {
    fn key_type(self) -> i8 {
        match self {
            Self::Group => 0,
            Self::Transaction => 1,
        }
    }

    /// Kind and key as the subject of an error.
    pub(crate) fn subject(self, key: &str) -> Subject {
        match self {
            Self::Group => Subject::Group(key.into()),
            Self::Transaction => Subject::Transaction(key.into()),
        }
    }
}

type Key = (CoordinatorKind, Arc<str>);
type Waiter = oneshot::Sender<Result<NodeId, Error>>;

/// The coordinators that are known, and the lookups under way.
#[derive(Debug, Default)]
pub(crate) struct Coordinators {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<Key, NodeId>,
    lookups: HashMap<Key, Lookup>,
    running: bool,
}

#[derive(Debug)]
struct Lookup {
    waiters: Vec<Waiter>,
    backoff: Backoff,
    retry_at: Instant,
}

impl Coordinators {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The coordinator, if it is known.
    pub(crate) fn known(&self, kind: CoordinatorKind, key: &str) -> Option<NodeId> {
        self.lock().known.get(&(kind, Arc::from(key))).copied()
    }

    /// Forgets all coordinators at the broker.
    pub(crate) fn forget_node(&self, node: NodeId) {
        self.lock().known.retain(|_, known| *known != node);
    }
}

impl State {
    /// The keys to ask for now, and when the next is due.
    fn due(&mut self, now: Instant) -> (Vec<Key>, Option<Instant>) {
        // Who went away does not need an answer.
        self.lookups.retain(|_, lookup| {
            lookup.waiters.retain(|waiter| !waiter.is_closed());
            !lookup.waiters.is_empty()
        });
        let due = self.lookups.iter().filter(|(_, lookup)| lookup.retry_at <= now);
        let due = due.map(|(key, _)| key.clone()).collect();
        (due, self.lookups.values().map(|lookup| lookup.retry_at).min())
    }
}

impl Core {
    /// The coordinator of `key`, looked up if it is not known. Waits while the cluster has none: bound it
    /// by a deadline. Fails only with what waiting does not cure (access denied, an invalid key).
    pub(crate) async fn coordinator(
        self: &Arc<Self>,
        kind: CoordinatorKind,
        key: &str,
    ) -> Result<NodeId, Error> {
        let key: Key = (kind, Arc::from(key));
        let receiver = {
            let mut state = self.coordinators.lock();
            if let Some(node) = state.known.get(&key) {
                return Ok(*node);
            }
            let (sender, receiver) = oneshot::channel();
            let lookup = state.lookups.entry(key).or_insert_with(|| Lookup {
                waiters: Vec::new(),
                backoff: self.backoff(),
                retry_at: Instant::now(),
            });
            lookup.waiters.push(sender);
            if !std::mem::replace(&mut state.running, true) {
                self.spawn(look_up(self.clone()));
            }
            receiver
        };
        self.coordinators.wake.notify_one();
        receiver.await.unwrap_or(Err(Error::Closed))
    }

    /// `node` is not the coordinator of `key`: forgets it, unless another is known by now.
    pub(crate) fn forget_coordinator(&self, kind: CoordinatorKind, key: &str, node: NodeId) {
        let key: Key = (kind, Arc::from(key));
        let mut state = self.coordinators.lock();
        if state.known.get(&key) == Some(&node) {
            state.known.remove(&key);
        }
    }

    /// Asks for all keys of one kind; what came for each, or none if no broker answered.
    async fn find(
        self: &Arc<Self>,
        kind: CoordinatorKind,
        keys: &[Key],
    ) -> Option<Vec<(Key, Result<Coordinator, ErrorCode>)>> {
        let mut tried = Vec::new();
        while let Some(node) = self.any_node(&tried).filter(|_| !self.is_closed()) {
            tried.push(node);
            match self.ask_coordinators(node, kind, keys).await {
                Ok(found) => return Some(found),
                Err(error @ SendError::UnsupportedVersion { .. }) => {
                    tracing::warn!(%node, %error, "coordinators cannot be looked up");
                }
                Err(error) => {
                    self.recorder.error(ApiKey::FindCoordinator);
                    tracing::debug!(%node, %error, "no coordinator");
                }
            }
        }
        None
    }

    async fn ask_coordinators(
        self: &Arc<Self>,
        node: NodeId,
        kind: CoordinatorKind,
        keys: &[Key],
    ) -> Result<Vec<(Key, Result<Coordinator, ErrorCode>)>, SendError> {
        let connection = self.quick_connection(node).await?;
        let version = connection.version_of::<FindCoordinatorRequest>(None)?;
        let timeout = self.config().request_timeout;
        let key_type = kind.key_type();
        // One request for all, or one for each, all of them on the way before the first is awaited.
        let request = |keys: &[Key]| match version {
            4.. => FindCoordinatorRequest {
                key_type,
                coordinator_keys: keys.iter().map(|(_, key)| key.to_string()).collect(),
                ..FindCoordinatorRequest::default()
            },
            _ => FindCoordinatorRequest {
                key: keys.first().map(|(_, key)| key.to_string()).unwrap_or_default(),
                key_type,
                ..FindCoordinatorRequest::default()
            },
        };
        let each = if version >= 4 { keys.len() } else { 1 };
        let mut replies = Vec::new();
        for keys in keys.chunks(each.max(1)) {
            self.recorder.event(Event::CoordinatorLookup);
            replies.push((keys, connection.start_in(version, &request(keys), timeout)?));
        }
        let mut found = Vec::new();
        for (keys, reply) in replies {
            let response = self.quick_reply(node, ApiKey::FindCoordinator, reply).await?;
            found.extend(answers(version, keys, response));
        }
        Ok(found)
    }

    /// Gives one answer to all who wait for it, or puts the next attempt off.
    fn found(&self, key: &Key, answer: Result<Coordinator, ErrorCode>) {
        let (kind, name) = key;
        if answer.is_err() {
            self.recorder.error(ApiKey::FindCoordinator);
        }
        let answer = match answer {
            Ok(found) => Ok(self.learn(&found)),
            Err(code) if action::of(code).is_retry() => Err(None),
            Err(code) => {
                let subject = kind.subject(name);
                Err(Some(Error::refused(ApiKey::FindCoordinator, subject, code)))
            }
        };
        let mut state = self.coordinators.lock();
        let answer = match answer {
            Ok(node) => {
                state.known.insert(key.clone(), node);
                Ok(node)
            }
            Err(Some(error)) => Err(error),
            Err(None) => {
                if let Some(lookup) = state.lookups.get_mut(key) {
                    self.recorder.retry(ApiKey::FindCoordinator);
                    lookup.retry_at = Instant::now() + self.next_wait(&mut lookup.backoff);
                }
                return;
            }
        };
        let lookup = state.lookups.remove(key);
        drop(state);
        for waiter in lookup.into_iter().flat_map(|it| it.waiters) {
            let _ = waiter.send(answer.clone());
        }
    }

    /// A coordinator comes with its address, which may be newer than the metadata.
    fn learn(&self, found: &Coordinator) -> NodeId {
        let id = NodeId(found.node_id);
        if let Ok(port) = u16::try_from(found.port) {
            let address = Address::new(found.host.as_str(), port);
            if self.address_of(id).as_ref() != Some(&address) {
                let rack = self.metadata().brokers.get(&id).and_then(|it| it.rack.clone());
                let brokers = vec![Broker { id, address, rack }];
                self.apply(Update::Hints { leaders: Vec::new(), brokers });
            }
        }
        id
    }
}

/// What a response says about each key; a key it leaves out counts as not available.
fn answers(
    version: i16,
    keys: &[Key],
    response: FindCoordinatorResponse,
) -> Vec<(Key, Result<Coordinator, ErrorCode>)> {
    let mut coordinators = response.coordinators;
    if version < 4 {
        coordinators = vec![Coordinator {
            key: keys.first().map(|(_, key)| key.to_string()).unwrap_or_default(),
            node_id: response.node_id,
            host: response.host,
            port: response.port,
            error_code: response.error_code,
            error_message: response.error_message,
        }];
    }
    let answer = |key: &Key| {
        let found = coordinators.iter().find(|it| it.key == *key.1);
        let found = found.ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
        ErrorCode(found.error_code).ok()?;
        // A broker that has no coordinator to name yet may say so by -1 alone.
        let named = NodeId::known(found.node_id).is_some();
        named.then(|| found.clone()).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)
    };
    keys.iter().map(|key| (key.clone(), answer(key))).collect()
}

/// The task that looks up, until nobody waits.
async fn look_up(core: Arc<Core>) {
    loop {
        // Lets all who are ready now join in the same request.
        tokio::task::yield_now().await;
        let now = Instant::now();
        let (due, next) = {
            let mut state = core.coordinators.lock();
            let (due, next) = state.due(now);
            if next.is_none() || core.is_closed() {
                state.running = false;
                state.lookups.clear();
                return;
            }
            (due, next)
        };
        if due.is_empty() {
            let _ = timeout_at(next.unwrap_or(now), core.coordinators.wake.notified()).await;
            continue;
        }
        for kind in [CoordinatorKind::Group, CoordinatorKind::Transaction] {
            let keys: Vec<_> = due.iter().filter(|key| key.0 == kind).cloned().collect();
            if keys.is_empty() {
                continue;
            }
            if let Some(found) = core.find(kind, &keys).await {
                for (key, answer) in found {
                    core.found(&key, answer);
                }
            } else {
                let dial_at = core.dial_any_at();
                let mut state = core.coordinators.lock();
                for key in &keys {
                    if let Some(lookup) = state.lookups.get_mut(key) {
                        core.recorder.retry(ApiKey::FindCoordinator);
                        let wait = core.next_wait(&mut lookup.backoff);
                        lookup.retry_at = dial_at.unwrap_or_else(|| Instant::now() + wait);
                    }
                }
            }
        }
    }
}
