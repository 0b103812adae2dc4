//! A record on its way in, and what is known of it when it has arrived.

pub use roka_protocol::records::Header;

/// A record to send, borrowed: it is encoded before `send` returns.
///
/// ```
/// use roka_client::producer::RecordRef;
/// let order = RecordRef::new(b"key-1", b"{}").headers(&[(b"trace", Some(b"4f2a"))]);
/// let keyless = RecordRef::value(b"{}").timestamp_ms(1_700_000_000_000);
/// let delete = RecordRef::tombstone(b"key-1");
/// # let _ = (order, keyless, delete);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordRef<'a> {
    /// The key, if any.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone, which deletes the key in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Headers, in order; keys may repeat. Brokers before 0.11 have none.
    pub headers: &'a [Header<'a>],
    /// Milliseconds since 1970; `None` takes the time of sending (the clock is read once for several records, so that
    /// it may lag by as much as the batch takes to fill, at most `linger` as a rule).
    pub timestamp_ms: Option<i64>,
}

impl<'a> RecordRef<'a> {
    /// With key and value.
    #[inline]
    pub fn new(key: &'a [u8], value: &'a [u8]) -> Self {
        Self { key: Some(key), value: Some(value), ..Self::default() }
    }

    /// Without a key.
    #[inline]
    pub fn value(value: &'a [u8]) -> Self {
        Self { value: Some(value), ..Self::default() }
    }

    /// Deletes the key in a compacted topic.
    #[inline]
    pub fn tombstone(key: &'a [u8]) -> Self {
        Self { key: Some(key), ..Self::default() }
    }

    /// With these headers.
    #[inline]
    #[must_use]
    pub fn headers(mut self, headers: &'a [Header<'a>]) -> Self {
        self.headers = headers;
        self
    }

    /// With this timestamp, ms since 1970.
    #[inline]
    #[must_use]
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }
}

/// Where a delivered record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordMetadata {
    /// The partition.
    pub partition: i32,
    /// Its offset. `None` if the broker only said that it has the record already (`DUPLICATE_SEQUENCE_NUMBER`).
    pub offset: Option<i64>,
    /// Its timestamp, ms since 1970: the broker's if the topic has `LogAppendTime`, else the one it was sent with.
    pub timestamp_ms: i64,
}
