//! The producer: records in, batches out, acknowledged by the cluster, in order and once.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use roka_client::producer::{ProducerConfig, RecordRef};
//! use roka_client::{Client, Config};
//!
//! let client = Client::new(Config::new("localhost:9092"))?;
//! let producer = client.producer(ProducerConfig::default())?;
//! let clicks = producer.topic("clicks").await?;
//! for user in ["alice", "bob"] {
//!     clicks.send_keyed(RecordRef::new(user.as_bytes(), b"home")).await?;
//! }
//! producer.close().await?;
//! # Ok(()) }
//! ```
//!
//! How it is made: a record is encoded straight into the open batch of its partition on the thread that sends it (no
//! allocation, no channel, no wake-up). One task on the client's I/O thread takes closed batches, gives them sequences
//! and sends them to the leaders. Memory is bounded by `buffer_bytes_max`; who sends faster than the cluster takes,
//! waits.

mod batch;
mod budget;
mod config;
mod error;
mod handle;
mod receipt;
mod record;
mod sender;
mod sequencer;
mod shared;
mod slot;
mod topic;
mod transaction;
mod verdict;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub use crate::partitioner::Partitioning;
pub use config::{Acks, ProducerConfig};
pub use error::{Obstacle, ProduceError, TrySendError};
pub use handle::TopicHandle;
pub use receipt::Receipt;
pub use record::{Header, RecordMetadata, RecordRef};
pub use roka_protocol::records::Compression;
pub use transaction::{
    Recovery, Transaction, TransactionCause, TransactionError, TransactionalConfig,
    TransactionalProducer,
};

use self::sender::{Done, Event, Sender, Transactor};
use self::shared::Shared;
use self::topic::TopicState;
use crate::metadata::Why;
use crate::retry::Deadline;
use crate::{ApiKey, Client, Error, ErrorCode, Subject};

/// How long a topic that the cluster does not know may take to appear: one that was just created is not known to all
/// brokers at once.
const APPEARANCE: Duration = Duration::from_secs(3);

/// Writes records. Cheap to clone; all clones, and the topics of one, share memory, batches and connections.
///
/// Close or [`flush`](Self::flush) it in the end: what is buffered when the client goes is lost, and receipts say so.
#[derive(Debug, Clone)]
pub struct Producer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Event>,
    topics: Mutex<HashMap<Arc<str>, Arc<TopicState>>>,
    closed: AtomicBool,
}

impl Client {
    /// A producer over this client's connections. Asks no broker anything before the first topic.
    pub fn producer(&self, config: ProducerConfig) -> Result<Producer, Error> {
        self.start_producer(config, None)
    }

    fn start_producer(
        &self,
        config: ProducerConfig,
        transaction: Option<Box<Transactor>>,
    ) -> Result<Producer, Error> {
        config.validate()?;
        let shared = Arc::new(Shared::new(config));
        shared.shut.store(transaction.is_some(), Ordering::Release);
        let (sender, events) = Sender::new(self.core().clone(), shared.clone(), transaction);
        self.core().spawn(sender.run());
        let inner = Inner {
            client: self.clone(),
            shared,
            events,
            topics: Mutex::default(),
            closed: AtomicBool::new(false),
        };
        Ok(Producer { inner: Arc::new(inner) })
    }
}

impl Producer {
    /// A topic to write to. Waits for the cluster to know it, for three seconds if it says that there is none; then
    /// fails with `UNKNOWN_TOPIC_OR_PARTITION`.
    pub async fn topic(&self, name: &str) -> Result<TopicHandle, Error> {
        let name: Arc<str> = name.into();
        let known = self.inner.topics().get(&name).cloned();
        let topic = match known {
            Some(topic) => topic,
            None => self.add_topic(name).await?,
        };
        Ok(TopicHandle { topic, inner: self.inner.clone() })
    }

    async fn add_topic(&self, name: Arc<str>) -> Result<Arc<TopicState>, Error> {
        let core = self.inner.client.core().clone();
        let task = (core.clone(), name.clone());
        core.run(async move {
            let (core, name) = task;
            // The sender keeps the topic tracked once it has it.
            core.track_topics(&[&name]);
            let found = find_topic(&core, &name).await;
            if found.is_err() {
                core.untrack_topics(&[&name]);
            }
            found
        })
        .await?;
        let batch_bytes_max = self.inner.shared.config.batch_bytes_max;
        let topic = Arc::new(TopicState::new(name.clone(), batch_bytes_max));
        {
            let mut topics = self.inner.topics();
            if let Some(first) = topics.get(&name) {
                // Another call was faster; its tracking is enough.
                core.untrack_topics(&[&name]);
                return Ok(first.clone());
            }
            topics.insert(name, topic.clone());
        }
        let (done, ready) = oneshot::channel();
        self.inner.events.send(Event::Topic(topic.clone(), done)).map_err(|_| Error::Closed)?;
        ready.await.map_err(|_| Error::Closed)?;
        Ok(topic)
    }

    /// Waits until everything that was sent before is acknowledged or given up; the first failure since the last
    /// flush, if any. Records that others send meanwhile are not waited for.
    pub async fn flush(&self) -> Result<(), ProduceError> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(Error::Closed.into());
        }
        self.inner.ask(Event::Flush).await
    }

    /// Takes no more records, delivers what there is, and ends; as [`flush`](Self::flush) for the result. Closing it
    /// again gives [`Error::Closed`].
    pub async fn close(&self) -> Result<(), ProduceError> {
        if self.inner.closed.swap(true, Ordering::AcqRel) {
            return Err(Error::Closed.into());
        }
        self.inner.ask(|done| Event::Close(Some(done))).await
    }

    /// An event for the sender; it may be gone.
    fn tell(&self, event: Event) {
        let _ = self.inner.events.send(event);
    }

    /// Until the sender has nothing left to do.
    async fn ended(&self) {
        self.inner.events.closed().await;
    }

    /// Memory that records take now, in bytes: of open batches, and of those that are not acknowledged.
    pub fn buffered_bytes(&self) -> usize {
        self.inner.shared.budget.used()
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &ProducerConfig {
        &self.inner.shared.config
    }
}

impl Inner {
    async fn ask(&self, event: impl FnOnce(Done) -> Event) -> Result<(), ProduceError> {
        let (done, result) = oneshot::channel();
        self.events.send(event(done)).map_err(|_| Error::Closed)?;
        result.await.unwrap_or(Err(Error::Closed.into()))
    }

    fn topics(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Arc<TopicState>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // An error says that it was closed before.
        let _ = self.events.send(Event::Close(None));
    }
}

/// Waits until the topic is known with its partitions.
async fn find_topic(core: &crate::core::Core, name: &str) -> Result<(), Error> {
    let deadline = Deadline::after(core.config().api_timeout);
    let appearance = Deadline::after(APPEARANCE.min(core.config().api_timeout));
    let mut metadata = core.metadata();
    let mut patience = deadline;
    let mut problem = None;
    loop {
        if let Some(topic) = metadata.topic(name) {
            match topic.error {
                ErrorCode::NONE if !topic.partitions.is_empty() => return Ok(()),
                // Being created.
                ErrorCode::NONE | ErrorCode::LEADER_NOT_AVAILABLE => patience = deadline,
                other => {
                    let error =
                        Error::refused(ApiKey::Metadata, Subject::Topic(name.into()), other);
                    if !crate::action::of(other).is_retry() {
                        return Err(error);
                    }
                    let absent = other == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                    patience = if absent { appearance } else { deadline };
                    problem = Some(error);
                }
            }
        }
        let next = async { Ok(core.refresh(metadata.generation, Why::Asked).await) };
        let newer = tokio::time::timeout_at(patience.at(), core.unless_distrusted(next)).await;
        metadata = match (newer, problem.take_if(|_| patience == appearance)) {
            (Ok(newer), _) => newer?,
            (Err(_), Some(absent)) => return Err(absent),
            (Err(_), None) => {
                return Err(Error::Timeout {
                    operation: format!("looking up topic {name}"),
                    after: core.config().api_timeout,
                    last: problem.map(Box::new),
                });
            }
        };
    }
}
