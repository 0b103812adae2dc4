//! Decoded records of one input that wait to be processed.
//!
//! A block holds the records of one fetched chunk in one buffer, which is reused from chunk to chunk: no allocation per
//! record, and the fetched bytes (compressed, perhaps) are released at once. A copy costs some nanoseconds per record; in
//! return records can be held while other inputs, callbacks that wait, and full producer buffers are served.

use roka_client::records::{Headers, Record};

/// Records in the order of their offsets. [`Block::peek`] looks at the next one, [`Block::advance`] moves on.
#[derive(Debug, Default)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    records: Vec<Entry>,
    next: usize,
}

/// A record as places in the buffer: key, value, then headers, each as two lengths, name and value.
#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: i64,
    timestamp_ms: i64,
    at: usize,
    /// -1 is null.
    key: i32,
    /// -1 is null.
    value: i32,
    headers: u32,
}

/// A record of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    headers: u32,
    header_bytes: &'a [u8],
}

impl Block {
    /// Forgets all records, keeps the memory unless it is far more than blocks usually need.
    pub(crate) fn clear(&mut self) {
        const KEEP_MAX: usize = 4 << 20;
        self.bytes.clear();
        self.bytes.shrink_to(KEEP_MAX);
        self.records.clear();
        self.records.shrink_to(KEEP_MAX / size_of::<Entry>());
        self.next = 0;
    }

    /// Appends a record.
    pub(crate) fn push(&mut self, record: &Record<'_>) {
        let at = self.bytes.len();
        let key = append(&mut self.bytes, record.key);
        let value = append(&mut self.bytes, record.value);
        let headers = if record.headers.len() == 0 { 0 } else { self.push_headers(record.headers) };
        self.records.push(Entry {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            at,
            key,
            value,
            headers,
        });
    }

    fn push_headers(&mut self, headers: Headers<'_>) -> u32 {
        let mut count = 0;
        for (name, value) in headers {
            let value_len = value.map_or(-1, |value| value.len() as i32);
            self.bytes.extend_from_slice(&(name.len() as u32).to_ne_bytes());
            self.bytes.extend_from_slice(&value_len.to_ne_bytes());
            self.bytes.extend_from_slice(name);
            self.bytes.extend_from_slice(value.unwrap_or_default());
            count += 1;
        }
        count
    }

    /// The next record.
    #[inline]
    pub(crate) fn peek(&self) -> Option<Item<'_>> {
        let entry = self.records.get(self.next)?;
        let mut rest = &self.bytes[entry.at..];
        let key = take(&mut rest, entry.key);
        let value = take(&mut rest, entry.value);
        Some(Item {
            offset: entry.offset,
            timestamp_ms: entry.timestamp_ms,
            key,
            value,
            headers: entry.headers,
            header_bytes: rest,
        })
    }

    /// The timestamp of the next record.
    #[inline]
    pub(crate) fn timestamp_ms(&self) -> Option<i64> {
        self.records.get(self.next).map(|entry| entry.timestamp_ms)
    }

    /// Moves on to the record after the next one.
    #[inline]
    pub(crate) fn advance(&mut self) {
        self.next += 1;
    }

    /// Whether all records were taken.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.next >= self.records.len()
    }
}

impl<'a> Item<'a> {
    /// Whether the record has headers; most have none.
    #[inline]
    pub(crate) fn has_headers(&self) -> bool {
        self.headers > 0
    }

    /// The headers in their order, duplicates included.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.header_bytes;
        (0..self.headers).map_while(move |_| {
            let (lengths, after) = rest.split_first_chunk::<8>()?;
            let [a, b, c, d, e, f, g, h] = *lengths;
            rest = after;
            let name = take(&mut rest, i32::from_ne_bytes([a, b, c, d]))?;
            let value = take(&mut rest, i32::from_ne_bytes([e, f, g, h]));
            Some((name, value))
        })
    }
}

/// The length of what was appended; -1 for null.
fn append(bytes: &mut Vec<u8>, part: Option<&[u8]>) -> i32 {
    let Some(part) = part else { return -1 };
    bytes.extend_from_slice(part);
    part.len() as i32
}

/// Splits off `len` bytes; none for -1.
#[inline]
fn take<'a>(rest: &mut &'a [u8], len: i32) -> Option<&'a [u8]> {
    let len = usize::try_from(len).ok()?;
    let (part, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use roka_client::records::{BatchBuilder, BatchOptions, Batches, Decompressor, ProducerFields};

    use super::*;

    type Owned = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

    fn part() -> impl Strategy<Value = Option<Vec<u8>>> {
        prop::option::of(prop::collection::vec(any::<u8>(), 0..20))
    }

    fn record() -> impl Strategy<Value = Owned> {
        let headers =
            prop::collection::vec((prop::collection::vec(any::<u8>(), 0..5), part()), 0..3);
        (0..1000i64, part(), part(), headers)
    }

    proptest! {
        #[test]
        fn records_come_out_as_they_went_in(records in prop::collection::vec(record(), 1..20)) {
            let mut builder = BatchBuilder::new(BatchOptions::default());
            for (timestamp, key, value, headers) in &records {
                let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, value.as_deref())).collect();
                builder.push(*timestamp, key.as_deref(), value.as_deref(), headers).unwrap();
            }
            let bytes = builder.build(ProducerFields::default()).unwrap();
            let mut block = Block::default();
            let mut decompressor = Decompressor::default();
            for batch in Batches::new(bytes) {
                for record in batch.unwrap().records(&mut decompressor).unwrap() {
                    block.push(&record.unwrap());
                }
            }
            for (place, (timestamp, key, value, headers)) in records.iter().enumerate() {
                let item = block.peek().unwrap();
                prop_assert_eq!((item.offset, item.timestamp_ms), (place as i64, *timestamp));
                prop_assert_eq!(block.timestamp_ms(), Some(*timestamp));
                prop_assert_eq!((item.key, item.value), (key.as_deref(), value.as_deref()));
                let read: Vec<_> = item.headers().map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))).collect();
                prop_assert_eq!(&read, headers);
                block.advance();
            }
            prop_assert!(block.is_empty());
        }
    }
}
