//! The walk over the records of one batch.
//!
//! Each record is checked whole, headers included, before it is handed out. After an error the walk
//! ends: where the next record begins is not known. The place of the walk is a number and not a
//! pointer, so it can be kept next to the batch ([`RecordWalk`](super::RecordWalk)) or borrow it
//! ([`RecordIter`]).

use super::message_set::{self, Message};
use super::record::bytes;
use super::varint::{read32, read64, take_short, unzigzag32};
use super::{BatchHeader, Headers, Record, RecordError, TimestampType};

/// Least bytes of a v2 record: length, attributes, two deltas, two lengths and a header count.
const LEAST: usize = 7;

/// The length -1 as a varint.
const NULL: u32 = 1;

/// A record, or why there is none, and the bytes after it.
type Step<'a> = (Result<Record<'a>, RecordError>, &'a [u8]);

/// All of the walk but the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Walk {
    format: Format,
    /// Records to come. Of a message set 0: it ends with its bytes.
    left: i32,
    /// Base offset of the batch, for errors and, in v2, for the offsets.
    base_offset: i64,
    base_timestamp: i64,
    /// Set when the broker's append time counts for all records.
    append_time: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    V2,
    /// Messages of this magic, whose offsets are relative to a base if there is one.
    Set {
        magic: i8,
        relative_to: Option<i64>,
    },
}

impl Walk {
    /// Over `data`: the records of a v2 batch, or the messages of a message set, decompressed.
    pub(super) fn new(header: &BatchHeader, data: &[u8]) -> Result<Self, RecordError> {
        let offset = header.base_offset;
        let corrupt = |reason| RecordError::Corrupt { offset, reason };
        let append_time = match header.timestamp_type() {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(header.max_timestamp),
        };
        let (format, left) = if header.magic == 2 {
            let count =
                usize::try_from(header.count).map_err(|_| corrupt("record count is negative"))?;
            if count > data.len() / LEAST {
                return Err(corrupt("more records than bytes"));
            }
            (Format::V2, header.count)
        } else {
            let relative_to = message_set::base(header, data).map_err(corrupt)?;
            (Format::Set { magic: header.magic, relative_to }, 0)
        };
        Ok(Self {
            format,
            left,
            base_offset: offset,
            base_timestamp: header.base_timestamp,
            append_time,
        })
    }

    /// Over the records of a builder: offsets from 0.
    pub(super) fn plain(count: i32, base_timestamp: i64) -> Self {
        let format = Format::V2;
        Self { format, left: count, base_offset: 0, base_timestamp, append_time: None }
    }

    /// Whether nothing comes any more, not even an error, with `data` left.
    #[inline]
    pub(super) fn is_over(&self, data: &[u8]) -> bool {
        data.is_empty() && (self.left == 0 || matches!(self.format, Format::Set { .. }))
    }

    /// The record at the beginning of `data`, and the data after it.
    #[expect(
        clippy::inline_always,
        reason = "measured: not inlined, the copies of a record cost as much as the walk"
    )]
    #[inline(always)]
    pub(super) fn next<'a>(&mut self, data: &'a [u8]) -> Option<Step<'a>> {
        // Message sets have no count, so they are not here.
        if self.left > 0
            && let Some((record, rest)) = self.common(data)
        {
            self.left -= 1;
            return Some((Ok(record), rest));
        }
        // By value: a walk that is nowhere pointed to can live in registers.
        let (after, step) = self.any(data);
        *self = after;
        step
    }

    /// A record of the common form: what is a varint has two bytes at most, nothing is null but the
    /// key, there are no headers and at least eight bytes after the key's length. `None` for all others,
    /// well-formed or not.
    #[expect(
        clippy::inline_always,
        reason = "measured: not inlined, the copies of a record cost as much as the walk"
    )]
    #[inline(always)]
    fn common<'a>(&self, data: &'a [u8]) -> Option<(Record<'a>, &'a [u8])> {
        let mut word = u64::from_le_bytes(*data.first_chunk()?);
        let (length, start) = take_short(&mut word)?;
        let (body, rest) = data.get(start..)?.split_at_checked(plain_length(length)?)?;
        // The first byte of a record is attributes, of which none are defined.
        let mut word = u64::from_le_bytes(*body.get(1..)?.first_chunk()?);
        let (timestamp, timestamp_size) = take_short(&mut word)?;
        let (delta, delta_size) = take_short(&mut word)?;
        let (key, key_size) = take_short(&mut word)?;
        let after = body.get(1 + timestamp_size + delta_size + key_size..)?;
        let (key, after) = if key == NULL {
            (None, after)
        } else {
            let (key, after) = after.split_at_checked(plain_length(key)?)?;
            (Some(key), after)
        };
        let (value, value_size) = match *after {
            [a, ..] if a < 0x80 => (u32::from(a), 1),
            [a, b, ..] if b < 0x80 => (u32::from(a & 0x7f) | u32::from(b) << 7, 2),
            _ => return None,
        };
        // The value, then a header count of 0 which ends the record.
        let (value_and_end, value_length) = (after.get(value_size..)?, plain_length(value)?);
        let (&0, value) = value_and_end.split_last()? else { return None };
        if value.len() != value_length {
            return None;
        }
        let offset = self.base_offset.checked_add(i64::from(unzigzag32(delta)))?;
        let timestamp = i64::from(unzigzag32(timestamp));
        let timestamp_ms =
            self.append_time.unwrap_or_else(|| self.base_timestamp.wrapping_add(timestamp));
        let headers = Headers::default();
        Some((Record { offset, timestamp_ms, key, value: Some(value), headers }, rest))
    }

    /// [`next`](Self::next) for all that there may be, with the walk after it.
    #[inline(never)]
    fn any(mut self, data: &[u8]) -> (Self, Option<Step<'_>>) {
        if data.is_empty() && self.left == 0 {
            return (self, None);
        }
        let step = match self.format {
            Format::V2 if self.left == 0 => Err("bytes are left after the last record"),
            Format::V2 => {
                self.left -= 1;
                self.record(data)
            }
            Format::Set { magic, relative_to } => self.message(magic, relative_to, data),
        };
        let step = match step {
            Ok((record, rest)) => (Ok(record), rest),
            Err(reason) => {
                self.left = 0;
                (Err(RecordError::Corrupt { offset: self.base_offset, reason }), &[][..])
            }
        };
        (self, Some(step))
    }

    fn record<'a>(&self, data: &'a [u8]) -> Result<(Record<'a>, &'a [u8]), &'static str> {
        let mut at = 0;
        let length = read32(data, &mut at).ok_or("record length is cut")?;
        let length = usize::try_from(length).map_err(|_| "record length is negative")?;
        let (body, rest) =
            data[at..].split_at_checked(length).ok_or("record is longer than the batch")?;
        // The first byte of a record is attributes, of which none are defined.
        let mut at = 1;
        let timestamp = read64(body, &mut at).ok_or("timestamp is cut")?;
        let delta = read32(body, &mut at).ok_or("offset delta is cut")?;
        let key = bytes(body, &mut at).ok_or("key is cut")?;
        let value = bytes(body, &mut at).ok_or("value is cut")?;
        let count = read32(body, &mut at).ok_or("header count is cut")?;
        let after = &body[at..];
        let headers = if count == 0 && after.is_empty() {
            Headers::default()
        } else {
            Headers::check(count, after)?
        };
        let offset = self
            .base_offset
            .checked_add(i64::from(delta))
            .ok_or("offset is over the largest there is")?;
        // Wraps like Java's: a timestamp is what the producer says, not a place in the log.
        let timestamp_ms =
            self.append_time.unwrap_or_else(|| self.base_timestamp.wrapping_add(timestamp));
        Ok((Record { offset, timestamp_ms, key, value, headers }, rest))
    }

    fn message<'a>(
        &self,
        magic: i8,
        relative_to: Option<i64>,
        data: &'a [u8],
    ) -> Result<(Record<'a>, &'a [u8]), &'static str> {
        let (message, rest) = Message::read(data)?;
        if message.magic != magic {
            return Err("a message inside has another format than the one around it");
        }
        if message.is_compressed() {
            return Err("a compressed message is inside of another");
        }
        let offset = match relative_to {
            None => message.offset,
            Some(base) => {
                base.checked_add(message.offset).ok_or("offset is over the largest there is")?
            }
        };
        Ok((
            Record {
                offset,
                timestamp_ms: self.append_time.unwrap_or(message.timestamp),
                key: message.key,
                value: message.value,
                headers: Headers::default(),
            },
            rest,
        ))
    }
}

/// The length in a varint, `None` for a negative one.
#[inline]
const fn plain_length(raw: u32) -> Option<usize> {
    if raw & 1 == 0 { Some(raw as usize >> 1) } else { None }
}

/// The records of one batch, see [`Batch::records`](super::Batch::records). Ends after an error.
#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    walk: Walk,
    data: &'a [u8],
}

impl<'a> RecordIter<'a> {
    pub(super) fn new(header: &BatchHeader, data: &'a [u8]) -> Result<Self, RecordError> {
        Ok(Self { walk: Walk::new(header, data)?, data })
    }

    pub(super) fn over(walk: Walk, data: &'a [u8]) -> Self {
        Self { walk, data }
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, RecordError>;

    #[expect(
        clippy::inline_always,
        reason = "measured: not inlined, the copies of a record cost as much as the walk"
    )]
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (record, rest) = self.walk.next(self.data)?;
        self.data = rest;
        Some(record)
    }
}

impl std::iter::FusedIterator for RecordIter<'_> {}
