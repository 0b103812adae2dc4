//! What a partition remembers of idempotent and transactional producers (KIP-98, KIP-360).
//!
//! - Per producer id: its epoch and its last five batches. A batch that equals one of them is a duplicate and is
//!   answered with the offset it already has.
//! - The next batch of an epoch continues the sequence; the first of a new epoch begins at 0. A producer that the
//!   partition does not know may begin anywhere: its state may have been lost to retention.
//! - An open transaction holds the last stable offset at its first record.

use std::collections::{BTreeMap, VecDeque};

use foldhash::HashMap;
use roka_protocol::ErrorCode;

use super::header::{self, Header};

/// Batches per producer that are recognised as duplicates, as in Kafka.
const REMEMBERED: usize = 5;

#[derive(Debug, Clone, Copy)]
struct Remembered {
    base_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    timestamp: i64,
}

/// One producer on this partition.
#[derive(Debug, Clone)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    batches: VecDeque<Remembered>,
    /// By the broker's clock, for expiry.
    pub(crate) last_seen_ms: i64,
    /// The first offset of its open transaction.
    pub(crate) open_since: Option<i64>,
    pub(crate) coordinator_epoch: i32,
    /// Where the last of its markers is.
    last_marker: Option<i64>,
}

impl Producer {
    /// The sequence of its newest record; -1 when the epoch is new.
    pub(crate) fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }

    pub(crate) fn last_timestamp(&self) -> i64 {
        self.batches.back().map_or(-1, |batch| batch.timestamp)
    }
}

/// A batch that may be appended, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Append,
    /// It is in the log already, at this offset and with this timestamp.
    Duplicate {
        base_offset: i64,
        timestamp: i64,
    },
    /// A newer instance of the producer has written here.
    Fenced,
    OutOfOrder,
    /// The producer has an open transaction, and the batch does not belong to it.
    OutsideTransaction,
}

/// An aborted transaction: readers of committed records leave out the producer's from `first_offset` on, up to the
/// marker at `last_offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    pub(crate) last_offset: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    known: HashMap<i64, Producer>,
    /// First offsets of open transactions, for the last stable offset.
    open: BTreeMap<i64, i64>,
    /// In the order of their markers.
    aborted: Vec<Aborted>,
}

impl Producers {
    /// Whether a batch with this header may be appended now.
    pub(crate) fn check(&self, header: &Header) -> Verdict {
        let Some(known) = self.known.get(&header.producer_id) else { return Verdict::Append };
        if header.producer_epoch < known.epoch {
            return Verdict::Fenced;
        }
        if header.producer_epoch > known.epoch {
            return if header.base_sequence == 0 { Verdict::Append } else { Verdict::OutOfOrder };
        }
        if known.open_since.is_some() && !header.is_transactional() {
            return Verdict::OutsideTransaction;
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        let same = |it: &&Remembered| it.base_sequence == first && it.last_sequence == last;
        if let Some(batch) = known.batches.iter().find(same) {
            let (base_offset, timestamp) = (batch.base_offset, batch.timestamp);
            return Verdict::Duplicate { base_offset, timestamp };
        }
        let expected = match known.last_sequence() {
            i32::MAX => 0,
            last => last + 1,
        };
        if first == expected { Verdict::Append } else { Verdict::OutOfOrder }
    }

    /// Whether the batch belongs to a transaction that it continues.
    pub(crate) fn is_ongoing(&self, header: &Header) -> bool {
        let known = self.known.get(&header.producer_id);
        known.is_some_and(|it| it.epoch == header.producer_epoch && it.open_since.is_some())
    }

    /// Whether a marker for the producer may be appended now: none of a former instance of it, or of its coordinator.
    pub(crate) fn check_marker(
        &self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
    ) -> Result<(), ErrorCode> {
        match self.known.get(&producer_id) {
            Some(known) if epoch < known.epoch => Err(ErrorCode::INVALID_PRODUCER_EPOCH),
            Some(known) if coordinator_epoch < known.coordinator_epoch => {
                Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED)
            }
            _ => Ok(()),
        }
    }

    /// A batch was appended at its final offsets.
    pub(crate) fn note(&mut self, header: &Header, batch: &[u8], now_ms: i64) {
        match (header.has_producer(), header.is_control()) {
            (false, _) => {}
            (true, true) => self.note_marker(header, header::marker(batch), now_ms),
            (true, false) => self.note_data(header, now_ms),
        }
    }

    fn note_data(&mut self, header: &Header, now_ms: i64) {
        let producer = self.producer(header, now_ms);
        producer.batches.push_back(Remembered {
            base_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset: header.base_offset,
            timestamp: header.max_timestamp,
        });
        if producer.batches.len() > REMEMBERED {
            producer.batches.pop_front();
        }
        if header.is_transactional() && producer.open_since.is_none() {
            producer.open_since = Some(header.base_offset);
            self.open.insert(header.base_offset, header.producer_id);
        }
    }

    fn producer(&mut self, header: &Header, now_ms: i64) -> &mut Producer {
        let producer = self.known.entry(header.producer_id).or_insert_with(|| Producer {
            epoch: header.producer_epoch,
            batches: VecDeque::new(),
            last_seen_ms: now_ms,
            open_since: None,
            coordinator_epoch: -1,
            last_marker: None,
        });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        producer.last_seen_ms = now_ms;
        producer
    }

    /// A transaction marker was appended: the producer's transaction is over.
    fn note_marker(&mut self, header: &Header, marker: (bool, i32), now_ms: i64) {
        let (committed, coordinator_epoch) = marker;
        let producer = self.producer(header, now_ms);
        producer.coordinator_epoch = coordinator_epoch;
        producer.last_marker = Some(header.base_offset);
        let Some(first_offset) = producer.open_since.take() else { return };
        self.open.remove(&first_offset);
        if !committed {
            self.aborted.push(Aborted {
                producer_id: header.producer_id,
                first_offset,
                last_offset: header.last_offset(),
            });
        }
    }

    /// The first offset of the oldest open transaction.
    pub(crate) fn first_open(&self) -> Option<i64> {
        self.open.keys().next().copied()
    }

    /// The base offsets of each producer's newest batch and newest marker.
    pub(crate) fn last_batches(&self) -> impl Iterator<Item = i64> {
        let batches = self.known.values().filter_map(|it| Some(it.batches.back()?.base_offset));
        batches.chain(self.known.values().filter_map(|it| it.last_marker))
    }

    /// Markers are gone, and all records that they ended: readers must not look for them.
    pub(crate) fn forget_markers(&mut self, offsets: &[i64]) {
        self.aborted.retain(|it| !offsets.contains(&it.last_offset));
    }

    /// Aborted transactions that a reader of `[from, to)` must know.
    pub(crate) fn aborted_in(&self, from: i64, to: i64) -> impl Iterator<Item = &Aborted> {
        // Markers ascend, so everything that ended before the range is a prefix.
        let start = self.aborted.partition_point(|it| it.last_offset < from);
        self.aborted[start..].iter().filter(move |it| it.first_offset < to)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.known.iter().map(|(&id, producer)| (id, producer))
    }

    /// Forgets producers not seen since `before_ms`, and aborted transactions that end before `log_start`.
    pub(crate) fn expire(&mut self, before_ms: i64, log_start: i64) {
        self.known.retain(|_, it| it.open_since.is_some() || it.last_seen_ms >= before_ms);
        self.aborted.retain(|it| it.last_offset >= log_start);
    }
}
