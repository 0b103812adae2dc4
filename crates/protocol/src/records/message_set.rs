//! Message sets, the formats before v2 (Kafka 0.11): a message is one record, or holds a compressed
//! message set in its value (the *wrapper*).
//!
//! ```text
//!  0 offset i64 | 8 length i32 | 12 crc u32 (CRC-32 from 16 on) | 16 magic i8 | 17 attributes u8
//! 18 timestamp i64, only v1 | key: length i32 (-1 null), bytes | value: the same
//! ```
//!
//! Offsets inside a wrapper: in v0 the real ones; in v1 (KIP-31) relative ones, and the wrapper's
//! offset is the real one of the last message. With `LogAppendTime` the wrapper's timestamp counts.

use bytes::Bytes;

use super::crc::crc32;
use super::header::{V0_MIN, V1_MIN, at, attribute, int, long};
use super::{BatchHeader, Compression, RecordError, TimestampType, codec};

/// One message, borrowed.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) offset: i64,
    pub(super) magic: i8,
    attributes: u8,
    /// -1 in v0.
    pub(super) timestamp: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// The message at the beginning of `data`, and what follows it.
    pub(super) fn read(data: &'a [u8]) -> Result<(Self, &'a [u8]), &'static str> {
        const CUT: &str = "message is cut";
        let (offset, magic, size) = Self::frame(data)?;
        let (message, rest) = data.split_at_checked(size).ok_or(CUT)?;
        let attributes = *message.get(17).ok_or(CUT)?;
        let (timestamp, mut fields) = match magic {
            0 => (-1, message.get(18..).ok_or(CUT)?),
            _ => (long(message, 18).ok_or(CUT)?, message.get(26..).ok_or(CUT)?),
        };
        let key = nullable(&mut fields).ok_or("key is cut")?;
        let value = nullable(&mut fields).ok_or("value is cut")?;
        if !fields.is_empty() {
            return Err("message is longer than its fields");
        }
        Ok((Self { offset, magic, attributes, timestamp, key, value }, rest))
    }

    /// Offset, magic and size in bytes of the message at the beginning of `data`.
    fn frame(data: &[u8]) -> Result<(i64, i8, usize), &'static str> {
        let (Some(offset), Some(length), Some(magic)) =
            (long(data, at::BASE_OFFSET), int(data, at::LENGTH), data.get(at::MAGIC))
        else {
            return Err("message is cut");
        };
        let magic = *magic as i8;
        let least = match magic {
            0 => V0_MIN,
            1 => V1_MIN,
            _ => return Err("a message inside has another format than the one around it"),
        };
        match usize::try_from(length) {
            Ok(length) if length >= least => Ok((offset, magic, at::LOG_OVERHEAD + length)),
            _ => Err("length is below the smallest message's"),
        }
    }

    pub(super) fn is_compressed(&self) -> bool {
        i16::from(self.attributes) & attribute::COMPRESSION != 0
    }
}

/// An `i32` length and that many bytes, taken from the front of `data`; length -1 is null.
#[expect(clippy::option_option, reason = "malformed, null and bytes are three outcomes")]
fn nullable<'a>(data: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, rest) = data.split_first_chunk::<4>()?;
    let length = i32::from_be_bytes(*length);
    if length == -1 {
        *data = rest;
        return Some(None);
    }
    let (taken, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *data = rest;
    Some(Some(taken))
}

/// What the offsets of the messages in `data` are relative to, `None` if they are real ones.
/// `header` is the message around them, or the only one.
pub(super) fn base(header: &BatchHeader, data: &[u8]) -> Result<Option<i64>, &'static str> {
    if header.count == 1 {
        return Ok(None);
    }
    let (mut last, mut rest) = (None, data);
    while !rest.is_empty() {
        let (offset, _, size) = Message::frame(rest)?;
        rest = rest.get(size..).ok_or("message is cut")?;
        last = Some(offset);
    }
    let last = last.ok_or("a compressed message holds none")?;
    if header.magic == 0 {
        return Ok(None);
    }
    // Old librdkafka left the wrapper's offset 0 (Java reads it so too).
    if header.base_offset == 0 {
        return Ok(Some(0));
    }
    match header.base_offset.checked_sub(last) {
        Some(base @ 0..) => Ok(Some(base)),
        _ => Err("a message inside has a larger offset than the one around it"),
    }
}

/// The formats before v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFormat {
    /// Kafka 0.8 and 0.9: no timestamps.
    V0,
    /// Kafka 0.10: timestamps (KIP-32), relative offsets inside wrappers (KIP-31).
    V1,
}

impl MessageFormat {
    const fn magic(self) -> i8 {
        match self {
            Self::V0 => 0,
            Self::V1 => 1,
        }
    }
}

/// Writes a message set: for brokers before 0.11 when producing, and for old consumers when
/// a broker converts down. Headers, idempotence and transactions have no place in it.
#[derive(Debug, Clone)]
pub struct MessageSetBuilder {
    format: MessageFormat,
    compression: Compression,
    timestamp_type: TimestampType,
    buffer: Vec<u8>,
    first_offset: Option<i64>,
    last_offset: i64,
    max_timestamp: i64,
}

impl MessageSetBuilder {
    /// An empty set. zstd came with format v2, so it is an error here.
    pub fn new(format: MessageFormat, compression: Compression) -> Result<Self, RecordError> {
        if compression == Compression::Zstd {
            let magic = format.magic();
            return Err(RecordError::Unsupported { magic, what: "zstd", since: "2.1" });
        }
        Ok(Self {
            format,
            compression,
            timestamp_type: TimestampType::CreateTime,
            buffer: Vec::new(),
            first_offset: None,
            last_offset: -1,
            max_timestamp: -1,
        })
    }

    /// Says who set the timestamps; the producer by default. For brokers.
    #[must_use]
    pub fn timestamp_type(mut self, timestamp_type: TimestampType) -> Self {
        self.timestamp_type = timestamp_type;
        self
    }

    /// Appends a message. Offsets must rise; producers number from 0. Format v0 drops the timestamp
    /// (ms since 1970).
    pub fn push(
        &mut self,
        offset: i64,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), RecordError> {
        if self.first_offset.is_some() && offset <= self.last_offset {
            return Err(RecordError::Invalid { reason: "offsets in a message set must rise" });
        }
        let first = self.first_offset.unwrap_or(offset);
        // In a wrapper of v1 offsets are relative.
        let relative = self.compression != Compression::None && self.format == MessageFormat::V1;
        let place = if relative { offset.saturating_sub(first) } else { offset };
        let attributes = self.attributes(Compression::None);
        message(&mut self.buffer, self.format, place, attributes, timestamp_ms, key, value)?;
        self.first_offset = Some(first);
        self.last_offset = offset;
        self.max_timestamp = self.max_timestamp.max(timestamp_ms);
        Ok(())
    }

    /// Compresses, if asked for, and gives the bytes; the builder is empty again.
    /// Without messages they are empty.
    pub fn build(&mut self) -> Result<Bytes, RecordError> {
        let mut set = std::mem::take(&mut self.buffer);
        if self.compression != Compression::None && !set.is_empty() {
            let mut packed = Vec::with_capacity(set.len() / 2);
            codec::compress(
                self.compression,
                None,
                self.format != MessageFormat::V0,
                &set,
                &mut packed,
            )?;
            set.clear();
            let attributes = self.attributes(self.compression);
            let (offset, timestamp) = (self.last_offset, self.max_timestamp);
            message(&mut set, self.format, offset, attributes, timestamp, None, Some(&packed))?;
        }
        self.first_offset = None;
        self.last_offset = -1;
        self.max_timestamp = -1;
        Ok(set.into())
    }

    fn attributes(&self, compression: Compression) -> u8 {
        let append_time =
            self.format == MessageFormat::V1 && self.timestamp_type == TimestampType::LogAppendTime;
        compression.id() | if append_time { attribute::LOG_APPEND_TIME as u8 } else { 0 }
    }
}

/// Appends one message.
fn message(
    out: &mut Vec<u8>,
    format: MessageFormat,
    offset: i64,
    attributes: u8,
    timestamp_ms: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Result<(), RecordError> {
    let least = if format == MessageFormat::V0 { V0_MIN } else { V1_MIN };
    let size = least + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
    let too_large = |_| RecordError::TooLarge { what: "a message", size };
    let length = i32::try_from(size).map_err(too_large)?;
    let start = out.len();
    out.reserve(at::LOG_OVERHEAD + size);
    out.extend_from_slice(&offset.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&[format.magic() as u8, attributes]);
    if format == MessageFormat::V1 {
        out.extend_from_slice(&timestamp_ms.to_be_bytes());
    }
    for field in [key, value] {
        // The sum fits in 31 bits, so each of them does.
        let length = field.map_or(-1, |bytes| bytes.len() as i32);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(field.unwrap_or_default());
    }
    let crc = crc32(&out[start + at::MAGIC..]);
    out[start + at::LOG_OVERHEAD..start + at::MAGIC].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}
