//! Ids of topics, directories and members.

use std::{fmt, str::FromStr};

use bytes::{Buf, BufMut};

use crate::{Error, Fault, Reader, Wire, Writer, sampler::Sampler};

/// A topic id, a directory id or a member id in its 16 bytes; all zero means none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The id that stands for none.
    pub const ZERO: Self = Self([0; 16]);

    /// Whether this stands for no id.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl Wire for Uuid {
    fn write(&self, w: &mut Writer) -> Result<(), Error> {
        w.buf().put_slice(&self.0);
        Ok(())
    }

    fn read(r: &mut Reader) -> Result<Self, Error> {
        let mut bytes = [0; 16];
        r.buf.try_copy_to_slice(&mut bytes).map_err(|_| Fault::Truncated)?;
        Ok(Self(bytes))
    }

    fn sample(s: &mut Sampler) -> Self {
        Self((u128::from(s.any()) << 64 | u128::from(s.any())).to_be_bytes())
    }
}

/// The alphabet of base64 for addresses, which Kafka writes ids in.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for Uuid {
    /// As Kafka writes it: 22 characters, as in `vPeOCWypqUOSepEvx0cbog`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        // 128 bits are 21 characters of 6 bits, and 2 bits padded with 4 zeroes.
        for n in 0..21 {
            let six = (bits >> (122 - 6 * n)) & 0x3f;
            write!(f, "{}", char::from(ALPHABET[six as usize]))?;
        }
        write!(f, "{}", char::from(ALPHABET[((bits & 3) << 4) as usize]))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no id: it must be 22 characters of base64 for addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id must be 22 characters of A-Z, a-z, 0-9, - and _")]
pub struct ParseUuidError;

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        if text.len() != 22 {
            return Err(ParseUuidError);
        }
        let mut bits = 0u128;
        for (n, c) in text.bytes().enumerate() {
            let six = ALPHABET.iter().position(|&a| a == c).ok_or(ParseUuidError)? as u128;
            match n {
                21 if six & 0xf != 0 => return Err(ParseUuidError),
                21 => bits = bits << 2 | six >> 4,
                _ => bits = bits << 6 | six,
            }
        }
        Ok(Self(bits.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_kafka_writes_them() {
        let cluster = Uuid([
            0xbc, 0xf7, 0x8e, 0x09, 0x6c, 0xa9, 0xa9, 0x43, 0x92, 0x7a, 0x91, 0x2f, 0xc7, 0x47,
            0x1b, 0xa2,
        ]);
        assert_eq!(cluster.to_string(), "vPeOCWypqUOSepEvx0cbog");
        assert_eq!("vPeOCWypqUOSepEvx0cbog".parse(), Ok(cluster));
        assert_eq!(Uuid::ZERO.to_string(), "A".repeat(22));
        for bad in ["", "vPeOCWypqUOSepEvx0cbo", "vPeOCWypqUOSepEvx0cbo+", "vPeOCWypqUOSepEvx0cboh"]
        {
            assert_eq!(bad.parse::<Uuid>(), Err(ParseUuidError), "{bad}");
        }
    }
}
