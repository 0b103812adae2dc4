//! What answers mean for the partitions they are about.

use roka_protocol::{
    ErrorCode, Uuid,
    messages::fetch::{FetchResponse, PartitionData},
    records::BatchHeader,
};
use tokio::time::Instant;

use super::{Asked, Engine, Flight, ListWant, Part, Slot, ValidateWant};
use crate::{
    NodeId, TopicPartition,
    consumer::{
        Chunk, FetchEvent, Isolation, Position,
        chunk::Span,
        place::{Attempt, Reaction},
    },
};

/// The first version of Fetch that answers with one batch although it is larger than what was asked for (KIP-74).
const AT_LEAST_ONE: i16 = 3;
/// The most that is asked for to get a batch that is larger than what was asked for, in bytes.
const LARGEST_BATCH: usize = 1 << 30;

/// An answer to Fetch.
#[derive(Debug, Clone)]
pub(in crate::consumer) struct Fetched {
    pub(in crate::consumer) response: FetchResponse,
    pub(in crate::consumer) version: i16,
}

/// Why a Fetch brought no answer that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::consumer) enum FetchFailure {
    /// The broker could not be reached, or did not answer.
    Unanswered,
    /// The connection speaks a version without sessions, but the request relied on one. It was not sent.
    NoSessions,
}

impl Engine {
    /// A Fetch was answered, or was not. Hints in the answer were applied before, and the metadata with them
    /// ([`update`](Self::update)).
    pub(in crate::consumer) fn fetched(
        &mut self,
        id: NodeId,
        slot: Slot,
        result: Result<Fetched, FetchFailure>,
        now: Instant,
    ) {
        let node = self.node(id);
        let flight = match slot {
            Slot::Regular => node.regular.take(),
            Slot::Express => node.express.take(),
        };
        let Some(mut flight) = flight else { return };
        // A seek, another assignment or another leader took the others out of the request.
        let is_in = |name: &TopicPartition| {
            self.parts.get(name).is_some_and(|part| part.is_in(flight.number))
        };
        flight.asked.retain(|name, _| is_in(name));
        for name in flight.asked.keys() {
            if let Some(part) = self.parts.get_mut(name) {
                part.busy = None;
                // Until it turns out that the express request brought something.
                part.patient = slot == Slot::Express;
            }
        }
        match result {
            Ok(fetched) => self.answered(id, slot, flight, fetched, now),
            Err(FetchFailure::NoSessions) => {
                let node = self.node(id);
                node.sessionless = true;
                node.session.failed(true);
            }
            Err(FetchFailure::Unanswered) => self.unanswered(id, slot, &flight, now),
        }
    }

    fn unanswered(&mut self, id: NodeId, slot: Slot, flight: &Flight, now: Instant) {
        if slot == Slot::Regular {
            self.node(id).session.failed(false);
        }
        // The next connection may be to another version.
        self.node(id).sessionless = false;
        let mut rng = self.rng.fork();
        for name in flight.asked.keys() {
            if let Some(part) = self.parts.get_mut(name) {
                part.flow.set_answered(false);
                part.place.unreachable(id, now, &mut rng);
                part.patient = false;
            }
        }
        self.rest(id, now);
        self.refresh = true;
    }

    fn answered(
        &mut self,
        id: NodeId,
        slot: Slot,
        mut flight: Flight,
        Fetched { response, version }: Fetched,
        now: Instant,
    ) {
        let code = ErrorCode(response.error_code);
        if !code.is_ok() {
            return self.request_failed(id, slot, code, now);
        }
        let node = self.node(id);
        node.backoff.reset();
        node.retry_at = None;
        if slot == Slot::Regular && !node.sessionless {
            node.session.answered(response.session_id);
        }
        for name in flight.asked.keys() {
            if let Some(part) = self.parts.get(name) {
                part.flow.set_answered(true);
            }
        }
        for topic in response.responses {
            let Some(name) = self.topic_name(&topic.topic, topic.topic_id) else { continue };
            for data in topic.partitions {
                let name = TopicPartition::new(name.clone(), data.partition_index);
                // Each once, whatever the broker says twice.
                if let Some(asked) = flight.asked.remove(&name) {
                    self.partition(&name, &asked, data, version, now);
                }
            }
        }
    }

    fn request_failed(&mut self, id: NodeId, slot: Slot, code: ErrorCode, now: Instant) {
        tracing::debug!(node = %id, %code, "fetch refused");
        let unknown = code == ErrorCode::FETCH_SESSION_ID_NOT_FOUND;
        if slot == Slot::Regular {
            self.node(id).session.failed(unknown);
        }
        let session = unknown
            || code == ErrorCode::INVALID_FETCH_SESSION_EPOCH
            || code == ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR;
        // A lost session is opened again at once; if that fails too, or for any other reason, not so fast.
        if session && self.node(id).backoff.steps() == 0 {
            let mut rng = self.rng.fork();
            self.node(id).backoff.next(&mut rng);
        } else {
            self.rest(id, now);
            self.refresh = true;
        }
    }

    fn topic_name(&self, name: &str, id: Uuid) -> Option<std::sync::Arc<str>> {
        let topic =
            if name.is_empty() { self.metadata.topic_by_id(id) } else { self.metadata.topic(name) };
        topic.map(|topic| topic.name.clone())
    }

    fn partition(
        &mut self,
        name: &TopicPartition,
        asked: &Asked,
        data: PartitionData,
        version: i16,
        now: Instant,
    ) {
        let mut rng = self.rng.fork();
        let (lease, known_brokers) = (self.lease, self.metadata.clone());
        let Some(part) = self.parts.get_mut(name) else { return };
        let code = ErrorCode(data.error_code);
        let diverging = &data.diverging_epoch;
        if !code.is_ok() {
            tracing::debug!(partition = %name, node = %asked.attempt.node, %code, "fetch failed");
            part.flow.set_answered(false);
            part.patient = false;
            let log_start = Some(data.log_start_offset).filter(|start| *start >= 0);
            let reaction = part.place.failed(code, asked.attempt, log_start, now, &mut rng);
            return self.react(name, reaction);
        }
        if diverging.epoch >= 0 && diverging.end_offset >= 0 {
            let leader_epoch = Some(diverging.epoch);
            let end = Position { offset: diverging.end_offset, leader_epoch };
            part.patient = false;
            let reaction = part.place.diverged(end, asked.attempt, now, &mut rng);
            return self.react(name, reaction);
        }
        let has_records = data.records.as_ref().is_some_and(|records| !records.is_empty());
        if let Some(replica) = NodeId::known(data.preferred_read_replica)
            && !has_records
        {
            part.patient = false;
            if known_brokers.brokers.contains_key(&replica) {
                part.place.prefer(replica, now, lease);
            } else {
                // It is new, or gone: the leader meanwhile.
                part.place.leave_replica(replica, now, &mut rng);
                self.refresh = true;
            }
            return;
        }
        let behind = part.position().is_some_and(|it| it.offset < data.high_watermark);
        if has_records {
            self.records(name, data);
        } else if version < AT_LEAST_ONE && behind {
            // There is a batch, but not even its beginning was sent.
            part.least_bytes = (part.least_bytes.max(asked.bytes) * 2).min(LARGEST_BATCH);
            part.patient = false;
        }
    }

    /// Passes records on to the reader and moves the position behind them.
    fn records(&mut self, name: &TopicPartition, data: PartitionData) {
        let Some(records) = data.records else { return };
        let committed = self.config.isolation == Isolation::ReadCommitted;
        let check_crcs = self.config.check_crcs;
        let Some(part) = self.parts.get_mut(name) else { return };
        let Some(position) = part.position() else { return };
        part.patient = false;
        let span = Span::of(&records);
        if span.bytes == 0 {
            // Brokers before Fetch v3 cut a batch that is larger than what was asked for.
            part.least_bytes = cut_size(&records).max(part.least_bytes).min(LARGEST_BATCH);
            return;
        }
        let next = span.next.unwrap_or(position);
        // A broker that sends what lies before the wanted offset only would be asked for ever.
        let next = if next.offset > position.offset { next } else { position };
        let known = |offset: i64| if offset < 0 { data.high_watermark } else { offset };
        let chunk = Chunk {
            partition: name.clone(),
            tag: part.tag,
            offset: position.offset,
            next,
            high_watermark: data.high_watermark,
            last_stable_offset: known(data.last_stable_offset),
            log_start_offset: data.log_start_offset,
            records: records.slice(..span.bytes),
            aborted: data.aborted_transactions.filter(|_| committed).unwrap_or_default(),
            check_crcs,
            credit: Some(part.flow.take(span.bytes)),
        };
        if span.broken {
            part.place.stop_silently();
        } else {
            part.place.read(next);
        }
        part.queue.push(FetchEvent::Data(chunk), part.flow.clone(), part.era);
        let queue = part.queue.clone();
        self.touch(queue);
    }

    /// `ListOffsets` was answered for one partition: the position, none if the time asked for lies after the last
    /// record.
    pub(in crate::consumer) fn listed(
        &mut self,
        want: &ListWant,
        result: Result<Option<Position>, Option<ErrorCode>>,
        now: Instant,
    ) {
        self.looked_up(&want.name, want.number, want.attempt, now, result, |part, found| {
            part.place.found(found)
        });
    }

    /// The leader's log was compared: how far it agrees with what was read; none if that cannot be told.
    pub(in crate::consumer) fn validated(
        &mut self,
        want: &ValidateWant,
        result: Result<Option<Position>, Option<ErrorCode>>,
        now: Instant,
    ) {
        self.looked_up(&want.name, want.number, want.attempt, now, result, |part, end| {
            part.place.validated(end)
        });
    }

    fn looked_up<T>(
        &mut self,
        name: &TopicPartition,
        number: u64,
        attempt: Attempt,
        now: Instant,
        result: Result<T, Option<ErrorCode>>,
        good: impl FnOnce(&mut Part, T) -> Reaction,
    ) {
        let mut rng = self.rng.fork();
        let part = self.parts.get_mut(name).filter(|part| part.is_in(number));
        let Some(part) = part else { return };
        part.busy = None;
        let reaction = match result {
            Ok(value) => good(part, value),
            Err(Some(code)) => {
                tracing::debug!(partition = %name, node = %attempt.node, %code, "lookup failed");
                part.place.failed(code, attempt, None, now, &mut rng)
            }
            Err(None) => {
                part.place.unanswered(attempt, now, &mut rng);
                Reaction::Refresh
            }
        };
        self.react(name, reaction);
    }
}

/// The size of the batch that is cut at the end of `records`, as far as its header is there.
fn cut_size(records: &[u8]) -> usize {
    debug_assert!(BatchHeader::read(records).is_ok_and(|header| header.is_none()));
    let length = records.get(8..12).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    let length = length.map_or(0, i32::from_be_bytes);
    usize::try_from(length).map_or(0, |length| length + 12).max(records.len() * 2)
}
