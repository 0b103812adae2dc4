//! Zig-zag varints, as protocol buffers have them: the lengths and deltas inside a v2 record.
//!
//! Reading never goes past the slice and never reads more than 5 (10) bytes. Bits beyond the
//! width of the type fall off, as in Java's `ByteUtils`.

/// The longest varint of 32 bits.
pub(super) const MAX_32: usize = 5;
/// The longest varint of 64 bits.
pub(super) const MAX_64: usize = 10;

#[inline]
pub(super) const fn zigzag32(n: i32) -> u32 {
    ((n << 1) ^ (n >> 31)) as u32
}

#[inline]
pub(super) const fn zigzag64(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

/// Bytes of an unsigned varint.
#[inline]
pub(super) const fn size(n: u64) -> usize {
    let bits = 64 - (n | 1).leading_zeros() as usize;
    // The ceiling of bits / 7, exact for 1 to 64.
    (bits * 9 + 64) >> 6
}

/// Bytes of a signed varint of 32 bits.
#[inline]
pub(super) const fn size32(n: i32) -> usize {
    size(zigzag32(n) as u64)
}

/// An unsigned varint of 32 bits as the low bytes of a word, and how many they are.
#[inline]
pub(super) const fn word(n: u32) -> (u64, usize) {
    let n = n as u64;
    if n < 1 << 7 {
        return (n, 1);
    }
    if n < 1 << 14 {
        return (n & 0x7f | 0x80 | (n >> 7) << 8, 2);
    }
    let spread = n & 0x7f
        | (n & 0x7f << 7) << 1
        | (n & 0x7f << 14) << 2
        | (n & 0x7f << 21) << 3
        | (n & 0x7f << 28) << 4;
    let size = size(n);
    // All bytes but the last say that another follows.
    let more = 0x80_8080_8080 & ((1 << (8 * (size - 1))) - 1);
    (spread | more, size)
}

/// Writes an unsigned varint at `at` and returns the place after it.
#[inline]
pub(super) fn put<const N: usize>(out: &mut [u8; N], mut at: usize, mut n: u64) -> usize {
    while n >= 0x80 {
        out[at] = n as u8 | 0x80;
        at += 1;
        n >>= 7;
    }
    out[at] = n as u8;
    at + 1
}

/// Takes an unsigned varint of up to two bytes from the low end of a word; `None` if it is longer.
#[inline]
pub(super) const fn take_short(word: &mut u64) -> Option<(u32, usize)> {
    let bits = *word;
    if bits & 0x80 == 0 {
        *word = bits >> 8;
        return Some(((bits & 0x7f) as u32, 1));
    }
    if bits & 0x8000 == 0 {
        *word = bits >> 16;
        return Some(((bits & 0x7f | bits >> 1 & 0x3f80) as u32, 2));
    }
    None
}

/// The signed number of an unsigned varint.
#[inline]
pub(super) const fn unzigzag32(raw: u32) -> i32 {
    (raw >> 1) as i32 ^ -((raw & 1) as i32)
}

/// Reads a signed varint of 32 bits at `at`, which moves behind it.
#[inline]
pub(super) fn read32(data: &[u8], at: &mut usize) -> Option<i32> {
    let first = *data.get(*at)?;
    *at += 1;
    let raw = if first < 0x80 { u32::from(first) } else { read32_long(data, at, first)? };
    Some(unzigzag32(raw))
}

#[inline]
fn read32_long(data: &[u8], at: &mut usize, first: u8) -> Option<u32> {
    let mut raw = u32::from(first & 0x7f);
    for shift in [7, 14, 21, 28] {
        let byte = *data.get(*at)?;
        *at += 1;
        raw |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(raw);
        }
    }
    None
}

/// Reads a signed varint of 64 bits at `at`, which moves behind it.
#[inline]
pub(super) fn read64(data: &[u8], at: &mut usize) -> Option<i64> {
    let first = *data.get(*at)?;
    *at += 1;
    let mut raw = u64::from(first & 0x7f);
    if first >= 0x80 {
        let mut shift = 7;
        loop {
            let byte = *data.get(*at)?;
            *at += 1;
            raw |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
            shift += 7;
            if shift > 63 {
                return None;
            }
        }
    }
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(n: u64) -> Vec<u8> {
        let mut out = [0; MAX_64];
        let end = put(&mut out, 0, n);
        out[..end].to_vec()
    }

    #[test]
    fn known_encodings() {
        // From the protocol buffers documentation and Kafka's ByteUtilsTest.
        for (n, bytes) in [
            (0, vec![0x00]),
            (-1, vec![0x01]),
            (1, vec![0x02]),
            (63, vec![0x7e]),
            (-64, vec![0x7f]),
            (64, vec![0x80, 0x01]),
            (-65, vec![0x81, 0x01]),
            (8191, vec![0xfe, 0x7f]),
            (-8192, vec![0xff, 0x7f]),
            (i32::MAX, vec![0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            assert_eq!(written(u64::from(zigzag32(n))), bytes, "{n}");
            assert_eq!(size32(n), bytes.len());
            let (word, size) = word(zigzag32(n));
            assert_eq!(word.to_le_bytes()[..size], bytes, "{n}");
            let mut at = 0;
            assert_eq!(read32(&bytes, &mut at), Some(n));
            assert_eq!(at, bytes.len());
        }
        let min = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(written(zigzag64(i64::MIN)), min);
        assert_eq!(read64(&min, &mut 0), Some(i64::MIN));
    }

    #[test]
    fn round_trips_at_every_power_of_two() {
        for shift in 0..64 {
            for n in
                [1i64 << shift, (1i64 << shift).wrapping_sub(1), (1i64 << shift).wrapping_neg()]
            {
                let bytes = written(zigzag64(n));
                assert_eq!(size(zigzag64(n)), bytes.len(), "{n}");
                if let Ok(n) = u32::try_from(zigzag64(n)) {
                    let (word, size) = word(n);
                    assert_eq!(word.to_le_bytes()[..size], bytes, "{n}");
                }
                let mut at = 0;
                assert_eq!(read64(&bytes, &mut at), Some(n));
                assert_eq!(at, bytes.len());
                for cut in 0..bytes.len() {
                    assert_eq!(read64(&bytes[..cut], &mut 0), None);
                }
            }
        }
    }

    #[test]
    fn too_long_is_refused() {
        assert_eq!(read32(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], &mut 0), None);
        assert_eq!(read64(&[0x80; 11], &mut 0), None);
    }
}
