//! A Kafka client in pure Rust.
#![allow(dead_code)]

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
mod metadata;
mod outcome;
pub mod partitioner;
pub mod producer;
mod retry;
mod router;
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
