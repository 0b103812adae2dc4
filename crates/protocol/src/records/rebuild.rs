//! A batch again, with fewer records: what compaction does.
//!
//! Kept from the source: base offset, last offset (so that [`Batch::next_offset`] stays), the
//! offsets of the records, producer, sequence, flags, leader epoch, codec. Computed again: count,
//! largest timestamp (unless the broker's append time), checksum.

use bytes::Bytes;

use super::builder::HeaderFields;
use super::encode::RecordBuffer;
use super::header::attribute;
use super::{
    Batch, BatchHeader, Compression, HEADER_SIZE, Record, RecordError, TimestampType, codec,
};

/// Takes the records to keep, in their order.
#[derive(Debug)]
pub struct RebuildBatch {
    header: BatchHeader,
    compression: Compression,
    buffer: RecordBuffer,
    count: i32,
    next_delta: i64,
    max_timestamp: Option<i64>,
}

impl RebuildBatch {
    /// Of this batch, which must be of format v2.
    pub fn new(source: &Batch) -> Result<Self, RecordError> {
        if source.magic() != 2 {
            return Err(RecordError::Unsupported {
                magic: source.magic(),
                what: "rewriting",
                since: "0.11",
            });
        }
        let mut buffer = RecordBuffer::default();
        buffer.start(source.bytes().len());
        Ok(Self {
            header: *source.header(),
            compression: source.compression(),
            buffer,
            count: 0,
            next_delta: 0,
            max_timestamp: None,
        })
    }

    /// Notes when the tombstones in the batch may go (KIP-534), in ms since 1970. Must be called
    /// before the first record: it is what timestamps are then relative to.
    pub fn set_delete_horizon(&mut self, at_ms: i64) -> Result<(), RecordError> {
        if self.count > 0 {
            return Err(RecordError::Invalid {
                reason: "the delete horizon comes before the records",
            });
        }
        self.header.base_timestamp = at_ms;
        self.header.attributes |= attribute::DELETE_HORIZON;
        Ok(())
    }

    /// Keeps a record of the source. Offsets must rise and lie within the source's.
    pub fn push(&mut self, record: &Record<'_>) -> Result<(), RecordError> {
        let delta = record.offset.wrapping_sub(self.header.base_offset);
        if delta < self.next_delta || delta > i64::from(self.header.last_offset_delta) {
            return Err(RecordError::Invalid { reason: "a kept record is not of this batch" });
        }
        self.buffer.append(
            record.timestamp_ms.wrapping_sub(self.header.base_timestamp),
            delta as i32,
            record.key,
            record.value,
            record.headers,
        )?;
        self.next_delta = delta + 1;
        // At most one per offset delta, so below 2^31.
        self.count = self.count.saturating_add(1);
        self.max_timestamp = self.max_timestamp.max(Some(record.timestamp_ms));
        Ok(())
    }

    /// Number of records kept so far.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether none is kept. Such a batch still has its use: it holds the producer's last sequence.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The batch.
    pub fn build(mut self) -> Result<Bytes, RecordError> {
        let header = self.header;
        let mut batch = self.buffer.take();
        if self.compression != Compression::None && self.count > 0 {
            let mut packed = Vec::with_capacity(batch.len() / 2 + HEADER_SIZE);
            packed.resize(HEADER_SIZE, 0);
            codec::compress(self.compression, None, true, &batch[HEADER_SIZE..], &mut packed)?;
            batch = packed;
        }
        let timestamp_type = header.timestamp_type();
        let max_timestamp = match (timestamp_type, self.max_timestamp) {
            (TimestampType::CreateTime, Some(timestamp)) => timestamp,
            _ => header.max_timestamp,
        };
        let mut compression = self.compression;
        let mut base_timestamp = header.base_timestamp;
        let mut flags = header.attributes
            & (attribute::TRANSACTIONAL | attribute::CONTROL | attribute::DELETE_HORIZON);
        if self.count == 0 {
            // As Kafka leaves them.
            compression = Compression::None;
            base_timestamp = -1;
            flags &= !attribute::DELETE_HORIZON;
        }
        let fields = HeaderFields {
            base_offset: header.base_offset,
            leader_epoch: header.leader_epoch,
            compression,
            timestamp_type,
            flags,
            last_offset_delta: header.last_offset_delta,
            base_timestamp,
            max_timestamp,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            count: self.count,
        };
        fields.write(&mut batch)?;
        Ok(batch.into())
    }
}
