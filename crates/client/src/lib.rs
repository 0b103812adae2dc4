//! A Kafka client in pure Rust: producer, consumer, groups and administration, for brokers from Kafka 0.10
//! to the newest.
//!
//! This runs as it is, on an embedded cluster; with real Kafka only the bootstrap address is another:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use roka_client::admin::NewTopic;
//! use roka_client::consumer::{ConsumerConfig, Decompressor};
//! use roka_client::producer::{ProducerConfig, RecordRef};
//! use roka_client::{Client, Config};
//!
//! let cluster = roka_broker::Cluster::builder().nodes(3).start().await?;
//! let client = Client::new(Config::new(cluster.bootstrap()))?;
//! client.admin().create_topic(NewTopic::new("clicks", 4, 3)).await?;
//!
//! let producer = client.producer(ProducerConfig::default())?;
//! let clicks = producer.topic("clicks").await?;
//! for user in ["alice", "bob", "alice"] {
//!     clicks.send_keyed(RecordRef::new(user.as_bytes(), b"home")).await?;
//! }
//! producer.flush().await?;
//!
//! let mut consumer = client.consumer(ConsumerConfig::new("counter", ["clicks"]))?;
//! let mut decompressor = Decompressor::new();
//! let mut count = 0;
//! while count < 3 {
//!     let chunk = consumer.recv().await?;
//!     chunk.for_each(&mut decompressor, |record| {
//!         println!("{:?} clicked, offset {}", record.key, record.offset);
//!         count += 1;
//!     })?;
//! }
//! consumer.close().await?;
//! # Ok(()) }
//! ```
//!
//! # How it is made
//!
//! - [`Client`]: one I/O thread, `roka-io`, carries connections, heartbeats and metadata. Futures of this crate
//!   may be awaited on any thread and any runtime, and nothing that blocks elsewhere costs a group its member.
//! - [`producer`] (idempotent, or in transactions), [`consumer`], [`group`], [`admin`]: what is built on it. [`Client::call`] sends any other
//!   request of the [`protocol`] to whoever must answer it.
//! - Versions are negotiated on every connection. There is nothing to configure, and a cluster may be up- or
//!   downgraded while the client works. What a broker lacks is said by [`Error::BrokerTooOld`].
//! - Brokers that move, die or hang are no errors: leaders, coordinators and the controller are found again, until
//!   the time for the call is up. Errors that waiting cannot cure come at once, typed, and say what to do next.
//! - Every queue is bounded. [`Client::counters`] tells what was done.

mod action;
mod address;
pub mod admin;
mod client;
mod config;
mod connection;
mod connections;
pub mod consumer;
mod coordinator;
mod core;
mod counters;
mod error;
pub mod group;
mod late;
mod metadata;
mod outcome;
pub mod partitioner;
pub mod producer;
mod retry;
mod router;
pub mod security;
#[cfg(test)]
mod testing;
mod topic_partition;
mod transport;
mod versions;

pub use action::Action;
pub use address::{Address, DEFAULT_PORT};
pub use admin::Admin;
pub use client::Client;
pub use config::Config;
pub use counters::{ApiCounters, Counters};
pub use error::{Error, SendError, Subject};
pub use metadata::{Broker, Metadata, NodeId, Partition, Topic};
pub use outcome::Outcome;
#[doc(inline)]
pub use roka_protocol as protocol;
pub use roka_protocol::{ApiKey, ErrorCode, records};
pub use topic_partition::TopicPartition;
pub use transport::{Connecting, Stream, TcpTransport, Transport};
