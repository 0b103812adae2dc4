//! One router for every call: finds who must answer, asks, judges, and finds again when it moved.
//!
//! Rules:
//! - A call ends with an answer, with an error that repeating does not cure, or at its deadline with what
//!   the last attempt met. Retries are not counted.
//! - A retried request is encoded again, for the version of the broker that it then goes to.
//! - *Back off only if nothing newer than the failed attempt is known*: who must answer is found first,
//!   and only if it is the same as before there is a wait; news during the wait ends it.
//! - A request of which no byte was sent is repeated once at once.
//! - Who is [late](crate::late) is not waited for when another is the one to ask by now.

use std::sync::Arc;
use std::time::Duration;

use roka_protocol::{ApiKey, ErrorCode, Request};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::action::{self, Action};
use crate::connection::{Lane, api_of};
use crate::coordinator::CoordinatorKind;
use crate::core::Core;
use crate::late::LATE;
use crate::metadata::Why;
use crate::outcome::Outcome;
use crate::retry::{Backoff, Deadline};
use crate::{Address, Error, NodeId, SendError, Subject};

/// A topic that was made a moment ago may not be known to all brokers yet; one that is unknown for longer
/// does not exist.
pub(crate) const TOPIC_PROPAGATION: Duration = Duration::from_secs(3);

/// Who must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Any broker.
    Any,
    /// This one.
    Node(NodeId),
    /// The controller, or a broker that passes the request on to it.
    Controller,
    /// The leader of the partition.
    Leader(Arc<str>, i32),
    /// The coordinator of the group or transactional id.
    Coordinator(CoordinatorKind, Arc<str>),
}

impl Target {
    /// The coordinator of a group.
    pub(crate) fn group(group: &str) -> Self {
        Self::Coordinator(CoordinatorKind::Group, group.into())
    }

    fn subject(&self) -> Subject {
        match self {
            Self::Any | Self::Controller => Subject::Cluster,
            Self::Node(node) => Subject::Node(*node),
            Self::Leader(topic, partition) => Subject::Partition(topic.clone(), *partition),
            Self::Coordinator(kind, key) => kind.subject(key),
        }
    }

    /// Whether the code says that the request was not carried out, and can be elsewhere or later.
    pub(crate) fn repeats(&self, code: ErrorCode) -> bool {
        match self {
            // Waiting for a topic to appear is for those who know that it will.
            _ if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                matches!(self, Self::Leader(..))
            }
            Self::Leader(..) => matches!(
                action::of(code),
                Action::RetryAfterMetadata | Action::Retry | Action::Rebootstrap
            ),
            Self::Coordinator(..) => matches!(
                code,
                ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
                    | ErrorCode::COORDINATOR_NOT_AVAILABLE
                    | ErrorCode::NOT_COORDINATOR
                    | ErrorCode::TRANSACTION_COORDINATOR_FENCED
            ),
            Self::Any | Self::Node(_) | Self::Controller => matches!(
                code,
                ErrorCode::NOT_CONTROLLER
                    | ErrorCode::STALE_CONTROLLER_EPOCH
                    | ErrorCode::THROTTLING_QUOTA_EXCEEDED
                    | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
                    | ErrorCode::COORDINATOR_NOT_AVAILABLE
            ),
        }
    }
}

/// Who was asked; equal places mean that nothing newer is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    node: NodeId,
    leader_epoch: i32,
}

/// A call on its way.
struct Call<'a> {
    core: &'a Arc<Core>,
    target: Target,
    api: ApiKey,
    deadline: Deadline,
    started: Instant,
    backoff: Backoff,
    last: Option<Error>,
    /// Where the last attempt failed.
    failed: Option<Place>,
    /// Where that broker listened.
    address: Option<Address>,
    /// Metadata of that generation led there; none if it is not to blame.
    stale: Option<u64>,
    /// Brokers that were asked in vain, where any will do.
    tried: Vec<NodeId>,
    free_retry: bool,
    /// An attempt may have been carried out.
    lost_answer: bool,
}

impl Core {
    /// Asks whoever `target` is, until `deadline`. `build` makes the request for the version that the
    /// broker speaks.
    pub(crate) async fn route<R>(
        self: &Arc<Self>,
        target: Target,
        lane: Lane,
        deadline: Deadline,
        build: impl FnMut(i16) -> R,
    ) -> Result<R::Response, Error>
    where
        R: Request<Response: Outcome>,
    {
        self.route_in((0, i16::MAX), target, lane, deadline, build).await
    }

    /// As [`route`](Self::route), in no version outside of `versions`.
    pub(crate) async fn route_in<R>(
        self: &Arc<Self>,
        versions: (i16, i16),
        target: Target,
        lane: Lane,
        deadline: Deadline,
        build: impl FnMut(i16) -> R,
    ) -> Result<R::Response, Error>
    where
        R: Request<Response: Outcome>,
    {
        let answer = self.route_noting(versions, target, lane, deadline, build).await;
        answer.map(|(response, _)| response)
    }

    /// As [`route_in`](Self::route_in); also whether the answer to an earlier attempt was lost, so that what is asked may
    /// have been done before.
    pub(crate) async fn route_noting<R>(
        self: &Arc<Self>,
        versions: (i16, i16),
        target: Target,
        lane: Lane,
        deadline: Deadline,
        mut build: impl FnMut(i16) -> R,
    ) -> Result<(R::Response, bool), Error>
    where
        R: Request<Response: Outcome>,
    {
        let now = Instant::now();
        let mut call = Call {
            core: self,
            api: api_of::<R>(),
            target,
            deadline,
            started: now,
            backoff: self.backoff(),
            last: None,
            failed: None,
            address: None,
            stale: None,
            tried: Vec::new(),
            free_retry: true,
            lost_answer: false,
        };
        loop {
            let next = self.unless_distrusted(call.next_place());
            let found = timeout_at(deadline.at(), next).await;
            let place = found.map_err(|_| call.timeout())??;
            let generation = self.metadata().generation;
            call.address = self.address_of(place.node);
            let answer = timeout_at(deadline.at(), async {
                // An attempt that is given up had its request sent whole; only its answer is dropped.
                tokio::select! {
                    answer = self.attempt(place.node, lane, versions, &mut build) => answer,
                    () = call.replaced(place) => {
                        let (node, api) = (place.node, call.api);
                        Err(SendError::Timeout { node, api, after: call.started.elapsed() })
                    }
                }
            })
            .await;
            match answer.map_err(|_| call.timeout())? {
                Ok(response) => match response.find_code(&|code| call.target.repeats(code)) {
                    None => return Ok((response, call.lost_answer)),
                    Some(code) => call.refused(place, generation, code),
                },
                Err(error) => call.failed(place, generation, error)?,
            }
            self.recorder.error(call.api);
            if deadline.passed(Instant::now()) {
                return Err(call.timeout());
            }
            self.recorder.retry(call.api);
        }
    }

    async fn attempt<R: Request>(
        self: &Arc<Self>,
        node: NodeId,
        lane: Lane,
        (least, most): (i16, i16),
        build: &mut impl FnMut(i16) -> R,
    ) -> Result<R::Response, SendError> {
        let connection = self.connection(node, lane).await?;
        let version = connection.version_of::<R>(Some(most))?;
        if version < least {
            return Err(connection.too_old::<R>((least, most)));
        }
        let timeout = self.config().request_timeout;
        connection.start_in(version, &build(version), timeout)?.await
    }
}

impl Call<'_> {
    /// Where to ask next, after a wait if it is where the last attempt failed.
    async fn next_place(&mut self) -> Result<Place, Error> {
        let Some(failed) = self.failed else { return self.locate().await };
        if let Some(generation) = self.stale.take() {
            // Its answer, if it brings news, ends the wait below.
            self.core.request_refresh(generation, Why::Stale);
        }
        let place = self.locate().await?;
        // A broker that listens elsewhere now is another one under the same number.
        let address = self.core.address_of(place.node);
        let elsewhere = self.address.is_some() && address.is_some() && address != self.address;
        if place != failed || elsewhere {
            return Ok(place);
        }
        let wait = self.core.next_wait(&mut self.backoff);
        self.pause(place, wait).await;
        self.locate().await
    }

    async fn locate(&mut self) -> Result<Place, Error> {
        let (node, leader_epoch) = match &self.target {
            Target::Any => (self.any().await, -1),
            Target::Node(node) => (*node, -1),
            Target::Controller => (self.controller().await, -1),
            Target::Leader(topic, partition) => self.leader(topic, *partition).await?,
            Target::Coordinator(kind, key) => (self.core.coordinator(*kind, key).await?, -1),
        };
        Ok(Place { node, leader_epoch })
    }

    /// Ends when who is asked is late and somebody else can be asked by now.
    async fn replaced(&self, place: Place) {
        if self.target == Target::Any {
            sleep_until(Instant::now() + LATE).await;
            let tried: Vec<_> = self.tried.iter().copied().chain([place.node]).collect();
            if self.core.any_node(&tried).is_some() {
                return;
            }
        }
        self.core.replaced(&self.target, place.node, place.leader_epoch).await;
    }

    async fn any(&mut self) -> NodeId {
        loop {
            if let Some(node) = self.core.any_node(&self.tried) {
                return node;
            }
            // All of them failed: only now there is something to wait for.
            self.tried.clear();
            let wait = self.core.next_wait(&mut self.backoff);
            let until = Instant::now() + wait;
            sleep_until(self.core.dial_any_at().unwrap_or(until).max(until)).await;
        }
    }

    async fn controller(&self) -> NodeId {
        let mut metadata = self.core.metadata();
        if metadata.controller.is_none() {
            metadata = self.core.refresh(metadata.generation, Why::Stale).await;
        }
        loop {
            // In KRaft every broker passes the request on; so does this one if none is named.
            if let Some(node) = metadata.controller.or_else(|| self.core.any_node(&[])) {
                return node;
            }
            metadata = self.core.refresh(metadata.generation, Why::Stale).await;
        }
    }

    async fn leader(&self, topic: &Arc<str>, partition: i32) -> Result<(NodeId, i32), Error> {
        let mut metadata = self.core.metadata();
        loop {
            if let Some(leader) = metadata.leader(topic, partition) {
                return Ok(leader);
            }
            if let Some(known) = metadata.topic(topic) {
                let code = known.error;
                let partitions = known.partitions.len() as i32;
                if code.is_ok() && !(0..partitions).contains(&partition) {
                    let topic = topic.clone();
                    return Err(Error::NoSuchPartition { topic, partition, partitions });
                }
                // A topic that was just made may not be known everywhere yet.
                let young = code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                    && self.started.elapsed() < TOPIC_PROPAGATION;
                let passes = young
                    || action::of(code).is_retry() && code != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                if !code.is_ok() && known.partitions.is_empty() && !passes {
                    return Err(Error::refused(ApiKey::Metadata, self.target.subject(), code));
                }
            }
            metadata = self.core.refresh(metadata.generation, Why::Stale).await;
        }
    }

    /// Waits, at most until who must answer is another than `place`.
    async fn pause(&self, place: Place, wait: Duration) {
        let until = (Instant::now() + wait).min(self.deadline.at());
        let mut changes = self.core.metadata_changed();
        let moved = |metadata: &Arc<crate::Metadata>| match &self.target {
            Target::Leader(topic, partition) => metadata
                .leader(topic, *partition)
                .is_some_and(|now| now != (place.node, place.leader_epoch)),
            Target::Controller => metadata.controller.is_some_and(|now| now != place.node),
            _ => false,
        };
        // Over at the latest at `until`; an error says that the client is gone.
        let _ = timeout_at(until, changes.wait_for(moved)).await;
        let closed = changes.has_changed().is_err();
        if closed {
            sleep_until(until).await;
        }
    }

    /// The broker answered that it cannot be asked, or not now.
    fn refused(&mut self, place: Place, generation: u64, code: ErrorCode) {
        tracing::debug!(api = %self.api, node = %place.node, %code, "retried");
        self.last = Some(Error::refused(self.api, self.target.subject(), code));
        self.failed = Some(place);
        match (action::of(code), &self.target) {
            (Action::RetryAfterCoordinator, Target::Coordinator(kind, key)) => {
                self.core.forget_coordinator(*kind, key, place.node);
            }
            (Action::RetryAfterController, _) => {
                self.core.store.forget_controller(place.node);
                self.stale = Some(generation);
            }
            (Action::RetryAfterMetadata | Action::Rebootstrap, _) => self.stale = Some(generation),
            _ => {}
        }
        self.tried.push(place.node);
    }

    /// There was no usable answer. An error that repeating cannot cure ends the call.
    fn failed(&mut self, place: Place, generation: u64, error: SendError) -> Result<(), Error> {
        let any = self.target == Target::Any;
        let elsewhere = any && matches!(error, SendError::UnsupportedVersion { .. });
        if matches!(error, SendError::Closed) {
            return Err(Error::Closed);
        }
        if !error.is_retriable() && !elsewhere {
            return Err(error.into());
        }
        tracing::debug!(api = %self.api, %error, "retried");
        self.lost_answer |=
            matches!(error, SendError::Timeout { .. } | SendError::Disconnected { sent: true, .. });
        self.tried.push(place.node);
        let exhausted = self.core.any_node(&self.tried).is_none();
        if elsewhere && exhausted {
            return Err(error.into());
        }
        self.failed = Some(place);
        match &error {
            SendError::Disconnected { sent: false, .. } if self.free_retry => {
                self.free_retry = false;
                self.failed = None;
                self.tried.pop();
            }
            SendError::UnknownNode { node } => self.core.unreachable(*node),
            SendError::Connect { .. } | SendError::Timeout { .. } => match &self.target {
                Target::Leader(..) | Target::Controller => self.stale = Some(generation),
                _ => {}
            },
            _ => {}
        }
        self.last = Some(error.into());
        Ok(())
    }

    fn timeout(&mut self) -> Error {
        Error::Timeout {
            operation: format!("{} for {}", self.api, self.target.subject()),
            after: self.started.elapsed(),
            last: self.last.take().map(Box::new),
        }
    }
}
