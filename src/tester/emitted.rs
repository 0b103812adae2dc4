//! Messages that a graph emitted.

use crate::{Codec, Key, Result};

/// A message as it would be in Kafka.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// `None`: the time of the tester.
    pub(super) timestamp_ms: Option<i64>,
}

/// A message that a graph emitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted<K, M> {
    /// The key; a null key reads as an empty one.
    pub key: K,
    /// The value; `None` for a null payload.
    pub value: Option<M>,
    /// The headers in order. Names that are not UTF-8 are shown with replacement characters.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The timestamp that the callback gave, in milliseconds since 1970; `None`: the time of sending.
    pub timestamp_ms: Option<i64>,
}

impl<K: Key, M> Emitted<K, M> {
    pub(super) fn decode(message: Message, codec: &dyn Codec<M>) -> Result<Self> {
        let text =
            |(name, value): (Vec<u8>, _)| (String::from_utf8_lossy(&name).into_owned(), value);
        Ok(Self {
            key: K::decode(message.key.as_deref().unwrap_or_default())?,
            value: message.value.map(|value| codec.decode(&value)).transpose()?,
            headers: message.headers.into_iter().map(text).collect(),
            timestamp_ms: message.timestamp_ms,
        })
    }

    /// The value of the last header called `name`.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().rev().find(|(n, _)| n == name)?.1.as_deref()
    }
}
