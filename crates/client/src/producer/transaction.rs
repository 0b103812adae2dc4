//! Transactions: records to many partitions, and a group's positions, all of them or none (KIP-98, KIP-447, KIP-890).
//!
//! ```no_run
//! # async fn example(group: roka_client::group::Group) -> Result<(), Box<dyn std::error::Error>> {
//! use roka_client::consumer::Position;
//! use roka_client::producer::{RecordRef, TransactionalConfig};
//! use roka_client::{Client, Config, TopicPartition};
//!
//! let client = Client::new(Config::new("localhost:9092"))?;
//! let producer = client.transactional_producer(TransactionalConfig::new("billing-1")).await?;
//! let invoices = producer.topic("invoices").await?;
//!
//! let mut transaction = producer.begin().await?;
//! invoices.send_keyed(RecordRef::new(b"alice", b"3.50")).await?;
//! let read_up_to = [(TopicPartition::new("orders", 0), Position::at(42))];
//! transaction.send_offsets(&group.metadata(), read_up_to).await?;
//! transaction.commit().await?;
//! # Ok(()) }
//! ```
//!
//! One transactional id belongs to one producer at a time: a second one with it ends the first
//! ([`TransactionError::is_fenced`]), and settles what the first left open before it is ready.

mod ask;
mod config;
mod error;
mod machine;
mod offsets;
mod requests;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;

pub(crate) use self::ask::{Answer, Ask, Level, Wish};
pub use self::config::TransactionalConfig;
pub use self::error::{Recovery, TransactionCause, TransactionError};
pub(crate) use self::machine::{Machine, SOON};
pub(crate) use self::offsets::Offsets;
pub(crate) use self::requests::Caller;
use super::sender::{Call, Event, Transactor};
use super::{ProduceError, Producer, ProducerConfig, TopicHandle};
use crate::consumer::Position;
use crate::group::GroupMetadata;
use crate::{Client, Error, TopicPartition};

/// Writes records in transactions.
///
/// Its [topics](Self::topic) take records while a [`Transaction`] is open, from any thread; sending at other times is a
/// typed error ([`ProduceError::NoTransaction`]). Dropped with a transaction open, it aborts that in the background;
/// [`close`](Self::close) waits for it.
#[derive(Debug)]
pub struct TransactionalProducer {
    producer: Producer,
    caller: Caller,
    jobs: Arc<AtomicU64>,
}

/// A transaction that is open. Dropped without [`commit`](Self::commit), it is aborted in the background.
#[derive(Debug)]
#[must_use = "a transaction that is dropped is aborted"]
pub struct Transaction {
    producer: Producer,
    jobs: Arc<AtomicU64>,
    number: u64,
    ended: bool,
}

impl Client {
    /// A producer that writes in transactions, ready to begin one: it has its id and epoch, older producers with this
    /// transactional id are fenced, and what they left open is settled. Needs Kafka 0.11; a new epoch after failures
    /// needs 2.5. Fails with [`TransactionError::Retry`] if no coordinator is found within `api_timeout`.
    pub async fn transactional_producer(
        &self,
        config: TransactionalConfig,
    ) -> Result<TransactionalProducer, TransactionError> {
        config.validate()?;
        let caller = Caller {
            core: self.core().clone(),
            id: config.transactional_id,
            timeout: config.transaction_timeout,
        };
        let transactor = Box::new(Transactor::new(caller.clone()));
        let producer = self.start_producer(config.producer, Some(transactor))?;
        ask(&producer, Call::Start).await?;
        Ok(TransactionalProducer { producer, caller, jobs: Arc::default() })
    }
}

impl TransactionalProducer {
    /// The transactional id.
    pub fn transactional_id(&self) -> &str {
        &self.caller.id
    }

    /// A topic to write to; see [`Producer::topic`]. May be had at any time, and lives as long as it is wanted.
    pub async fn topic(&self, name: &str) -> Result<TopicHandle, Error> {
        self.producer.topic(name).await
    }

    /// Begins a transaction. Asks nobody anything, but waits until one that was dropped is aborted. Fails with
    /// [`TransactionError::Open`] while another lives.
    pub async fn begin(&self) -> Result<Transaction, TransactionError> {
        let level = match self.caller.level_now() {
            Some(level) => level,
            None => self.find_level().await?,
        };
        let number = ask(&self.producer, Call::Begin(level)).await?;
        let (producer, jobs) = (self.producer.clone(), self.jobs.clone());
        Ok(Transaction { producer, jobs, number, ended: false })
    }

    async fn find_level(&self) -> Result<Level, TransactionError> {
        let caller = self.caller.clone();
        let patience = caller.core.config().api_timeout;
        let found = self.caller.core.run(async move {
            match tokio::time::timeout(patience, caller.level()).await {
                Ok(level) => level.map(Some),
                Err(_) => Ok(None),
            }
        });
        let (id, call) = (self.caller.id.clone(), "begin");
        found.await?.ok_or(TransactionError::Retry { id, call, last: None })
    }

    /// Waits until everything that was sent before is acknowledged or given up; a failure also ends the transaction.
    /// [`Transaction::commit`] does this by itself.
    pub async fn flush(&self) -> Result<(), ProduceError> {
        self.producer.flush().await
    }

    /// Memory that records take now, in bytes.
    pub fn buffered_bytes(&self) -> usize {
        self.producer.buffered_bytes()
    }

    /// How it batches, sends and retries.
    pub fn config(&self) -> &ProducerConfig {
        self.producer.config()
    }

    /// Ends the producer; a transaction that is open is aborted, and that is waited for, `api_timeout` at most.
    pub async fn close(self) -> Result<(), TransactionError> {
        // Records of a transaction that is aborted are no loss.
        let _ = self.producer.close().await;
        self.producer.ended().await;
        Ok(())
    }
}

impl Transaction {
    /// Makes positions of a group part of the transaction: they are committed with it, or not at all. `group` says who
    /// the member is ([`Group::metadata`](crate::group::Group::metadata)), so that one that lost its partitions is
    /// refused (KIP-447, Kafka 2.5); with generation -1 and no member id nobody is refused, which needs no version.
    ///
    /// Waits for the group's coordinator; what was sent goes on meanwhile.
    pub async fn send_offsets(
        &self,
        group: &GroupMetadata,
        positions: impl IntoIterator<Item = (TopicPartition, Position)>,
    ) -> Result<(), TransactionError> {
        let positions = positions.into_iter().map(|(it, position)| (it, position, None));
        self.send_offsets_with(group, positions).await
    }

    /// As [`send_offsets`](Self::send_offsets), with a text that is kept with each position.
    pub async fn send_offsets_with(
        &self,
        group: &GroupMetadata,
        positions: impl IntoIterator<Item = (TopicPartition, Position, Option<String>)>,
    ) -> Result<(), TransactionError> {
        let positions: Vec<_> = positions.into_iter().collect();
        if positions.is_empty() {
            return Ok(());
        }
        let job = self.jobs.fetch_add(1, Ordering::Relaxed) + 1;
        let offsets = Offsets { job, group: group.clone(), positions };
        ask(&self.producer, Call::Offsets(self.number, Arc::new(offsets))).await.map(drop)
    }

    /// Delivers what was sent and commits. Waits until the outcome is known:
    ///
    /// - `Ok`: everything is committed.
    /// - [`TransactionError::Abort`]: nothing is, and the transaction has been aborted. Begin another.
    /// - [`TransactionError::Retry`]: not known yet (after `api_timeout`); call it again. The outcome stays what it is.
    /// - [`TransactionError::Fatal`]: the producer is at its end.
    ///
    /// Dropped while it waits, the commit goes on; call it again to learn how it ended.
    pub async fn commit(&mut self) -> Result<(), TransactionError> {
        self.end(true).await
    }

    /// Aborts: what was sent is dropped, and readers of what is committed never see it. Not after a commit that was
    /// given up: that goes on ([`TransactionError::Committing`]).
    pub async fn abort(&mut self) -> Result<(), TransactionError> {
        self.end(false).await
    }

    async fn end(&mut self, commit: bool) -> Result<(), TransactionError> {
        let ended = ask(&self.producer, Call::End { number: self.number, commit }).await;
        self.ended |= ended.is_ok();
        ended.map(drop)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended {
            let (done, _) = oneshot::channel();
            self.producer.tell(Event::Call(Call::Abandon(self.number), done));
        }
    }
}

async fn ask(producer: &Producer, call: Call) -> Result<u64, TransactionError> {
    let (done, answer) = oneshot::channel();
    producer.tell(Event::Call(call, done));
    answer.await.unwrap_or(Err(TransactionError::Client(Error::Closed)))
}
