//! The 61 bytes before the records of a v2 batch, and the same facts of a v0/v1 message.
//!
//! ```text
//!  0 base offset i64      | not under the CRC: a broker sets them
//!  8 length i32           | of what follows it
//! 12 leader epoch i32     |
//! 16 magic i8             | at the same place in all formats
//! 17 crc u32
//! 21 attributes i16       | from here on under the CRC
//! 23 last offset delta i32
//! 27 base timestamp i64
//! 35 max timestamp i64
//! 43 producer id i64
//! 51 producer epoch i16
//! 53 base sequence i32
//! 57 count i32
//! ```

use super::{Compression, RecordError};

/// Bytes before the first record of a v2 batch.
pub const HEADER_SIZE: usize = 61;

pub(super) mod at {
    pub(crate) const BASE_OFFSET: usize = 0;
    pub(crate) const LENGTH: usize = 8;
    pub(crate) const LEADER_EPOCH: usize = 12;
    pub(crate) const MAGIC: usize = 16;
    pub(crate) const CRC: usize = 17;
    pub(crate) const ATTRIBUTES: usize = 21;
    pub(crate) const LAST_OFFSET_DELTA: usize = 23;
    pub(crate) const BASE_TIMESTAMP: usize = 27;
    pub(crate) const MAX_TIMESTAMP: usize = 35;
    pub(crate) const PRODUCER_ID: usize = 43;
    pub(crate) const PRODUCER_EPOCH: usize = 51;
    pub(crate) const BASE_SEQUENCE: usize = 53;
    pub(crate) const COUNT: usize = 57;
    /// Offset and length: what comes before the bytes that the length counts.
    pub(crate) const LOG_OVERHEAD: usize = 12;
}

pub(super) mod attribute {
    pub(crate) const COMPRESSION: i16 = 0x07;
    pub(crate) const LOG_APPEND_TIME: i16 = 0x08;
    pub(crate) const TRANSACTIONAL: i16 = 0x10;
    pub(crate) const CONTROL: i16 = 0x20;
    pub(crate) const DELETE_HORIZON: i16 = 0x40;
}

/// Smallest v0 message after offset and length: CRC, magic, attributes, key and value length.
pub(super) const V0_MIN: usize = 14;
/// Smallest v1 message after offset and length: v0 and the timestamp.
pub(super) const V1_MIN: usize = 22;

/// Who set the timestamps of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// The producer, each record its own.
    #[default]
    CreateTime,
    /// The broker, when it appended the batch: one timestamp for all its records.
    LogAppendTime,
}

/// What the header of a batch says. For a v0 or v1 message the fields it does not have are
/// the "none" values that Kafka gives them (-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record that was in the batch; compaction may have removed it since.
    /// Of a compressed v0/v1 message: the offset of the *last* record inside.
    pub base_offset: i64,
    /// Size of the whole batch in bytes, with the offset and length at its beginning.
    pub size: usize,
    /// Epoch of the leader that appended the batch (KIP-101), -1 if unknown.
    pub leader_epoch: i32,
    /// Format: 0, 1 or 2.
    pub magic: i8,
    /// Checksum: CRC-32C for v2, CRC-32 for v0 and v1.
    pub crc: u32,
    /// Codec, timestamp type and flags, see the methods.
    pub attributes: i16,
    /// Offset of the last record that was in the batch, minus `base_offset`.
    pub last_offset_delta: i32,
    /// What the timestamps of the records are relative to, ms since 1970.
    pub base_timestamp: i64,
    /// The largest timestamp, or the append time, ms since 1970.
    pub max_timestamp: i64,
    /// Idempotent producer, -1 if none.
    pub producer_id: i64,
    /// Its epoch, -1 if none.
    pub producer_epoch: i16,
    /// Sequence number of the first record, -1 if none.
    pub base_sequence: i32,
    /// Number of records; -1 for a compressed v0/v1 message, which does not say.
    pub count: i32,
}

impl BatchHeader {
    /// Reads the header at the beginning of `data`. `Ok(None)` when `data` ends before the batch
    /// does, as the last one of a Fetch response may.
    pub fn read(data: &[u8]) -> Result<Option<Self>, RecordError> {
        let (Some(offset), Some(length), Some(magic)) =
            (long(data, at::BASE_OFFSET), int(data, at::LENGTH), data.get(at::MAGIC))
        else {
            return Ok(None);
        };
        let magic = *magic as i8;
        let least = match magic {
            0 => V0_MIN,
            1 => V1_MIN,
            2 => HEADER_SIZE - at::LOG_OVERHEAD,
            _ => return Err(RecordError::Magic { offset, magic }),
        };
        if length < least as i32 {
            return Err(RecordError::Corrupt { offset, reason: "length is below the header's" });
        }
        let size = at::LOG_OVERHEAD + length as usize;
        let Some(data) = data.get(..size) else { return Ok(None) };
        let header = if magic == 2 { Self::v2(data) } else { Self::legacy(data, magic) };
        // The size is checked, so that all fields are there.
        let header = header.ok_or(RecordError::Corrupt { offset, reason: "header is cut" })?;
        // A reader that went on after such a batch would go back.
        if header.last_offset_delta < 0 {
            return Err(RecordError::Corrupt { offset, reason: "last offset is below the first" });
        }
        Ok(Some(header))
    }

    fn v2(data: &[u8]) -> Option<Self> {
        let data = data.first_chunk::<HEADER_SIZE>()?;
        Some(Self {
            base_offset: long(data, at::BASE_OFFSET)?,
            size: at::LOG_OVERHEAD + int(data, at::LENGTH)? as usize,
            leader_epoch: int(data, at::LEADER_EPOCH)?,
            magic: data[at::MAGIC] as i8,
            crc: int(data, at::CRC)? as u32,
            attributes: short(data, at::ATTRIBUTES)?,
            last_offset_delta: int(data, at::LAST_OFFSET_DELTA)?,
            base_timestamp: long(data, at::BASE_TIMESTAMP)?,
            max_timestamp: long(data, at::MAX_TIMESTAMP)?,
            producer_id: long(data, at::PRODUCER_ID)?,
            producer_epoch: short(data, at::PRODUCER_EPOCH)?,
            base_sequence: int(data, at::BASE_SEQUENCE)?,
            count: int(data, at::COUNT)?,
        })
    }

    fn legacy(data: &[u8], magic: i8) -> Option<Self> {
        let attributes = i16::from(*data.get(17)?);
        let timestamp = if magic == 1 { long(data, 18)? } else { -1 };
        Some(Self {
            base_offset: long(data, at::BASE_OFFSET)?,
            size: data.len(),
            leader_epoch: -1,
            magic,
            crc: int(data, at::LOG_OVERHEAD)? as u32,
            // A v0 message has no other bits, whatever is there.
            attributes: if magic == 0 {
                attributes & attribute::COMPRESSION
            } else {
                attributes & 0xf
            },
            last_offset_delta: 0,
            base_timestamp: timestamp,
            max_timestamp: timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            count: if attributes & attribute::COMPRESSION == 0 { 1 } else { -1 },
        })
    }

    /// Offset of the last record that was in the batch.
    pub const fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(self.last_offset_delta as i64)
    }

    /// Where a consumer goes on after this batch, however many of its records compaction left.
    pub const fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// The codec; an error for the numbers that Kafka does not define.
    pub fn compression(&self) -> Result<Compression, RecordError> {
        let id = (self.attributes & attribute::COMPRESSION) as u8;
        Compression::from_id(id)
            .ok_or(RecordError::UnknownCompression { offset: self.base_offset, id })
    }

    /// Who set the timestamps.
    pub const fn timestamp_type(&self) -> TimestampType {
        if self.attributes & attribute::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Part of a transaction (KIP-98).
    pub const fn is_transactional(&self) -> bool {
        self.attributes & attribute::TRANSACTIONAL != 0
    }

    /// Holds a transaction marker, not records for users.
    pub const fn is_control(&self) -> bool {
        self.attributes & attribute::CONTROL != 0
    }

    /// When the broker may drop the tombstones in the batch (KIP-534), ms since 1970.
    pub const fn delete_horizon(&self) -> Option<i64> {
        if self.attributes & attribute::DELETE_HORIZON == 0 {
            None
        } else {
            Some(self.base_timestamp)
        }
    }

    /// Sequence number of the last record, `None` without an idempotent producer. Sequences
    /// begin again at 0 after `i32::MAX`.
    pub const fn last_sequence(&self) -> Option<i32> {
        if self.base_sequence < 0 {
            return None;
        }
        Some(add_sequence(self.base_sequence, self.last_offset_delta))
    }
}

/// `sequence + by`, where 0 follows on `i32::MAX`.
const fn add_sequence(sequence: i32, by: i32) -> i32 {
    sequence.wrapping_add(by) & i32::MAX
}

#[inline]
pub(super) fn short(data: &[u8], at: usize) -> Option<i16> {
    Some(i16::from_be_bytes(*data.get(at..)?.first_chunk()?))
}

#[inline]
pub(super) fn int(data: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(*data.get(at..)?.first_chunk()?))
}

#[inline]
pub(super) fn long(data: &[u8], at: usize) -> Option<i64> {
    Some(i64::from_be_bytes(*data.get(at..)?.first_chunk()?))
}
