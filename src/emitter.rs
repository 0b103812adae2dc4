//! Sends messages into streams and tables from outside of a processor.

use std::{
    cell::RefCell,
    fmt,
    marker::PhantomData,
    sync::atomic::{AtomicU32, Ordering},
};

use roka_client::{
    Client,
    producer::{
        ProduceError, Producer, ProducerConfig, Receipt, RecordMetadata, RecordRef, TopicHandle,
        TrySendError,
    },
};

use crate::{
    BoxError, Config, ConfigError, Hasher, HeaderValue, Key, Stream, Table, codec::AnyCodec,
};

const NO_HEADERS: &[(&str, &[u8])] = &[];

/// Why a message could not be emitted, or an emitter not be made.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum EmitterError {
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The cluster could not be asked about the topic, or has no such topic.
    #[error("topic {topic}: {source}")]
    Topic {
        /// The topic.
        topic: String,
        /// The client's reason.
        source: roka_client::Error,
    },
    /// The value's codec cannot encode it. Nothing was sent.
    #[error("cannot encode a message for topic {topic}: {source}")]
    Encode {
        /// The topic.
        topic: String,
        /// The codec's reason.
        source: BoxError,
    },
    /// Messages could not be delivered, or it is not known whether they were.
    #[error(transparent)]
    Delivery(#[from] ProduceError),
}

/// The message: `main` shows the error it returns by [`Debug`](fmt::Debug), and names of fields help no user.
impl fmt::Debug for EmitterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Sends messages to one topic, placed by key as processors expect it ([`Config::hasher`]).
///
/// [`emit`](Self::emit) hands a message over and returns; it waits only while the memory for messages on their way is used up.
/// Delivery is retried for up to two minutes; what could not be delivered is reported by the next [`flush`](Self::flush) or
/// [`finish`](Self::finish), or by the receipt of [`emit_with_receipt`](Self::emit_with_receipt). All acknowledgements are by all in-sync
/// replicas, and no retry writes a message twice. May be shared by threads and tasks.
///
/// ```no_run
/// # use roka::{Config, Emitter, Result, Stream};
/// # const CLICKS: Stream<String, String> = Stream::text("clicks");
/// # async fn f() -> Result {
/// let clicks = Emitter::new(CLICKS, &Config::new(["localhost:9092"])).await?;
/// clicks.emit("bob", &"home".to_owned()).await?;
/// clicks.finish().await?;
/// # Ok(())
/// # }
/// ```
pub struct Emitter<K: Key, V: 'static> {
    topic: String,
    codec: AnyCodec<V>,
    hasher: Hasher,
    client: Client,
    producer: Producer,
    handle: TopicHandle,
    /// Messages without a key that got a receipt: they take the partitions in turn.
    keyless: AtomicU32,
    _key: PhantomData<fn(K)>,
}

/// The buffers in which a message is encoded: one per thread, used again for each.
#[derive(Default)]
struct Scratch {
    key: Vec<u8>,
    value: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A message that did not fit in at once.
struct Owned {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl<K: Key, V> Emitter<K, V> {
    /// Connects and looks the topic up. Fails if there is no such topic.
    pub async fn new(stream: Stream<K, V>, config: &Config) -> Result<Self, EmitterError> {
        Self::open(stream.topic.into_owned(), stream.codec, config).await
    }

    /// As [`new`](Self::new), for the rows of a table: [`emit_tombstone`](Self::emit_tombstone) deletes one.
    pub async fn table(table: Table<K, V>, config: &Config) -> Result<Self, EmitterError> {
        Self::open(table.topic.into_owned(), table.codec, config).await
    }

    async fn open(
        topic: String,
        codec: AnyCodec<V>,
        config: &Config,
    ) -> Result<Self, EmitterError> {
        config.validate()?;
        let failed = |source| EmitterError::Topic { topic: topic.clone(), source };
        let client = Client::new(config.client()).map_err(failed)?;
        let settings = ProducerConfig::default()
            .linger(config.linger)
            .delivery_timeout(config.delivery_timeout);
        let producer = client.producer(settings).map_err(failed)?;
        let handle = producer.topic(&topic).await.map_err(failed)?;
        let (hasher, keyless) = (config.hasher, AtomicU32::new(0));
        Ok(Self { topic, codec, hasher, client, producer, handle, keyless, _key: PhantomData })
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Hands a message over.
    pub async fn emit(&self, key: &K::Ref, value: &V) -> Result<(), EmitterError> {
        self.emit_with_headers(key, value, std::iter::empty::<(&str, &[u8])>()).await
    }

    /// As [`emit`](Self::emit), with headers. They keep their order; names may repeat.
    pub async fn emit_with_headers<N: AsRef<[u8]>, H: HeaderValue>(
        &self,
        key: &K::Ref,
        value: &V,
        headers: impl IntoIterator<Item = (N, H)>,
    ) -> Result<(), EmitterError> {
        let headers: Vec<(N, H)> = headers.into_iter().collect();
        self.send(key, Some(value), &headers).await
    }

    /// Emits a null payload, which deletes the key's row where the topic is a table.
    pub async fn emit_tombstone(&self, key: &K::Ref) -> Result<(), EmitterError> {
        self.send(key, None, NO_HEADERS).await
    }

    async fn send<N: AsRef<[u8]>, H: HeaderValue>(
        &self,
        key: &K::Ref,
        value: Option<&V>,
        headers: &[(N, H)],
    ) -> Result<(), EmitterError> {
        let sent = self.encode(key, value, headers, |record| {
            let sent = match self.partition(record.key) {
                Some(partition) => self.handle.try_send(partition, record),
                None => self.handle.try_send_keyed(record).map(drop),
            };
            unless_full(sent, &record)
        })?;
        let Err(owned) = sent? else { return Ok(()) };
        let headers = owned.headers();
        let record = owned.record(&headers);
        match self.partition(record.key) {
            Some(partition) => self.handle.send(partition, record).await?,
            None => drop(self.handle.send_keyed(record).await?),
        }
        Ok(())
    }

    /// As [`emit`](Self::emit); awaiting the receipt waits for the acknowledgement and gives partition and offset.
    pub async fn emit_with_receipt(
        &self,
        key: &K::Ref,
        value: &V,
    ) -> Result<Receipt, EmitterError> {
        let sent = self.encode(key, Some(value), NO_HEADERS, |record| {
            let partition = self.partition(record.key).unwrap_or_else(|| self.next_keyless());
            let sent = self.handle.try_send_with_receipt(partition, record);
            unless_full(sent, &record).map(|sent| (partition, sent))
        })?;
        match sent? {
            (_, Ok(receipt)) => Ok(receipt),
            (partition, Err(owned)) => {
                Ok(self.handle.send_with_receipt(partition, owned.record(&[])).await?)
            }
        }
    }

    /// Emits, and waits until the message is acknowledged. Slow for many messages one after the other.
    pub async fn emit_sync(&self, key: &K::Ref, value: &V) -> Result<RecordMetadata, EmitterError> {
        Ok(self.emit_with_receipt(key, value).await?.await?)
    }

    /// Waits until all messages emitted before are acknowledged; the first that could not be delivered since the last flush is
    /// the error.
    pub async fn flush(&self) -> Result<(), EmitterError> {
        Ok(self.producer.flush().await?)
    }

    /// Delivers what is on its way and ends.
    pub async fn finish(self) -> Result<(), EmitterError> {
        let delivered = self.producer.close().await;
        self.client.close().await;
        Ok(delivered?)
    }

    /// Encodes into this thread's buffers and hands the record to `send`.
    fn encode<N: AsRef<[u8]>, H: HeaderValue, R>(
        &self,
        key: &K::Ref,
        value: Option<&V>,
        headers: &[(N, H)],
        send: impl FnOnce(RecordRef<'_>) -> R,
    ) -> Result<R, EmitterError> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.key.clear();
            scratch.value.clear();
            K::encode(key, &mut scratch.key);
            let value = value.filter(|value| !self.codec.is_null(value));
            if let Some(value) = value {
                let encoded = self.codec.encode(value, &mut scratch.value);
                encoded
                    .map_err(|source| EmitterError::Encode { topic: self.topic.clone(), source })?;
            }
            let headers: Vec<(&[u8], Option<&[u8]>)> =
                headers.iter().map(|(name, value)| (name.as_ref(), value.bytes())).collect();
            Ok(send(RecordRef {
                key: (!K::NULL).then_some(&*scratch.key),
                value: value.map(|_| &*scratch.value),
                headers: &headers,
                timestamp_ms: None,
            }))
        })
    }

    /// None: any.
    fn partition(&self, key: Option<&[u8]>) -> Option<i32> {
        key.map(|key| self.hasher.partition(key, self.handle.partitions()))
    }

    fn next_keyless(&self) -> i32 {
        let count = self.keyless.fetch_add(1, Ordering::Relaxed);
        (count % self.handle.partitions().unsigned_abs().max(1)) as i32
    }
}

/// A message that must wait is kept.
fn unless_full<T>(
    sent: Result<T, TrySendError>,
    record: &RecordRef<'_>,
) -> Result<Result<T, Owned>, EmitterError> {
    match sent {
        Ok(sent) => Ok(Ok(sent)),
        Err(TrySendError::Failed(error)) => Err(error.into()),
        Err(_) => Ok(Err(Owned::of(record))),
    }
}

impl Owned {
    fn of(record: &RecordRef<'_>) -> Self {
        let header =
            |(name, value): &(&[u8], Option<&[u8]>)| (name.to_vec(), value.map(<[u8]>::to_vec));
        Self {
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.iter().map(header).collect(),
        }
    }

    fn headers(&self) -> Vec<(&[u8], Option<&[u8]>)> {
        self.headers.iter().map(|(name, value)| (&**name, value.as_deref())).collect()
    }

    fn record<'a>(&'a self, headers: &'a [(&'a [u8], Option<&'a [u8]>)]) -> RecordRef<'a> {
        let (key, value) = (self.key.as_deref(), self.value.as_deref());
        RecordRef { key, value, headers, timestamp_ms: None }
    }
}

impl<K: Key, V> fmt::Debug for Emitter<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter").field("topic", &self.topic).finish_non_exhaustive()
    }
}
