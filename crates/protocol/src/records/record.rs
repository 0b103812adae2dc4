//! A record and its headers, borrowed from the bytes of a batch.
//!
//! Both are checked whole before they are handed out ([`RecordIter`](super::RecordIter)), so that
//! nothing a [`Record`] gives can fail any more.

use super::varint::read32;

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
    /// The value of the last header with this key, as Java's `lastHeader` gives it. (Named `last`,
    /// it would hide behind the iterator's.)
    pub fn last_value(&self, key: &[u8]) -> Option<Option<&'a [u8]>> {
        self.filter(|(name, _)| *name == key).last().map(|(_, value)| value)
    }

    /// Reads `count` headers to see that they are whole; the rest after them.
    pub(super) fn check(count: i32, data: &'a [u8]) -> Result<Self, &'static str> {
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

#[expect(clippy::copy_iterator, reason = "a record gives its headers to each who asks: two words")]
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
pub(super) fn bytes<'a>(data: &'a [u8], at: &mut usize) -> Option<Option<&'a [u8]>> {
    let length = read32(data, at)?;
    if length < 0 {
        return if length == -1 { Some(None) } else { None };
    }
    let taken = data.get(*at..)?.get(..length as usize)?;
    *at += length as usize;
    Some(Some(taken))
}
