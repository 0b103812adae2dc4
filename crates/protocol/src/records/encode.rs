//! Records, written one behind the other into the buffer of a batch.
//!
//! The buffer is kept initialised beyond its end, so that a record is written into one slice whose
//! length was checked once, and its small fields go from registers to memory in words of eight bytes
//! that the next field overwrites in part. That is three times as fast as appending to a `Vec`.

use super::varint::{self, MAX_32, MAX_64, size32};
use super::{HEADER_SIZE, Header, RecordError};

/// What a word may reach beyond the end of the record.
const SLACK: usize = 8;
/// The buffer to begin with when nothing else is said.
const SMALLEST: usize = 512;
/// The size of a batch is 32 bits on the wire.
const LARGEST: usize = i32::MAX as usize + SLACK;
/// The first number of which the varint has two bytes.
const ONE: u64 = 1 << 6;
/// The first number of which the varint has three bytes.
const SHORT: u64 = 1 << 13;

/// Room for the header of a batch, then records.
#[derive(Debug, Clone, Default)]
pub(super) struct RecordBuffer {
    /// Written up to `end`, anything behind it.
    bytes: Vec<u8>,
    /// At least [`HEADER_SIZE`], or 0 as long as there is no buffer.
    end: usize,
}

impl RecordBuffer {
    /// Empty, in the memory of what it was before; if that is nothing, takes `capacity` bytes.
    pub(super) fn start(&mut self, capacity: usize) {
        if self.bytes.len() < HEADER_SIZE {
            // Asked for as zeros, so that the system may give pages that are zero already.
            self.bytes = vec![0; capacity.clamp(SMALLEST, LARGEST)];
        }
        self.end = HEADER_SIZE;
    }

    /// Bytes of header and records.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.end
    }

    /// Goes back to an earlier length.
    pub(super) fn truncate(&mut self, len: usize) {
        self.end = self.end.min(len);
    }

    /// The records, without the header.
    pub(super) fn records(&self) -> &[u8] {
        self.bytes.get(HEADER_SIZE..self.end).unwrap_or_default()
    }

    /// Header and records. Leaves nothing.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(self.end);
        self.end = 0;
        bytes
    }

    /// Takes memory that somebody else is done with, when it has none.
    pub(super) fn give(&mut self, memory: Vec<u8>) {
        if self.bytes.is_empty() {
            self.bytes = memory;
            self.end = 0;
        }
    }

    /// Whether there is no memory.
    pub(super) fn is_bare(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends the record. On an error nothing has changed.
    #[inline]
    pub(super) fn append<'h, H>(
        &mut self,
        timestamp_delta: i64,
        offset_delta: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) -> Result<(), RecordError>
    where
        H: Iterator<Item = Header<'h>> + Clone,
    {
        let (timestamp, offset) = (timestamp_delta as u64, offset_delta as u64);
        if let Some(value) = value
            && key.is_none_or(|key| key.len() < 1 << 6)
            && value.len() < 1 << 12
            && timestamp < SHORT
            && offset < SHORT
            && headers.clone().next().is_none()
        {
            return self.append_common(timestamp, offset, key, value);
        }
        self.append_any(timestamp_delta, offset_delta, key, value, headers)
    }

    /// A record of the common form: each varint has one byte or two, the key's length one. All that
    /// comes before the key is one word. Each of the forms is code of its own, in which the sizes
    /// are constants; a batch has few of them, so that the branches are foreseen.
    #[inline]
    fn append_common(
        &mut self,
        timestamp: u64,
        offset: u64,
        key: Option<&[u8]>,
        value: &[u8],
    ) -> Result<(), RecordError> {
        let key_length = key.map_or(1, |key| key.len() as u64 * 2);
        let key = key.unwrap_or_default();
        // Timestamp, offset and the key's length.
        let (deltas, size) = match (timestamp < ONE, offset < ONE) {
            (true, true) => (key_length << 16 | offset << 9 | timestamp << 1, 3),
            (false, true) => (key_length << 24 | offset << 17 | two(timestamp), 4),
            (true, false) => (key_length << 24 | two(offset) << 8 | timestamp << 1, 4),
            (false, false) => (key_length << 32 | two(offset) << 16 | two(timestamp), 5),
        };
        // What is there besides key and value and the length itself: attributes and header count,
        // which have one byte each, and the value's length.
        if value.len() as u64 >= ONE {
            self.write::<2, 2>(deltas, size, key, value)
        } else if (size + key.len() + value.len() + 3) as u64 >= ONE {
            self.write::<2, 1>(deltas, size, key, value)
        } else {
            self.write::<1, 1>(deltas, size, key, value)
        }
    }

    /// Writes a record of which the length takes `L` bytes and the value's length `V`.
    #[inline]
    fn write<const L: usize, const V: usize>(
        &mut self,
        deltas: u64,
        deltas_size: usize,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), RecordError> {
        // Sums that only grow, from one place to the next: the compiler sees that all of them are in
        // `out` when the last one is, and checks no other.
        let key_at = L + 1 + deltas_size;
        let value_length_at = key_at + key.len();
        let value_at = value_length_at + V;
        let headers_at = value_at + value.len();
        let size = headers_at + 1;
        let body = (size - L) as u64;
        // The attributes are the zero byte between length and deltas.
        let head = deltas << (8 + 8 * L) | if L == 1 { body * 2 } else { two(body) };
        let value_length = value.len() as u64;
        let value_length = if V == 1 { value_length * 2 } else { two(value_length) };

        let out = &mut self.room(size + SLACK)?[..size + SLACK];
        out[..8].copy_from_slice(&head.to_le_bytes());
        copy(&mut out[key_at..value_length_at], key);
        out[value_length_at..value_length_at + 8].copy_from_slice(&value_length.to_le_bytes());
        if V == 1 {
            copy(&mut out[value_at..headers_at], value);
        } else {
            copy_long(&mut out[value_at..headers_at], value);
        }
        out[headers_at] = 0;
        self.end += size;
        Ok(())
    }

    #[inline(never)]
    fn append_any<'h, H>(
        &mut self,
        timestamp_delta: i64,
        offset_delta: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) -> Result<(), RecordError>
    where
        H: Iterator<Item = Header<'h>> + Clone,
    {
        let (header_count, headers_size) = measure(headers.clone())?;
        let timestamp = varint::zigzag64(timestamp_delta);
        let offset = Field::new(offset_delta);
        let key_length = Field::new(length(key, "a key")?);
        let value_length = Field::new(length(value, "a value")?);
        let header_count = Field::new(header_count);
        let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
        // Each of the parts is below 2^32, so the sum fits in 64 bits.
        let body = 1
            + varint::size(timestamp)
            + offset.size
            + key_length.size
            + key.len()
            + value_length.size
            + value.len()
            + header_count.size
            + headers_size;
        if body > i32::MAX as usize {
            return Err(RecordError::TooLarge { what: "a record", size: body });
        }
        let body_length = Field::new(body as i32);
        let size = body_length.size + body;
        let mut out = Out { rest: self.room(size + SLACK)?, at: 0 };
        out.field(body_length);
        // Attributes: none are defined.
        out.field(Field { word: 0, size: 1 });
        out.long(timestamp);
        out.field(offset);
        out.field(key_length);
        out.bytes(key);
        out.field(value_length);
        out.bytes(value);
        out.field(header_count);
        if headers_size > 0 {
            for (key, value) in headers {
                out.field(Field::new(key.len() as i32));
                out.bytes(key);
                out.field(Field::new(value.map_or(-1, |value| value.len() as i32)));
                out.bytes(value.unwrap_or_default());
            }
        }
        debug_assert_eq!(out.at, size, "a record is as large as it was measured");
        self.end += size;
        Ok(())
    }

    /// The bytes from the end on, `size` at least.
    #[inline]
    fn room(&mut self, size: usize) -> Result<&mut [u8], RecordError> {
        if self.bytes.len() - self.end < size {
            self.grow(size)?;
        }
        Ok(&mut self.bytes[self.end..])
    }

    #[cold]
    fn grow(&mut self, size: usize) -> Result<(), RecordError> {
        let least = self.end + size;
        if least > LARGEST {
            return Err(RecordError::TooLarge { what: "a batch", size: least - SLACK });
        }
        let len = if least <= self.bytes.capacity() {
            // Memory that was given back: initialised again bit by bit, most of it already is.
            (least + SMALLEST).min(self.bytes.capacity())
        } else {
            least.max(self.bytes.len() * 2)
        };
        self.bytes.resize(len.min(LARGEST), 0);
        Ok(())
    }
}

/// A varint, ready to be written: the low `size` bytes of the word.
#[derive(Clone, Copy)]
struct Field {
    word: u64,
    size: usize,
}

impl Field {
    #[inline]
    const fn new(n: i32) -> Self {
        let (word, size) = varint::word(varint::zigzag32(n));
        Self { word, size }
    }
}

/// A number of 64 to 2^13 - 1 as a varint, which has two bytes.
#[inline]
const fn two(n: u64) -> u64 {
    // Twice the number is its zig-zag form. What is over seven bits moves up by one.
    let n = n * 2;
    (n + (n & 0x3f80)) | 0x80
}

/// Where the fields of a record go.
struct Out<'a> {
    rest: &'a mut [u8],
    at: usize,
}

impl Out<'_> {
    /// Writes eight bytes of which those of the field count.
    #[inline]
    fn field(&mut self, field: Field) {
        self.rest[self.at..self.at + 8].copy_from_slice(&field.word.to_le_bytes());
        self.at += field.size;
    }

    #[inline]
    fn long(&mut self, n: u64) {
        if let Ok(n) = u32::try_from(n) {
            let (word, size) = varint::word(n);
            self.field(Field { word, size });
        } else {
            self.large(n);
        }
    }

    #[cold]
    fn large(&mut self, n: u64) {
        let mut bytes = [0; MAX_64];
        let size = varint::put(&mut bytes, 0, n);
        self.bytes(&bytes[..size]);
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        copy(&mut self.rest[self.at..self.at + bytes.len()], bytes);
        self.at += bytes.len();
    }
}

/// Copies between slices of the same length. Most keys have 8 to 32 bytes, which need no call.
#[inline]
fn copy(target: &mut [u8], bytes: &[u8]) {
    match bytes.len() {
        8..=16 => copy_ends::<8>(target, bytes),
        17..=32 => copy_ends::<16>(target, bytes),
        _ => target.copy_from_slice(bytes),
    }
}

/// As [`copy`], for values of 64 bytes and more.
#[inline]
fn copy_long(target: &mut [u8], bytes: &[u8]) {
    match bytes.len() {
        64..=128 => copy_ends::<64>(target, bytes),
        _ => target.copy_from_slice(bytes),
    }
}

/// Copies `N` to `2 * N` bytes as two pieces of fixed size that overlap.
#[inline]
fn copy_ends<const N: usize>(target: &mut [u8], bytes: &[u8]) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) {
        if let Some(start) = target.first_chunk_mut() {
            *start = *first;
        }
        if let Some(end) = target.last_chunk_mut() {
            *end = *last;
        }
    }
}

/// Size of the record in bytes, at most: the two deltas are taken at their largest.
pub(super) fn upper_bound<'h>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = Header<'h>>,
) -> usize {
    let mut size = MAX_32 + 1 + MAX_64 + 4 * MAX_32;
    size += key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
    for (key, value) in headers {
        size += 2 * MAX_32 + key.len() + value.map_or(0, <[u8]>::len);
    }
    size
}

/// Count and size of the headers, the size without the count itself.
#[inline]
fn measure<'h>(headers: impl Iterator<Item = Header<'h>>) -> Result<(i32, usize), RecordError> {
    let (mut count, mut size) = (0usize, 0);
    for (key, value) in headers {
        count += 1;
        size += size32(length(Some(key), "a header key")?) + key.len();
        size += size32(length(value, "a header value")?) + value.map_or(0, <[u8]>::len);
    }
    match i32::try_from(count) {
        Ok(wire) => Ok((wire, size)),
        Err(_) => Err(RecordError::TooLarge { what: "a header list", size: count }),
    }
}

/// The length as it is on the wire, -1 for null.
#[inline]
fn length(bytes: Option<&[u8]>, what: &'static str) -> Result<i32, RecordError> {
    let Some(bytes) = bytes else { return Ok(-1) };
    i32::try_from(bytes.len()).map_err(|_| RecordError::TooLarge { what, size: bytes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_bytes_are_a_varint() {
        for n in ONE..SHORT {
            assert_eq!((two(n), 2), varint::word(varint::zigzag32(n as i32)), "{n}");
        }
    }
}
