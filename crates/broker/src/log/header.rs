//! The header of a record batch (magic 2), read and patched in place.
//!
//! The log works on headers alone: payloads are neither decoded nor copied once they are stored.
//! Everything in a stored batch has magic 2; older message sets are converted before the append.

use bytes::Bytes;

/// Bytes before the records of a batch.
pub(crate) const HEADER_LEN: usize = 61;
/// Bytes before the part that the batch length counts.
pub(crate) const PREFIX_LEN: usize = 12;

const ATTRIBUTES: usize = 21;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

/// What the header of one batch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) base_offset: i64,
    /// Bytes of the whole batch, prefix included.
    pub(crate) size: usize,
    pub(crate) leader_epoch: i32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) count: i32,
}

impl Header {
    /// The header at the front of `bytes`; `None` when they hold no whole header of magic 2, or a length that
    /// cannot be.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<HEADER_LEN>()?;
        let length = i32_at(head, 8);
        let size = usize::try_from(length).ok()?.checked_add(PREFIX_LEN)?;
        if head[16] != 2 || size < HEADER_LEN {
            return None;
        }
        Some(Self {
            base_offset: i64_at(head, 0),
            size,
            leader_epoch: i32_at(head, 12),
            attributes: i16_at(head, ATTRIBUTES),
            last_offset_delta: i32_at(head, 23),
            base_timestamp: i64_at(head, 27),
            max_timestamp: i64_at(head, 35),
            producer_id: i64_at(head, 43),
            producer_epoch: i16_at(head, 51),
            base_sequence: i32_at(head, 53),
            count: i32_at(head, 57),
        })
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    pub(crate) fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    /// The sequence of the last record; sequences wrap to 0 after `i32::MAX`.
    pub(crate) fn last_sequence(&self) -> i32 {
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        if last > i64::from(i32::MAX) {
            (last - i64::from(i32::MAX) - 1) as i32
        } else {
            last as i32
        }
    }

    pub(crate) fn has_producer(&self) -> bool {
        self.producer_id >= 0
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub(crate) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// A whole batch lies at the front of `bytes`.
    pub(crate) fn read_whole(bytes: &[u8]) -> Option<Self> {
        Self::read(bytes).filter(|header| header.size <= bytes.len())
    }
}

/// Offset and leader epoch lie before the part that the checksum covers.
pub(crate) fn patch_place(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    batch[..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// Stamps the batch with the log's time: type, maximum and, as they are covered, the checksum.
pub(crate) fn patch_append_time(batch: &mut [u8], now_ms: i64) {
    let attributes = i16_at(batch, ATTRIBUTES) | LOG_APPEND_TIME;
    batch[ATTRIBUTES..ATTRIBUTES + 2].copy_from_slice(&attributes.to_be_bytes());
    batch[35..43].copy_from_slice(&now_ms.to_be_bytes());
    patch_checksum(batch);
}

/// Writes the checksum of the covered part.
pub(crate) fn patch_checksum(batch: &mut [u8]) {
    let sum = checksum(batch);
    batch[17..21].copy_from_slice(&sum.to_be_bytes());
}

/// The checksum that the batch carries is that of its bytes.
pub(crate) fn checksum_matches(batch: &[u8]) -> bool {
    batch.len() >= HEADER_LEN && u32_at(batch, 17) == checksum(batch)
}

fn checksum(batch: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(&batch[ATTRIBUTES..])
}

/// The batches that lie in `bytes` one after the other, with their headers; ends before a torn or foreign one.
pub(crate) fn batches(bytes: &Bytes) -> impl Iterator<Item = (Header, Bytes)> + '_ {
    let mut position = 0;
    std::iter::from_fn(move || {
        let header = Header::read_whole(&bytes[position..])?;
        let batch = bytes.slice(position..position + header.size);
        position += header.size;
        Some((header, batch))
    })
}

/// A control batch's only record: whether it commits, and the epoch of the coordinator that wrote it. Control batches are
/// not compressed, and the broker writes their record itself: length, attributes, deltas and key length are one byte
/// each, and so is the value's length.
pub(crate) fn marker(batch: &[u8]) -> (bool, i32) {
    let record = batch.get(HEADER_LEN..).unwrap_or_default();
    let commits = record.get(7..9) == Some(&[0, 1]);
    let epoch = record.get(12..16).map_or(-1, |it| i32_at(it, 0));
    (commits, epoch)
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    u32_at(bytes, at) as i32
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    (i64::from(i32_at(bytes, at)) << 32) | i64::from(u32_at(bytes, at + 4))
}
