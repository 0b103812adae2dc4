//! Authentication on a connection: its requests pass those that are held back until it is through.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use roka_protocol::{ApiKey, Request};
use tokio::time::Instant;

use super::{Connection, Ended, InFlight, RawReply, Reply, State, Way};
use crate::SendError;

/// What is started while the connection authenticates.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) parts: Vec<Bytes>,
    pub(super) len: u64,
    pub(super) it: InFlight,
}

impl Connection {
    /// From now on requests are kept back, except those of the authentication.
    pub(crate) fn hold(&self) {
        self.shared.lock().held.get_or_insert_default();
    }

    /// Lets go what was held back, in its order.
    pub(crate) fn release(&self) {
        let mut state = self.shared.lock();
        for Held { parts, len, mut it } in state.held.take().unwrap_or_default() {
            it.begin = state.queued;
            state.queue(parts, len, it);
        }
        state.wake();
    }

    /// Ends it: everything in flight and held back fails.
    pub(crate) fn end(&self, ended: Ended) {
        let mut state = self.shared.lock();
        state.ending = Some(ended);
        state.wake();
    }

    /// How many requests were started by users.
    pub(crate) fn started(&self) -> u64 {
        self.shared.lock().started
    }

    /// How long until the last request in flight is overdue.
    pub(crate) fn patience(&self) -> Duration {
        let last = self.shared.lock().in_flight.iter().map(|it| it.deadline).max();
        last.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()))
    }

    /// As [`start_in`](Self::start_in), passing what is held back.
    pub(crate) fn start_authentication<R: Request>(
        &self,
        version: i16,
        request: &R,
        timeout: Duration,
    ) -> Result<Reply<R>, SendError> {
        self.start_by(Way::Pass, version, request, timeout)
    }

    /// Queues bytes that only have a length before them, and hears as many raw bytes: SASL before Kafka 1.0.
    pub(crate) fn start_raw(
        &self,
        key: i16,
        message: Bytes,
        timeout: Duration,
    ) -> Result<RawReply, SendError> {
        let api = ApiKey::from_i16(key).unwrap_or(ApiKey::SaslAuthenticate);
        let mut prefix = BytesMut::with_capacity(4);
        prefix.put_i32(i32::try_from(message.len()).unwrap_or(i32::MAX));
        let len = 4 + message.len() as u64;
        self.enqueue(Way::Pass, api, None, vec![prefix.freeze(), message], len, timeout)
    }
}

impl State {
    /// Puts a request behind all others.
    pub(super) fn queue(&mut self, parts: Vec<Bytes>, len: u64, it: InFlight) {
        self.queued += len;
        self.outgoing.extend(parts);
        self.earliest = Some(self.earliest.map_or(it.deadline, |at| at.min(it.deadline)));
        self.in_flight.push_back(it);
    }

    /// Nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.in_flight.is_empty() && self.held.is_none()
    }
}
