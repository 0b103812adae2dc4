//! How values become bytes.
//!
//! A codec is a value, not a type parameter of the edge: a schema-registry codec may hold a client.

use std::{ops::Deref, sync::Arc};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::Result;

/// Turns values into bytes and back.
///
/// `decode(encode(v))` must equal `v` in everything that callbacks look at: a group table keeps
/// values decoded between commits, so what a codec leaves out is lost only after a restart.
pub trait Codec<T>: Send + Sync {
    /// Appends the value's bytes.
    fn encode(&self, value: &T, into: &mut Vec<u8>) -> Result;

    /// Reads a value from all of `bytes`.
    fn decode(&self, bytes: &[u8]) -> Result<T>;

    /// The value that a null payload stands for. `None`, the default: the input's
    /// [`Nulls`](crate::Nulls) option decides what happens.
    fn null(&self) -> Option<T> {
        None
    }

    /// Whether `value` is written as a null payload. Default: never.
    fn is_null(&self, _value: &T) -> bool {
        false
    }
}

/// JSON through serde.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    fn encode(&self, value: &T, into: &mut Vec<u8>) -> Result {
        Ok(serde_json::to_writer(into, value)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// UTF-8 text. Goka's `codec.String`.
#[derive(Debug, Clone, Copy)]
pub struct Text;

impl Codec<String> for Text {
    fn encode(&self, value: &String, into: &mut Vec<u8>) -> Result {
        into.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<String> {
        Ok(std::str::from_utf8(bytes)?.to_owned())
    }
}

/// Bytes as they are. Goka's `codec.Bytes`.
#[derive(Debug, Clone, Copy)]
pub struct Raw;

impl Codec<Bytes> for Raw {
    fn encode(&self, value: &Bytes, into: &mut Vec<u8>) -> Result {
        into.extend_from_slice(value);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Bytes> {
        Ok(Bytes::copy_from_slice(bytes))
    }
}

impl Codec<Vec<u8>> for Raw {
    fn encode(&self, value: &Vec<u8>, into: &mut Vec<u8>) -> Result {
        into.extend_from_slice(value);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        Ok(bytes.to_vec())
    }
}

/// Any payload is `()`: for callbacks that look at the key and the headers only.
impl Codec<()> for Raw {
    fn encode(&self, (): &(), _: &mut Vec<u8>) -> Result {
        Ok(())
    }

    fn decode(&self, _: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// An integer in ASCII decimal digits. Goka's `codec.Int64` for `i64`.
#[derive(Debug, Clone, Copy)]
pub struct DecimalInt;

/// An integer in big-endian bytes of its full width.
#[derive(Debug, Clone, Copy)]
pub struct BigEndian;

macro_rules! integer {
    ($($ty:ty)*) => {$(
        impl Codec<$ty> for DecimalInt {
            fn encode(&self, value: &$ty, into: &mut Vec<u8>) -> Result {
                use std::io::Write;
                Ok(write!(into, "{value}")?)
            }

            fn decode(&self, bytes: &[u8]) -> Result<$ty> {
                Ok(std::str::from_utf8(bytes)?.parse()?)
            }
        }

        impl Codec<$ty> for BigEndian {
            fn encode(&self, value: &$ty, into: &mut Vec<u8>) -> Result {
                into.extend_from_slice(&value.to_be_bytes());
                Ok(())
            }

            fn decode(&self, bytes: &[u8]) -> Result<$ty> {
                let Ok(bytes) = bytes.try_into() else {
                    let (want, have) = (size_of::<$ty>(), bytes.len());
                    return Err(format!("a big-endian {} has {want} bytes, this value {have}", stringify!($ty)).into());
                };
                Ok(<$ty>::from_be_bytes(bytes))
            }
        }
    )*};
}

integer! { u64 i64 u32 i32 }

/// A codec made of two functions.
///
/// ```
/// use roka::{Functions, Stream};
///
/// const FLAGS: Stream<String, bool> = Stream::of(
///     "flags",
///     &Functions::new(
///         |flag: &bool, into: &mut Vec<u8>| Ok(into.push(u8::from(*flag))),
///         |bytes: &[u8]| Ok(bytes == [1]),
///     ),
/// );
/// # let _ = FLAGS;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Functions<E, D> {
    encode: E,
    decode: D,
}

impl<E, D> Functions<E, D> {
    /// Encodes by `encode`, which appends to its second argument, and decodes by `decode`.
    pub const fn new(encode: E, decode: D) -> Self {
        Self { encode, decode }
    }
}

impl<T, E, D> Codec<T> for Functions<E, D>
where
    E: Fn(&T, &mut Vec<u8>) -> Result + Send + Sync,
    D: Fn(&[u8]) -> Result<T> + Send + Sync,
{
    fn encode(&self, value: &T, into: &mut Vec<u8>) -> Result {
        (self.encode)(value, into)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T> {
        (self.decode)(bytes)
    }
}

/// A codec by static reference (constants) or shared (built at run time).
pub(crate) enum AnyCodec<T: 'static> {
    Static(&'static dyn Codec<T>),
    Shared(Arc<dyn Codec<T>>),
}

impl<T> Clone for AnyCodec<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Static(codec) => Self::Static(*codec),
            Self::Shared(codec) => Self::Shared(Arc::clone(codec)),
        }
    }
}

impl<T> Deref for AnyCodec<T> {
    type Target = dyn Codec<T>;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Static(codec) => *codec,
            Self::Shared(codec) => &**codec,
        }
    }
}

/// Null payloads as `None`, on top of another codec.
pub(crate) struct Nullable<T: 'static>(pub(crate) AnyCodec<T>);

impl<T: 'static> Codec<Option<T>> for Nullable<T> {
    fn encode(&self, value: &Option<T>, into: &mut Vec<u8>) -> Result {
        match value {
            Some(value) => self.0.encode(value, into),
            None => Ok(()),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Option<T>> {
        self.0.decode(bytes).map(Some)
    }

    fn null(&self) -> Option<Option<T>> {
        Some(None)
    }

    fn is_null(&self, value: &Option<T>) -> bool {
        value.is_none()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bytes<T>(codec: &dyn Codec<T>, value: &T) -> Vec<u8> {
        let mut bytes = b"before".to_vec();
        codec.encode(value, &mut bytes).unwrap();
        assert!(bytes.starts_with(b"before"), "a codec appends");
        bytes.split_off(6)
    }

    #[test]
    fn goka_bytes() {
        assert_eq!(bytes::<i64>(&DecimalInt, &-42), b"-42");
        assert_eq!(DecimalInt.decode(b"-42").ok(), Some(-42_i64));
        assert!(Codec::<i64>::decode(&DecimalInt, b"").is_err());
        assert_eq!(bytes::<String>(&Text, &"ü".to_owned()), "ü".as_bytes());
        assert_eq!(bytes::<Bytes>(&Raw, &Bytes::from_static(b"\0")), b"\0");
        assert_eq!(bytes::<u64>(&BigEndian, &1), [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(bytes::<Vec<u8>>(&Json, &vec![1]), b"[1]");
    }

    #[test]
    fn a_nullable_codec_knows_null() {
        let codec = Nullable(AnyCodec::<u64>::Static(&Json));
        assert_eq!(codec.null(), Some(None));
        assert!(codec.is_null(&None) && !codec.is_null(&Some(1)));
        assert_eq!(codec.decode(b"1").unwrap(), Some(1));
    }
}
