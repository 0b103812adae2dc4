//! Keeps the snapshot fresh: the one place that asks for metadata.
//!
//! Any broker will do. Connected ones come first, then others, then the bootstrap addresses, which are
//! part of the rotation for ever (KIP-899). A broker that does not answer within [`HEDGE`] is not waited
//! for: the next is asked, while its connection keeps its own, longer time-out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roka_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use roka_protocol::{ApiKey, ErrorCode};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::refresh::{Refresher, Step};
use super::{Metadata, NodeId, Update, Why};
use crate::connection::{Connection, Lane};
use crate::core::Core;
use crate::counters::Event;
use crate::{Address, Broker, Config, SendError};

/// Where any broker will do, no single one is waited for longer than this.
pub(crate) const HEDGE: Duration = Duration::from_secs(2);

/// The newest snapshot, and what is wanted beyond it.
#[derive(Debug)]
pub(crate) struct Store {
    snapshot: watch::Sender<Arc<Metadata>>,
    refresher: Mutex<Refresher>,
    wake: Notify,
    /// Set while no broker answers because they and this client do not trust each other.
    distrust: watch::Sender<Option<SendError>>,
}

impl Store {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            snapshot: watch::Sender::default(),
            refresher: Mutex::new(Refresher::new(config)),
            wake: Notify::new(),
            distrust: watch::Sender::default(),
        }
    }

    fn refresher(&self) -> MutexGuard<'_, Refresher> {
        self.refresher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshot(&self) -> Arc<Metadata> {
        self.snapshot.borrow().clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Metadata>> {
        self.snapshot.subscribe()
    }

    /// Lets the task look again.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) fn apply(&self, update: Update) -> bool {
        let mut update = Some(update);
        self.snapshot.send_if_modified(|snapshot| {
            let next = update.take().and_then(|update| snapshot.after(update));
            let applied = next.is_some();
            if let Some(next) = next {
                *snapshot = Arc::new(next);
            }
            applied
        })
    }

    pub(crate) fn forget_controller(&self, node: NodeId) {
        self.snapshot.send_if_modified(|snapshot| {
            let ours = snapshot.controller == Some(node);
            if ours {
                Arc::make_mut(snapshot).controller = None;
            }
            ours
        });
    }

    /// Waits until no broker answers because they and this client do not trust each other.
    pub(crate) async fn distrusted(&self) -> SendError {
        let mut distrust = self.distrust.subscribe();
        // The sender lives as long as this.
        let found = distrust.wait_for(Option::is_some).await;
        found.ok().and_then(|it| it.clone()).unwrap_or(SendError::Closed)
    }

    fn set_distrust(&self, found: Option<SendError>) {
        self.distrust.send_if_modified(|it| {
            let changes = it.is_some() || found.is_some();
            *it = found;
            changes
        });
    }

    /// Asks for a snapshot newer than the present one, without waiting for it.
    pub(crate) fn want_newer(&self) {
        self.want(self.snapshot.borrow().generation);
    }

    fn want(&self, after: u64) {
        self.refresher().want(Instant::now(), after);
        self.wake();
    }
}

/// Topics that are asked for while this lives.
#[derive(Debug)]
pub(crate) struct Tracked {
    core: Arc<Core>,
    topics: Vec<Arc<str>>,
}

impl Tracked {
    pub(crate) fn new(core: &Arc<Core>, mut topics: Vec<Arc<str>>) -> Self {
        topics.sort_unstable();
        topics.dedup();
        core.track_topics(&topics);
        Self { core: core.clone(), topics }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.core.untrack_topics(&self.topics);
    }
}

impl Core {
    /// Adds topics to what is asked for. Each call is undone by one [`untrack_topics`](Self::untrack_topics).
    pub(crate) fn track_topics<T: AsRef<str>>(&self, topics: &[T]) {
        let mut new = false;
        for topic in topics {
            new |= self.store.refresher().track(&Arc::from(topic.as_ref()));
        }
        if new {
            self.store.wake();
        }
    }

    /// Takes topics back; what nobody tracks any more is forgotten.
    pub(crate) fn untrack_topics<T: AsRef<str>>(&self, topics: &[T]) {
        let gone = |topic: &&T| self.store.refresher().untrack(topic.as_ref());
        let gone: Vec<_> = topics.iter().filter(gone).map(|it| Arc::from(it.as_ref())).collect();
        if !gone.is_empty() {
            self.apply(Update::Forget(gone));
        }
    }

    /// Asks for a snapshot newer than `after`, if there is none yet; does not wait for it.
    pub(crate) fn request_refresh(&self, after: u64, why: Why) {
        if self.metadata().generation <= after {
            tracing::trace!(after, ?why, "metadata wanted");
            self.store.want(after);
        }
    }

    /// A snapshot newer than `after`: at once if there is one, else the next answer. All who wait share
    /// one request; answers without news are spaced by a growing back-off, so this may be called in a
    /// loop. Waits for ever while no broker answers: bound it by a deadline.
    pub(crate) async fn refresh(&self, after: u64, why: Why) -> Arc<Metadata> {
        let mut changes = self.store.subscribe();
        loop {
            let snapshot = changes.borrow_and_update().clone();
            if snapshot.generation > after {
                return snapshot;
            }
            self.request_refresh(after, why);
            if changes.changed().await.is_err() {
                return snapshot;
            }
        }
    }

    /// A snapshot from an answer that was asked for after this call.
    pub(crate) async fn refresh_anew(&self) -> Arc<Metadata> {
        // An answer under way may be older than the call.
        let under_way = u64::from(self.store.refresher().in_flight());
        let after = self.metadata().generation + under_way;
        self.refresh(after, Why::Asked).await
    }

    /// Brokers, then bootstrap addresses, each with where it listens.
    fn everyone(&self) -> Vec<(NodeId, Address)> {
        let metadata = self.metadata();
        let broker = |broker: &Broker| (broker.id, broker.address.clone());
        let seeds = self.seeds().filter_map(|node| Some((node, self.address_of(node)?)));
        metadata.brokers.values().map(broker).chain(seeds).collect()
    }

    /// The broker to ask where any will do, none of `tried`; none if all were tried. A bootstrap address comes
    /// last, and not at all if the broker that listens there was tried.
    pub(crate) fn any_node(&self, tried: &[NodeId]) -> Option<NodeId> {
        let now = Instant::now();
        let mut everyone = self.everyone();
        let tried: Vec<_> = tried.iter().filter_map(|node| self.address_of(*node)).collect();
        everyone.retain(|(_, address)| !tried.contains(address));
        let rank = |(node, address): &(NodeId, Address)| {
            let suitability = self.connections.suitability(*node, address, now);
            (suitability, node.as_seed().is_some(), self.with_rng(|rng| rng.u32(..)))
        };
        everyone.iter().min_by_key(|it| rank(it)).map(|it| it.0)
    }

    /// When the first of all brokers may be dialled again; none if one may now.
    pub(crate) fn dial_any_at(&self) -> Option<Instant> {
        let addresses = self.everyone().into_iter().map(|it| it.1);
        self.connections.retry_at(addresses, Instant::now())
    }

    fn set_slow(&self, node: NodeId, slow: bool) {
        if let Some(address) = self.address_of(node) {
            self.connections.set_slow(&address, slow);
        }
    }

    /// A connection to a broker of which only a quick answer is of use.
    pub(crate) async fn quick_connection(
        self: &Arc<Self>,
        node: NodeId,
    ) -> Result<Connection, SendError> {
        let connection = timeout(HEDGE, self.connection(node, Lane::General)).await;
        connection.unwrap_or_else(|_| {
            self.set_slow(node, true);
            let address = self.address_of(node).ok_or(SendError::UnknownNode { node })?;
            let problem = format!("no connection within {HEDGE:?}").into();
            Err(SendError::Connect { node, address, problem, dialled: true })
        })
    }

    /// Waits for a reply from a broker of which only a quick answer is of use.
    pub(crate) async fn quick_reply<T>(
        &self,
        node: NodeId,
        api: ApiKey,
        reply: impl Future<Output = Result<T, SendError>>,
    ) -> Result<T, SendError> {
        let patience = HEDGE.min(self.config().request_timeout);
        let reply = timeout(patience, reply).await;
        self.set_slow(node, reply.is_err());
        reply.unwrap_or(Err(SendError::Timeout { node, api, after: patience }))
    }

    async fn ask_metadata(
        self: &Arc<Self>,
        node: NodeId,
        topics: &[Arc<str>],
    ) -> Result<MetadataResponse, SendError> {
        let connection = self.quick_connection(node).await?;
        let version = connection.version_of::<MetadataRequest>(None)?;
        let topic = |name: &Arc<str>| MetadataRequestTopic {
            name: Some(name.to_string()),
            ..MetadataRequestTopic::default()
        };
        let request = MetadataRequest {
            topics: Some(topics.iter().map(topic).collect()),
            // Before version 4 the broker decides; a stream processor never creates by asking.
            allow_auto_topic_creation: version < 4,
            ..MetadataRequest::default()
        };
        let reply = connection.start_in(version, &request, self.config().request_timeout)?;
        self.quick_reply(node, ApiKey::Metadata, reply).await
    }

    /// Asks one broker after the other until one answers usefully.
    async fn refresh_once(self: &Arc<Self>, topics: &[Arc<str>]) -> bool {
        let mut tried = Vec::new();
        let mut distrust = None;
        while let Some(node) = self.any_node(&tried).filter(|_| !self.is_closed()) {
            tried.push(node);
            match self.ask_metadata(node, topics).await {
                Ok(answer) if answer.error_code == ErrorCode::REBOOTSTRAP_REQUIRED.0 => {
                    self.recorder.error(ApiKey::Metadata);
                    tracing::warn!(%node, "the cluster asks to start from the bootstrap addresses");
                    self.apply(Update::Rebootstrap);
                }
                Ok(answer) => {
                    let before = self.metadata().changed;
                    if self.apply(Update::Answer(answer)) {
                        let metadata = self.metadata();
                        let news = metadata.changed != before;
                        let now = Instant::now();
                        self.with_rng(|rng| {
                            let mut refresher = self.store.refresher();
                            refresher.answered(now, metadata.generation, news, rng);
                        });
                        self.recorder.event(Event::MetadataRefresh);
                        self.store.set_distrust(None);
                        return true;
                    }
                    tracing::debug!(%node, "an answer without brokers was ignored");
                }
                Err(SendError::Connect { dialled: false, .. }) => {}
                Err(error) => {
                    self.recorder.error(ApiKey::Metadata);
                    if let SendError::Security { dialled: true, error, address, .. } = &error {
                        tracing::warn!(%node, %address, %error, "no metadata");
                    } else {
                        tracing::debug!(%node, %error, "no metadata");
                    }
                    distrust = Some(error)
                        .filter(|it| matches!(it, SendError::Security { .. }))
                        .or(distrust);
                }
            }
        }
        if distrust.is_some() {
            self.store.set_distrust(distrust);
        }
        false
    }
}

/// The task: asks when the refresher says so, until the client is closed.
pub(crate) async fn keep_fresh(core: Arc<Core>) {
    while !core.is_closed() {
        let step = core.store.refresher().step(Instant::now());
        match step {
            Step::Wait(at) => {
                // Cut short by a new wish; nothing is under way here that could be lost.
                let _ = timeout_at(at, core.store.wake.notified()).await;
            }
            Step::Ask(topics) => {
                if !core.refresh_once(&topics).await {
                    let (now, dial_at) = (Instant::now(), core.dial_any_at());
                    core.with_rng(|rng| core.store.refresher().failed(now, dial_at, rng));
                }
            }
        }
    }
}
