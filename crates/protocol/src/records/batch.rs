//! From the bytes of a Fetch or Produce to batches, one after the other.
//!
//! A [`Batch`] is a slice of those bytes (no copy) with its header read. Its checksum is not
//! looked at until [`Batch::validate_crc`]: who trusts its log may leave it out.

use bytes::Bytes;

use super::crc::{crc32, crc32c};
use super::header::at;
use super::iter::RecordIter;
use super::message_set::Message;
use super::{BatchHeader, Compression, Decompressor, HEADER_SIZE, RecordError, TimestampType};

/// One batch; of the formats v0 and v1, one message, which holds others when it is compressed.
#[derive(Debug, Clone)]
pub struct Batch {
    header: BatchHeader,
    compression: Compression,
    bytes: Bytes,
    /// The records of a compressed batch, once they are decompressed.
    inflated: Option<Bytes>,
}

impl Batch {
    /// The first batch of `bytes` and how many bytes it takes. `Ok(None)` when the bytes end first.
    pub fn read(bytes: &Bytes) -> Result<Option<Self>, RecordError> {
        let Some(header) = BatchHeader::read(bytes)? else { return Ok(None) };
        let compression = header.compression()?;
        let bytes = bytes.slice(..header.size);
        Ok(Some(Self { header, compression, bytes, inflated: None }))
    }

    /// All that the header says.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The batch as it is on the wire.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Offset of the first record that was in the batch. Of a compressed v0/v1 message it is that
    /// of the last one: the first is known only after decompression.
    pub fn base_offset(&self) -> i64 {
        self.header.base_offset
    }

    /// Offset of the last record that was in the batch, even if compaction removed it.
    pub fn last_offset(&self) -> i64 {
        self.header.last_offset()
    }

    /// Where a consumer goes on after this batch, even if no record is left in it.
    pub fn next_offset(&self) -> i64 {
        self.header.next_offset()
    }

    /// Epoch of the leader that appended the batch; -1 if unknown.
    pub fn leader_epoch(&self) -> i32 {
        self.header.leader_epoch
    }

    /// Format: 0, 1 or 2.
    pub fn magic(&self) -> i8 {
        self.header.magic
    }

    /// Who set the timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        self.header.timestamp_type()
    }

    /// What record timestamps are relative to, ms since 1970.
    pub fn base_timestamp(&self) -> i64 {
        self.header.base_timestamp
    }

    /// The largest timestamp or the append time, ms since 1970; -1 in format v0.
    pub fn max_timestamp(&self) -> i64 {
        self.header.max_timestamp
    }

    /// Idempotent producer; -1 if none.
    pub fn producer_id(&self) -> i64 {
        self.header.producer_id
    }

    /// Epoch of the producer; -1 if none.
    pub fn producer_epoch(&self) -> i16 {
        self.header.producer_epoch
    }

    /// Sequence of the first record; -1 if none.
    pub fn base_sequence(&self) -> i32 {
        self.header.base_sequence
    }

    /// Number of records; `None` for a compressed v0/v1 message, which does not say.
    pub fn count(&self) -> Option<usize> {
        usize::try_from(self.header.count).ok()
    }

    /// Part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.header.is_transactional()
    }

    /// Holds a transaction marker, not records for users.
    pub fn is_control(&self) -> bool {
        self.header.is_control()
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Compares the checksum in the header with the bytes.
    pub fn validate_crc(&self) -> Result<(), RecordError> {
        let computed = match self.header.magic {
            2 => crc32c(&self.bytes[at::ATTRIBUTES..]),
            _ => crc32(&self.bytes[at::MAGIC..]),
        };
        if computed == self.header.crc {
            return Ok(());
        }
        Err(RecordError::Crc { offset: self.header.base_offset, stored: self.header.crc, computed })
    }

    /// The records, one after the other, borrowed from the batch or, when it is compressed,
    /// from `decompressor`. Does not check the checksum.
    pub fn records<'a>(
        &'a self,
        decompressor: &'a mut Decompressor,
    ) -> Result<RecordIter<'a>, RecordError> {
        RecordIter::new(&self.header, self.unpack(decompressor)?)
    }

    /// The same batch, its records decompressed and kept in it, so that they can be read at any
    /// time and as often as wanted. Costs nothing for a batch that is not compressed.
    pub fn inflate(mut self, decompressor: &mut Decompressor) -> Result<Self, RecordError> {
        if self.inflated_records().is_none() {
            self.unpack(decompressor)?;
            self.inflated = Some(decompressor.take());
        }
        Ok(self)
    }

    /// The records in plain, where they are or in the decompressor.
    pub(super) fn unpack<'a>(
        &'a self,
        decompressor: &'a mut Decompressor,
    ) -> Result<&'a [u8], RecordError> {
        if let Some(data) = self.inflated_records() {
            return Ok(data);
        }
        let BatchHeader { magic, base_offset, .. } = self.header;
        decompressor.unpack(self.compression, magic, self.packed()?, base_offset)
    }

    /// The records in plain: those of a v2 batch, or a message set. `None` while compressed.
    #[inline]
    pub(super) fn inflated_records(&self) -> Option<&[u8]> {
        match (&self.inflated, self.compression) {
            (Some(inflated), _) => Some(inflated),
            (None, Compression::None) if self.header.magic == 2 => self.bytes.get(HEADER_SIZE..),
            (None, Compression::None) => Some(&self.bytes),
            (None, _) => None,
        }
    }

    /// The compressed bytes.
    fn packed(&self) -> Result<&[u8], RecordError> {
        if self.header.magic == 2 {
            return Ok(&self.bytes[HEADER_SIZE..]);
        }
        let offset = self.header.base_offset;
        let corrupt = |reason| RecordError::Corrupt { offset, reason };
        let (message, _) = Message::read(&self.bytes).map_err(corrupt)?;
        message.value.ok_or(corrupt("a compressed message has no value"))
    }
}

/// The batches in the bytes of a Fetch response, a Produce request or a log.
///
/// Ends where the bytes end, also in the middle of a batch: brokers cut their answer at a size.
/// After an error there is no more: where the next batch begins is not known.
#[derive(Debug, Clone)]
pub struct Batches {
    rest: Bytes,
    failed: bool,
}

impl Batches {
    /// Over these bytes; batches are slices of them.
    pub fn new(bytes: Bytes) -> Self {
        Self { rest: bytes, failed: false }
    }

    /// What is not read yet. After the end of the iteration: the bytes of the batch that is cut.
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    /// The size in bytes of a batch that is cut, when enough of it is there to tell. A consumer that
    /// got nothing but such a batch must ask for this much (brokers before Fetch v3).
    pub fn cut_size(&self) -> Option<usize> {
        let length = super::header::int(&self.rest, at::LENGTH)?;
        Some(at::LOG_OVERHEAD + usize::try_from(length).ok()?)
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let batch = Batch::read(&self.rest).transpose()?;
        match &batch {
            Ok(batch) => drop(self.rest.split_to(batch.header.size)),
            Err(_) => self.failed = true,
        }
        Some(batch)
    }
}

impl std::iter::FusedIterator for Batches {}
