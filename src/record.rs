//! One message as it is handed to a callback.

use bytes::Bytes;

/// A consumed message. Everything is borrowed from the fetched batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'m> {
    pub(crate) topic: &'m str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since 1970, by the producer's clock or the broker's, as the topic is set up.
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<&'m [u8]>,
    pub(crate) value: Option<&'m [u8]>,
    pub(crate) headers: &'m [Header<'m>],
}

impl<'m> Record<'m> {
    /// The key's bytes; a null key reads as an empty one.
    pub(crate) fn key_bytes(&self) -> &'m [u8] {
        self.key.unwrap_or_default()
    }
}

/// A header of a consumed message. Names may repeat and keep their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'m> {
    /// The name, UTF-8 by convention.
    pub name: &'m [u8],
    /// The value, which may be null.
    pub value: Option<&'m [u8]>,
}

impl<'m> Header<'m> {
    /// The name as text, if it is.
    pub fn name_str(&self) -> Option<&'m str> {
        std::str::from_utf8(self.name).ok()
    }
}

/// What can be the value of an emitted header: text, bytes, or `None` for null.
pub trait HeaderValue {
    /// The value's bytes.
    fn bytes(&self) -> Option<&[u8]>;
}

macro_rules! header_value {
    ($($ty:ty)*) => {$(
        impl HeaderValue for $ty {
            fn bytes(&self) -> Option<&[u8]> {
                Some(self.as_ref())
            }
        }
    )*};
}

header_value! { str String [u8] Vec<u8> Bytes }

impl<const N: usize> HeaderValue for [u8; N] {
    fn bytes(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl<T: HeaderValue + ?Sized> HeaderValue for &T {
    fn bytes(&self) -> Option<&[u8]> {
        (**self).bytes()
    }
}

impl<T: HeaderValue> HeaderValue for Option<T> {
    fn bytes(&self) -> Option<&[u8]> {
        self.as_ref().and_then(HeaderValue::bytes)
    }
}
