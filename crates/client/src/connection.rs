//! One connection to one broker: requests out in the order they were started, responses back by
//! correlation id.
//!
//! Rules:
//! - [`Connection::start`] puts the request into the queue before it returns: the order of calls is the
//!   order on the wire. One task writes and reads; requests started in one turn leave in one write.
//! - A broker answers in order. A response out of order, a bad length, or a request unanswered at its
//!   deadline ends the connection, and everything in flight fails, in order.
//! - What ended is told to each request with whether any of its bytes had left (`sent`).
//! - A connection without requests for `connections_max_idle` closes by itself.
//! - While it authenticates again, requests are held back; their order stays.

mod frames;
mod hold;
mod io;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use roka_protocol::{ApiKey, Message, Request};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::counters::Recorder;
use crate::security::SecurityError;
use crate::transport::Stream;
use crate::versions::Versions;
use crate::{Config, NodeId, SendError};

/// Connections to one broker are separate by purpose, so that a long poll never delays a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Metadata, coordinators' short calls, administration.
    General,
    /// Produce: the broker answers one request after the other, and with `acks=all` each waits for the replicas. So each
    /// producer, by its number, has connections of its own.
    Produce(u32),
    /// Fetch: the broker holds the request until there are records, and answers one after the other. So each
    /// fetcher, by its number, has connections of its own.
    Fetch(u32),
    /// Heartbeats and commits of groups.
    Group,
    /// Join and sync of groups: the coordinator holds them until the group is complete. So each member, by its
    /// number, has a connection of its own.
    Join(u32),
}

/// A connection that was negotiated, or is about to be. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    node: NodeId,
    client_id: Option<String>,
    in_flight_max: usize,
    next_correlation: AtomicI32,
    versions: OnceLock<Versions>,
    recorder: Arc<Recorder>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Parts of requests that the task has not taken yet.
    outgoing: Vec<Bytes>,
    /// Requests that wait until the connection has authenticated again; none if it need not.
    held: Option<Vec<hold::Held>>,
    /// Requests ever started, without those of the authentication.
    started: u64,
    /// Bytes ever queued.
    queued: u64,
    in_flight: VecDeque<InFlight>,
    /// No request in flight has an earlier deadline; may be too early.
    earliest: Option<Instant>,
    /// Ends once nothing is in flight.
    retiring: bool,
    /// Ends now, for that reason.
    ending: Option<Ended>,
    waker: Option<Waker>,
    ended: Option<Ended>,
}

#[derive(Debug)]
struct InFlight {
    api: ApiKey,
    /// None: the answer is raw bytes.
    correlation_id: Option<i32>,
    /// The position of its first byte in the stream.
    begin: u64,
    deadline: Instant,
    timeout: Duration,
    reply: oneshot::Sender<Result<Bytes, SendError>>,
}

/// Whether a request is held back while the connection authenticates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Wait,
    Pass,
}

/// How a connection ended.
#[derive(Debug, Clone)]
pub(crate) enum Ended {
    /// Nobody needed it.
    Idle,
    /// The client is done with it.
    Retired,
    /// The broker or the network ended it.
    Lost(Arc<str>),
    /// Broker and client do not speak the same kind of security, or do not trust each other.
    Distrusted(SecurityError),
    /// A request was not answered in time.
    Silent(ApiKey),
}

impl Connection {
    /// A connection over `stream`, and the task that serves it until it ends.
    pub(crate) fn new(
        node: NodeId,
        config: &Config,
        recorder: Arc<Recorder>,
        stream: Box<dyn Stream>,
    ) -> (Self, impl Future<Output = Ended> + Send + use<>) {
        let shared = Arc::new(Shared {
            node,
            client_id: Some(config.client_id.clone()),
            in_flight_max: config.requests_in_flight_max,
            next_correlation: AtomicI32::new(0),
            versions: OnceLock::new(),
            recorder,
            state: Mutex::default(),
        });
        let task = io::Io::new(stream, shared.clone(), config);
        (Self { shared }, task)
    }

    /// The broker.
    pub(crate) fn node(&self) -> NodeId {
        self.shared.node
    }

    /// What the broker speaks on this connection; none before it was negotiated.
    pub(crate) fn versions(&self) -> Option<&Versions> {
        self.shared.versions.get()
    }

    pub(crate) fn negotiated(&self, versions: Versions) {
        // Negotiated once; a second time would be the same.
        let _ = self.shared.versions.set(versions);
    }

    /// The version in which `R` goes over this connection, at most `cap`.
    pub(crate) fn version_of<R: Request>(&self, cap: Option<i16>) -> Result<i16, SendError> {
        let versions = self.shared.versions.get();
        versions.and_then(|versions| versions.of::<R>(cap)).ok_or_else(|| {
            let ours = <R as Message>::VERSIONS;
            self.too_old::<R>((*ours.start(), cap.unwrap_or(i16::MAX).min(*ours.end())))
        })
    }

    /// The error of a request that would need one of these versions.
    pub(crate) fn too_old<R: Request>(&self, need: (i16, i16)) -> SendError {
        let api = api_of::<R>();
        let have = self.shared.versions.get().and_then(|versions| versions.range(api));
        SendError::UnsupportedVersion { node: self.shared.node, api, need, have }
    }

    /// Whether requests can be started on it.
    pub(crate) fn is_open(&self) -> bool {
        let state = self.shared.lock();
        state.ended.is_none() && state.ending.is_none() && !state.retiring
    }

    /// Why broker and client do not trust each other, if that ended it.
    pub(crate) fn distrust(&self) -> Option<SecurityError> {
        match &self.shared.lock().ended {
            Some(Ended::Distrusted(error)) => Some(error.clone()),
            _ => None,
        }
    }

    /// Whether it is the same connection.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// How many requests wait or are unanswered.
    pub(crate) fn in_flight(&self) -> usize {
        self.shared.lock().pending()
    }

    /// No new requests: closes as soon as everything in flight is answered.
    pub(crate) fn retire(&self) {
        let mut state = self.shared.lock();
        state.retiring = true;
        state.wake();
    }

    /// Queues `request` in the highest common version, at most `cap`. Its place in the order is fixed
    /// when this returns; the reply may be awaited or dropped at any time.
    pub(crate) fn start<R: Request>(
        &self,
        request: &R,
        cap: Option<i16>,
        timeout: Duration,
    ) -> Result<Reply<R>, SendError> {
        let version = self.version_of::<R>(cap)?;
        self.start_in(version, request, timeout)
    }

    /// Queues `request` in that version; see [`start`](Self::start).
    pub(crate) fn start_in<R: Request>(
        &self,
        version: i16,
        request: &R,
        timeout: Duration,
    ) -> Result<Reply<R>, SendError> {
        self.start_by(Way::Wait, version, request, timeout)
    }

    fn start_by<R: Request>(
        &self,
        way: Way,
        version: i16,
        request: &R,
        timeout: Duration,
    ) -> Result<Reply<R>, SendError> {
        let raw = self.start_frame(way, api_of::<R>(), version, request, timeout)?;
        Ok(Reply { raw, version, api: PhantomData })
    }

    /// Asks for the versions; the frame is read by [`crate::versions::negotiate`].
    pub(crate) fn start_negotiation(
        &self,
        version: i16,
        timeout: Duration,
    ) -> Result<RawReply, SendError> {
        let request = crate::versions::request();
        self.start_frame(Way::Wait, ApiKey::ApiVersions, version, &request, timeout)
    }

    /// Queues the request with the next correlation id.
    fn start_frame<R: Request>(
        &self,
        way: Way,
        api: ApiKey,
        version: i16,
        request: &R,
        timeout: Duration,
    ) -> Result<RawReply, SendError> {
        let id = self.shared.next_correlation.fetch_add(1, Ordering::Relaxed);
        let client_id = self.shared.client_id.as_deref();
        let frame = roka_protocol::frame::encode_request(version, id, client_id, request);
        let frame = frame.map_err(|problem| malformed(self.shared.node, api, &problem))?;
        let len = frame.len() as u64;
        let reply = self.enqueue(way, api, Some(id), frame.into_parts(), len, timeout)?;
        self.shared.recorder.version(api, version);
        Ok(reply)
    }

    fn enqueue(
        &self,
        way: Way,
        api: ApiKey,
        correlation_id: Option<i32>,
        parts: Vec<Bytes>,
        len: u64,
        timeout: Duration,
    ) -> Result<RawReply, SendError> {
        let node = self.shared.node;
        let deadline = Instant::now() + timeout;
        let (reply, receiver) = oneshot::channel();

        let mut state = self.shared.lock();
        if let Some(ended) = state.ended.as_ref().or(state.ending.as_ref()) {
            return Err(ended.error(node, api, false, timeout));
        }
        if state.retiring && way == Way::Wait {
            return Err(Ended::Retired.error(node, api, false, timeout));
        }
        if state.pending() >= self.shared.in_flight_max && way == Way::Wait {
            return Err(SendError::Busy { node, api });
        }
        let begin = state.queued;
        let it = InFlight { api, correlation_id, begin, deadline, timeout, reply };
        state.started += u64::from(way == Way::Wait);
        match &mut state.held {
            Some(held) if way == Way::Wait => held.push(hold::Held { parts, len, it }),
            _ => state.queue(parts, len, it),
        }
        state.wake();
        drop(state);
        self.shared.recorder.request(api);
        Ok(RawReply { node, api, receiver })
    }
}

/// The API of a request type.
pub(crate) fn api_of<R: Request>() -> ApiKey {
    // Every request type of the protocol crate has a named key; a test there holds it.
    ApiKey::from_i16(R::KEY).unwrap_or(ApiKey::ApiVersions)
}

fn malformed(node: NodeId, api: ApiKey, problem: &roka_protocol::Error) -> SendError {
    SendError::Malformed { node, api, problem: problem.to_string().into() }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Requests that wait or are unanswered.
    fn pending(&self) -> usize {
        self.in_flight.len() + self.held.as_ref().map_or(0, Vec::len)
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

impl Ended {
    /// The error of a request that was in flight, or came too late.
    fn error(&self, node: NodeId, api: ApiKey, sent: bool, timeout: Duration) -> SendError {
        match self {
            Self::Silent(silent) if *silent == api && sent => {
                SendError::Timeout { node, api, after: timeout }
            }
            Self::Silent(silent) => {
                let problem = format!("{silent} was not answered in time");
                SendError::Disconnected { node, api, sent, problem: problem.into() }
            }
            Self::Lost(problem) => {
                SendError::Disconnected { node, api, sent, problem: problem.clone() }
            }
            Self::Distrusted(error) => {
                let problem = error.to_string().into();
                SendError::Disconnected { node, api, sent, problem }
            }
            Self::Idle | Self::Retired => {
                let problem = "the connection was no longer needed".into();
                SendError::Disconnected { node, api, sent, problem }
            }
        }
    }
}

/// The response to come, as bytes with its header, without its length.
#[derive(Debug)]
#[must_use = "without it nobody learns how the request ended"]
pub(crate) struct RawReply {
    node: NodeId,
    api: ApiKey,
    receiver: oneshot::Receiver<Result<Bytes, SendError>>,
}

impl Future for RawReply {
    type Output = Result<Bytes, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The sender goes without a word only when the I/O thread ends.
        Pin::new(&mut self.receiver).poll(cx).map(|it| it.unwrap_or(Err(SendError::Closed)))
    }
}

/// The response to come.
#[derive(Debug)]
#[must_use = "without it nobody learns how the request ended"]
pub(crate) struct Reply<R> {
    raw: RawReply,
    version: i16,
    api: PhantomData<fn() -> R>,
}

impl<R> Reply<R> {
    /// The version the request was encoded in.
    pub(crate) fn version(&self) -> i16 {
        self.version
    }
}

impl<R: Request> Future for Reply<R> {
    type Output = Result<R::Response, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let version = self.version;
        Pin::new(&mut self.raw).poll(cx).map(|frame| {
            let decoded = roka_protocol::frame::decode_response::<R>(version, frame?);
            decoded
                .map(|(_, response)| response)
                .map_err(|problem| malformed(self.raw.node, self.raw.api, &problem))
        })
    }
}
