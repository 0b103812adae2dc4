//! An embedded Kafka-compatible cluster for development, tests and small single-machine use.
//!
//! [`Cluster::builder`] gives one to many nodes that listen on the loopback interface and speak Kafka's protocol:
//! any client works against them. All nodes are one process and share their state, so replication costs nothing
//! and proves nothing: a node that stops hands its partitions to the others, and no acknowledged record is lost by it.
//!
//! It can misbehave on command: see [`Cluster`] and [`Fault`].

mod api;
mod builder;
mod caps;
mod cluster;
mod config;
mod error;
mod faults;
mod group;
mod log;
mod net;
mod node;
mod releases;
mod runtime;
mod state;

pub use builder::Builder;
pub use cluster::Cluster;
pub use config::ConfigError;
pub use error::Error;
pub use faults::Fault;
