//! Message keys.
//!
//! A key's encoding belongs to its type, because the encoding decides the partition: two topics
//! with the same key type place the same key alike.

use bytes::Bytes;

use crate::Result;

/// A message key. Its encoding is fixed by its type, because the encoding decides the partition.
///
/// | type | bytes |
/// |---|---|
/// | `String` | UTF-8, as Goka and most others write keys |
/// | `u64`, `i64`, `u32` | big-endian, 8 or 4 bytes |
/// | `Vec<u8>`, `Bytes` | as they are |
/// | `()` | no key at all: written as a null key, any key is accepted |
///
/// A record whose key is null is read as one with an empty key, as Goka does.
pub trait Key: Sized + Send + Sync + 'static {
    /// What callbacks see and pass: `str` for `String`, the type itself for integers.
    type Ref: ?Sized;

    /// Whether records with this key are written with a null key.
    const NULL: bool = false;

    /// Appends the key's bytes.
    fn encode(key: &Self::Ref, into: &mut Vec<u8>);

    /// Reads a key from all of `bytes`.
    fn decode(bytes: &[u8]) -> Result<Self>;

    /// The borrowed form of an owned key.
    fn as_ref(&self) -> &Self::Ref;

    /// Reads a key without owning it where the type can do so; `slot` holds it otherwise.
    ///
    /// The default decodes into `slot`. Text and byte keys borrow from `bytes` instead, which
    /// spares an allocation per record.
    fn view<'a>(bytes: &'a [u8], slot: &'a mut Option<Self>) -> Result<&'a Self::Ref> {
        Ok(slot.insert(Self::decode(bytes)?).as_ref())
    }
}

impl Key for String {
    type Ref = str;

    fn encode(key: &str, into: &mut Vec<u8>) {
        into.extend_from_slice(key.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        Ok(std::str::from_utf8(bytes)?.to_owned())
    }

    fn as_ref(&self) -> &str {
        self
    }

    fn view<'a>(bytes: &'a [u8], _: &'a mut Option<Self>) -> Result<&'a str> {
        Ok(std::str::from_utf8(bytes)?)
    }
}

impl Key for Vec<u8> {
    type Ref = [u8];

    fn encode(key: &[u8], into: &mut Vec<u8>) {
        into.extend_from_slice(key);
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        Ok(bytes.to_vec())
    }

    fn as_ref(&self) -> &[u8] {
        self
    }

    fn view<'a>(bytes: &'a [u8], _: &'a mut Option<Self>) -> Result<&'a [u8]> {
        Ok(bytes)
    }
}

impl Key for Bytes {
    type Ref = [u8];

    fn encode(key: &[u8], into: &mut Vec<u8>) {
        into.extend_from_slice(key);
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn as_ref(&self) -> &[u8] {
        self
    }

    fn view<'a>(bytes: &'a [u8], _: &'a mut Option<Self>) -> Result<&'a [u8]> {
        Ok(bytes)
    }
}

impl Key for () {
    type Ref = ();

    const NULL: bool = true;

    fn encode((): &(), _: &mut Vec<u8>) {}

    fn decode(_: &[u8]) -> Result<Self> {
        Ok(())
    }

    fn as_ref(&self) -> &() {
        self
    }
}

macro_rules! integer {
    ($($ty:ty)*) => {$(
        impl Key for $ty {
            type Ref = $ty;

            fn encode(key: &$ty, into: &mut Vec<u8>) {
                into.extend_from_slice(&key.to_be_bytes());
            }

            fn decode(bytes: &[u8]) -> Result<Self> {
                let Ok(bytes) = bytes.try_into() else {
                    let (want, have) = (size_of::<$ty>(), bytes.len());
                    return Err(format!("a {} key has {want} bytes, this one {have}", stringify!($ty)).into());
                };
                Ok(<$ty>::from_be_bytes(bytes))
            }

            fn as_ref(&self) -> &$ty {
                self
            }
        }
    )*};
}

integer! { u64 i64 u32 }

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bytes<K: Key>(key: &K::Ref) -> Vec<u8> {
        let mut bytes = vec![];
        K::encode(key, &mut bytes);
        bytes
    }

    #[test]
    fn keys_come_back_as_they_went() {
        assert_eq!(bytes::<String>("münchen"), "münchen".as_bytes());
        assert_eq!(String::decode("münchen".as_bytes()).unwrap(), "münchen");
        assert_eq!(bytes::<u64>(&258), [0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(u64::decode(&bytes::<u64>(&u64::MAX)).unwrap(), u64::MAX);
        assert_eq!(i64::decode(&bytes::<i64>(&-1)).unwrap(), -1);
        assert_eq!(u32::decode(&bytes::<u32>(&7)).unwrap(), 7);
        assert_eq!(bytes::<Bytes>(b"\0\xff"), b"\0\xff");
    }

    #[test]
    fn a_key_of_the_wrong_length_is_named() {
        let error = u64::decode(b"abc").unwrap_err();
        assert_eq!(error.to_string(), "a u64 key has 8 bytes, this one 3");
    }

    #[test]
    fn text_is_viewed_without_a_copy() {
        let bytes = b"bob".to_vec();
        let mut slot = None;
        let view = String::view(&bytes, &mut slot).unwrap();
        assert!(std::ptr::eq(view.as_ptr(), bytes.as_ptr()));
        assert!(String::view(b"\xff", &mut None).is_err());
    }
}
