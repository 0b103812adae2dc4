//! One record, written behind the others: a single reservation, the small fields put together on
//! the stack and copied in one piece of fixed size.

use super::varint::{self, MAX_32, MAX_64, size32, size64};
use super::{Header, RecordError};

/// Length, attributes, timestamp delta, offset delta and key length, rounded up.
const HEAD: usize = 32;
const _: () = assert!(MAX_32 + 1 + MAX_64 + MAX_32 + MAX_32 <= HEAD);
/// A length or a count, rounded up.
const WORD: usize = 8;
const _: () = assert!(MAX_32 <= WORD);

/// Appends the record and returns its size in bytes.
#[inline]
pub(super) fn append<'h, H>(
    out: &mut Vec<u8>,
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: H,
) -> Result<usize, RecordError>
where
    H: Iterator<Item = Header<'h>> + Clone,
{
    let (header_count, headers_size) = measure(headers.clone())?;
    let key_length = length(key, "a key")?;
    let value_length = length(value, "a value")?;
    // Each of the four is below 2^32, so the sum fits in 64 bits.
    let body = 1
        + size64(timestamp_delta)
        + size32(offset_delta)
        + size32(key_length)
        + key.map_or(0, <[u8]>::len)
        + size32(value_length)
        + value.map_or(0, <[u8]>::len)
        + headers_size;
    let too_large = RecordError::TooLarge { what: "a record", size: body };
    let body_length = i32::try_from(body).map_err(|_| too_large)?;
    let total = size32(body_length) + body;
    // Room for the pieces of fixed size that are cut off again.
    out.reserve(total + HEAD);

    let mut head = [0; HEAD];
    let mut at = varint::put(&mut head, 0, varint::zigzag32(body_length).into());
    // Attributes: none are defined.
    at += 1;
    at = varint::put(&mut head, at, varint::zigzag64(timestamp_delta));
    at = varint::put(&mut head, at, varint::zigzag32(offset_delta).into());
    at = varint::put(&mut head, at, varint::zigzag32(key_length).into());
    put_start(out, &head, at);
    out.extend_from_slice(key.unwrap_or_default());
    put_int(out, value_length);
    out.extend_from_slice(value.unwrap_or_default());
    put_int(out, header_count);
    if header_count > 0 {
        for (key, value) in headers {
            put_int(out, key.len() as i32);
            out.extend_from_slice(key);
            put_int(out, value.map_or(-1, |value| value.len() as i32));
            out.extend_from_slice(value.unwrap_or_default());
        }
    }
    Ok(total)
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

/// Count and size of the headers, the size with the count itself.
#[inline]
fn measure<'h>(headers: impl Iterator<Item = Header<'h>>) -> Result<(i32, usize), RecordError> {
    let (mut count, mut size) = (0usize, 0);
    for (key, value) in headers {
        count += 1;
        size += size32(length(Some(key), "a header key")?) + key.len();
        size += size32(length(value, "a header value")?) + value.map_or(0, <[u8]>::len);
    }
    let too_large = RecordError::TooLarge { what: "a header list", size: count };
    let count = i32::try_from(count).map_err(|_| too_large)?;
    Ok((count, size + size32(count)))
}

/// The length as it is on the wire, -1 for null.
#[inline]
fn length(bytes: Option<&[u8]>, what: &'static str) -> Result<i32, RecordError> {
    let Some(bytes) = bytes else { return Ok(-1) };
    i32::try_from(bytes.len()).map_err(|_| RecordError::TooLarge { what, size: bytes.len() })
}

#[inline]
fn put_int(out: &mut Vec<u8>, n: i32) {
    let mut word = [0; WORD];
    let size = varint::put(&mut word, 0, varint::zigzag32(n).into());
    put_start(out, &word, size);
}

/// Appends the first `size` bytes by copying all of them: a copy of fixed size needs no call.
#[inline]
fn put_start<const N: usize>(out: &mut Vec<u8>, bytes: &[u8; N], size: usize) {
    let end = out.len() + size;
    out.extend_from_slice(bytes);
    out.truncate(end);
}
