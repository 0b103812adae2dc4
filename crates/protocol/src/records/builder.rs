//! Builds a v2 batch: records are encoded into the batch's buffer as they come, the header is
//! filled in at the end.
//!
//! A builder is used again and again: after [`BatchBuilder::build`] it is empty.

use bytes::Bytes;

use super::crc::crc32c;
use super::encode::{self, RecordBuffer};
use super::header::{at, attribute};
use super::iter::{RecordIter, Walk};
use super::message_set::{MessageFormat, MessageSetBuilder};
use super::{Compression, HEADER_SIZE, Header, RecordError, TimestampType, codec};

/// What is fixed for all batches of a builder.
#[derive(Debug, Clone, Copy, Default)]
pub struct BatchOptions {
    /// Codec; none by default.
    pub compression: Compression,
    /// Its level; `None` is the codec's own default ([`Compression::check_level`]).
    pub level: Option<i32>,
    /// The buffer to begin with, in bytes. 0, the default, begins with what the batch before took.
    pub capacity: usize,
}

impl BatchOptions {
    /// With this codec, at its default level.
    pub fn with_compression(compression: Compression) -> Self {
        Self { compression, ..Self::default() }
    }
}

/// The producer that a batch is from, for idempotence and transactions (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerFields {
    /// Id from `InitProducerId`, -1 for none.
    pub id: i64,
    /// Its epoch, -1 for none.
    pub epoch: i16,
    /// Sequence of the first record in this partition, -1 for none.
    pub base_sequence: i32,
    /// Whether the batch is part of a transaction.
    pub transactional: bool,
}

impl ProducerFields {
    /// No idempotence.
    pub const NONE: Self = Self { id: -1, epoch: -1, base_sequence: -1, transactional: false };
}

impl Default for ProducerFields {
    fn default() -> Self {
        Self::NONE
    }
}

/// Encodes records into one batch. Offsets in it are 0, 1, 2...: the broker sets the real base.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    options: BatchOptions,
    /// Room for the header, then the records.
    buffer: RecordBuffer,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    /// Of the batch before: the next one will be about as large.
    last_size: usize,
}

impl BatchBuilder {
    /// An empty batch. Takes memory only at the first record.
    pub fn new(options: BatchOptions) -> Self {
        Self {
            options,
            buffer: RecordBuffer::default(),
            count: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            last_size: 0,
        }
    }

    /// Appends a record and returns its index in the batch. On an error the batch is as before.
    ///
    /// `timestamp_ms` is in milliseconds since 1970. `headers` may be anything that can be walked
    /// twice, for instance `[]`, a slice's `iter().copied()`, or the [`Headers`](super::Headers) of another record.
    #[inline]
    pub fn push<'h, H>(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) -> Result<usize, RecordError>
    where
        H: IntoIterator<Item = Header<'h>, IntoIter: Clone>,
    {
        if self.count == 0 {
            self.start(timestamp_ms);
        }
        let delta = timestamp_ms.wrapping_sub(self.base_timestamp);
        self.buffer.append(delta, self.count, key, value, headers.into_iter())?;
        self.max_timestamp = self.max_timestamp.max(timestamp_ms);
        // A record takes 7 bytes at least, so that the size ends first.
        self.count += 1;
        Ok(self.count as usize - 1)
    }

    #[cold]
    fn start(&mut self, timestamp_ms: i64) {
        self.buffer.start(self.options.capacity.max(self.last_size));
        self.base_timestamp = timestamp_ms;
        self.max_timestamp = timestamp_ms;
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch so far, header included, before compression.
    pub fn size(&self) -> usize {
        self.buffer.len().max(HEADER_SIZE)
    }

    /// [`size`](Self::size) after one more record, at most.
    pub fn estimated_size_with<'h>(
        &self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item = Header<'h>>,
    ) -> usize {
        self.size() + encode::upper_bound(key, value, headers.into_iter())
    }

    /// The options it was made with.
    pub fn options(&self) -> &BatchOptions {
        &self.options
    }

    /// Another codec for the batches from now on, also for the records that are in already: the
    /// codec is applied when the batch is built. For brokers that do not know the wanted one.
    pub fn set_compression(&mut self, compression: Compression, level: Option<i32>) {
        self.options.compression = compression;
        self.options.level = level;
    }

    /// The largest timestamp so far, ms since 1970; -1 without records.
    pub fn max_timestamp(&self) -> i64 {
        if self.is_empty() { -1 } else { self.max_timestamp }
    }

    /// Forgets the records, keeps the buffer.
    pub fn reset(&mut self) {
        self.buffer.truncate(0);
        self.count = 0;
    }

    /// Gives back the buffer of a batch that is done with, for the next one. Nothing happens when
    /// somebody still holds the batch or the builder has a larger buffer.
    pub fn recycle(&mut self, batch: Bytes) {
        if self.buffer.is_bare()
            && let Ok(batch) = batch.try_into_mut()
        {
            self.buffer.give(batch.into());
        }
    }

    /// Compresses, fills in the header and the checksum, and is empty again. On an error
    /// (a level that the codec does not have) the records are kept.
    ///
    /// A batch without records is built too, with a count of 0; brokers refuse it.
    pub fn build(&mut self, producer: ProducerFields) -> Result<Bytes, RecordError> {
        let BatchOptions { compression, level, .. } = self.options;
        compression.check_level(level)?;
        if self.count == 0 {
            self.start(-1);
        }
        let mut batch = if compression == Compression::None {
            self.last_size = self.buffer.len() + self.buffer.len() / 8;
            self.buffer.take()
        } else {
            let mut packed = Vec::with_capacity(HEADER_SIZE + self.buffer.len() / 2);
            packed.resize(HEADER_SIZE, 0);
            codec::compress(compression, level, true, self.buffer.records(), &mut packed)?;
            packed
        };
        let fields = HeaderFields {
            base_offset: 0,
            leader_epoch: -1,
            compression,
            timestamp_type: TimestampType::CreateTime,
            flags: if producer.transactional { attribute::TRANSACTIONAL } else { 0 },
            last_offset_delta: (self.count - 1).max(0),
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            base_sequence: producer.base_sequence,
            count: self.count,
        };
        fields.write(&mut batch)?;
        self.reset();
        Ok(batch.into())
    }
}

impl BatchBuilder {
    /// The same records as a message set of format v1, for brokers before 0.11 (Produce v2), and
    /// is empty again. An error, with the records kept, if one has headers or the codec is zstd.
    pub fn build_message_set_v1(&mut self) -> Result<Bytes, RecordError> {
        let mut set = MessageSetBuilder::new(MessageFormat::V1, self.options.compression)?;
        let records = self.buffer.records();
        let walk = Walk::plain(self.count, self.base_timestamp);
        for record in RecordIter::over(walk, records) {
            let record = record?;
            if record.headers.len() > 0 {
                return Err(RecordError::Unsupported { magic: 1, what: "headers", since: "0.11" });
            }
            set.push(record.offset, record.timestamp_ms, record.key, record.value)?;
        }
        let bytes = set.build()?;
        self.reset();
        Ok(bytes)
    }
}

/// What the header of a batch is written from.
pub(super) struct HeaderFields {
    pub(super) base_offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) compression: Compression,
    pub(super) timestamp_type: TimestampType,
    /// Attributes other than codec and timestamp type.
    pub(super) flags: i16,
    pub(super) last_offset_delta: i32,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i16,
    pub(super) base_sequence: i32,
    pub(super) count: i32,
}

impl HeaderFields {
    /// Fills in the first [`HEADER_SIZE`] bytes of `batch`, the checksum of the rest included.
    pub(super) fn write(&self, batch: &mut [u8]) -> Result<(), RecordError> {
        let size = batch.len();
        let too_large = RecordError::TooLarge { what: "a batch", size };
        let length = i32::try_from(size - at::LOG_OVERHEAD).map_err(|_| too_large)?;
        let mut attributes = i16::from(self.compression.id()) | self.flags;
        if self.timestamp_type == TimestampType::LogAppendTime {
            attributes |= attribute::LOG_APPEND_TIME;
        }
        let mut put = |at: usize, bytes: &[u8]| batch[at..at + bytes.len()].copy_from_slice(bytes);
        put(at::BASE_OFFSET, &self.base_offset.to_be_bytes());
        put(at::LENGTH, &length.to_be_bytes());
        put(at::LEADER_EPOCH, &self.leader_epoch.to_be_bytes());
        put(at::MAGIC, &[2]);
        put(at::ATTRIBUTES, &attributes.to_be_bytes());
        put(at::LAST_OFFSET_DELTA, &self.last_offset_delta.to_be_bytes());
        put(at::BASE_TIMESTAMP, &self.base_timestamp.to_be_bytes());
        put(at::MAX_TIMESTAMP, &self.max_timestamp.to_be_bytes());
        put(at::PRODUCER_ID, &self.producer_id.to_be_bytes());
        put(at::PRODUCER_EPOCH, &self.producer_epoch.to_be_bytes());
        put(at::BASE_SEQUENCE, &self.base_sequence.to_be_bytes());
        put(at::COUNT, &self.count.to_be_bytes());
        let crc = crc32c(&batch[at::ATTRIBUTES..]);
        batch[at::CRC..at::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
        Ok(())
    }
}
