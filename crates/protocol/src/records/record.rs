//! Records of a v2 batch, walked without copying.
//!
//! The walk checks each record whole, headers included, before it hands it out, so that what a
//! [`Record`] gives cannot fail any more. After an error it ends.

use super::varint::{read32, read64};
use super::{BatchHeader, RecordError, TimestampType};

/// A header: its key, which may be any bytes, and its value.
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// One record, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since 1970; the batch says who set it. -1 in format v0, which has none.
    pub timestamp_ms: i64,
    /// The key, if any.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers in their order.
    pub headers: Headers<'a>,
}

/// The headers of a record in their order, duplicates included. Empty before format v2.
#[derive(Clone, Copy, Default)]
pub struct Headers<'a> {
    count: usize,
    data: &'a [u8],
}

impl<'a> Headers<'a> {
    /// The value of the last header with this key, as Java's `lastHeader` gives it.
    pub fn last(&self, key: &[u8]) -> Option<Option<&'a [u8]>> {
        self.filter(|(name, _)| *name == key).last().map(|(_, value)| value)
    }

    /// Reads `count` headers to see that they are whole; the rest after them.
    fn check(count: i32, data: &'a [u8]) -> Result<Self, &'static str> {
        let headers =
            Self { count: usize::try_from(count).map_err(|_| "header count is negative")?, data };
        // A header is two lengths at least: a count beyond that needs no walk to be wrong.
        if headers.count > data.len() / 2 {
            return Err("more headers than bytes");
        }
        let mut rest = data;
        for _ in 0..headers.count {
            rest = split_header(rest).ok_or("header is cut")?.1;
        }
        if rest.is_empty() { Ok(headers) } else { Err("record is longer than its fields") }
    }
}

fn split_header(data: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let mut at = 0;
    let key = bytes(data, &mut at)??;
    let value = bytes(data, &mut at)?;
    Some(((key, value), data.get(at..)?))
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.count = self.count.checked_sub(1)?;
        let (header, rest) = split_header(self.data)?;
        self.data = rest;
        Some(header)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Headers<'_> {}
impl std::iter::FusedIterator for Headers<'_> {}

impl PartialEq for Headers<'_> {
    fn eq(&self, other: &Self) -> bool {
        (*self).eq(*other)
    }
}

impl Eq for Headers<'_> {}

impl std::fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

/// A length and that many bytes at `at`, which moves behind them; length -1 is null.
#[inline]
#[expect(
    clippy::option_option,
    reason = "malformed, null and bytes are three outcomes of the hot path"
)]
fn bytes<'a>(data: &'a [u8], at: &mut usize) -> Option<Option<&'a [u8]>> {
    let length = read32(data, at)?;
    if length < 0 {
        return if length == -1 { Some(None) } else { None };
    }
    let taken = data.get(*at..)?.get(..length as usize)?;
    *at += length as usize;
    Some(Some(taken))
}

/// The records of one batch. Ends after an error.
#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    data: &'a [u8],
    left: i32,
    base_offset: i64,
    base_timestamp: i64,
    /// Set when the broker's append time counts for all records.
    append_time: Option<i64>,
}

impl<'a> RecordIter<'a> {
    pub(super) fn new(header: &BatchHeader, data: &'a [u8]) -> Result<Self, RecordError> {
        // A record is a length, attributes, two deltas, two lengths and a count.
        const LEAST: usize = 7;
        let offset = header.base_offset;
        let count = usize::try_from(header.count)
            .map_err(|_| RecordError::Corrupt { offset, reason: "record count is negative" })?;
        if count > data.len() / LEAST {
            return Err(RecordError::Corrupt { offset, reason: "more records than bytes" });
        }
        let append_time = match header.timestamp_type() {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(header.max_timestamp),
        };
        Ok(Self {
            data,
            left: header.count,
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            append_time,
        })
    }

    #[inline]
    fn step(&mut self) -> Result<Record<'a>, &'static str> {
        let data = self.data;
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
        let rest_of_body = &body[at..];
        let headers = if count == 0 && rest_of_body.is_empty() {
            Headers::default()
        } else {
            Headers::check(count, rest_of_body)?
        };
        self.data = rest;
        Ok(Record {
            offset: self
                .base_offset
                .checked_add(i64::from(delta))
                .ok_or("offset is over the largest there is")?,
            // Wraps like Java's: a timestamp is what the producer says, not a place in the log.
            timestamp_ms: self.append_time.unwrap_or(self.base_timestamp.wrapping_add(timestamp)),
            key,
            value,
            headers,
        })
    }

    #[cold]
    fn fail(&mut self, reason: &'static str) -> RecordError {
        self.left = 0;
        self.data = &[];
        RecordError::Corrupt { offset: self.base_offset, reason }
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            if self.data.is_empty() {
                return None;
            }
            return Some(Err(self.fail("bytes are left after the last record")));
        }
        self.left -= 1;
        Some(self.step().map_err(|reason| self.fail(reason)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // One more than is left: bytes after the last record are an error of their own.
        (0, Some(self.left as usize + 1))
    }
}

impl std::iter::FusedIterator for RecordIter<'_> {}
