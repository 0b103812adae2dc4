//! An embedded Kafka-compatible cluster for development, tests and small single-machine use.
//!
//! [`Cluster::builder`] gives one to many nodes that listen on the loopback interface and speak Kafka's protocol:
//! any client works against them. All nodes are one process and share their state, so replication costs nothing
//! and proves nothing: a node that stops hands its partitions to the others, and no acknowledged record is lost by it.
//!
//! It can misbehave on command: nodes stop, die, hang and come back, leaders move, answers fail, come late, twice or
//! not at all, connections are cut, nodes pretend to be of older releases, come anew, go for good, move to other addresses,
//! and tell what is no longer, or never was, true. See [`Cluster`] and [`Fault`]. Requests are
//! counted, so that tests can say how many something may cost.
//!
//! ```
//! use roka_broker::{Cluster, Fault};
//! use roka_protocol::{ApiKey, ErrorCode};
//!
//! let cluster = Cluster::builder().nodes(3).start_blocking()?;
//! cluster.create_topic_with("table", 8, 3, &[("cleanup.policy", "compact")])?;
//! println!("kafka-topics.sh --bootstrap-server {} --describe", cluster.bootstrap());
//!
//! cluster.inject(Fault::fail(ErrorCode::NOT_ENOUGH_REPLICAS).on(ApiKey::Produce).times(2));
//! cluster.kill(1)?;
//! assert_ne!(cluster.leader("table", 0)?, Some(1));
//! cluster.start(1)?;
//! assert_eq!(cluster.requests(ApiKey::Produce), 0);
//! # Ok::<(), roka_broker::Error>(())
//! ```
//!
//! With [`Builder::data_dir`] topics, records, producers' sequences and committed offsets are kept in a folder. What was
//! acknowledged survives the end of the process at any moment, SIGKILL included; only an orderly end gives it to the
//! disk, so a machine that loses power may lose the last of it. A torn tail is cut off at the next start.

mod api;
mod builder;
mod caps;
mod cluster;
mod config;
mod error;
mod faults;
mod group;
mod journal;
mod lies;
mod log;
mod net;
mod node;
mod releases;
mod runtime;
mod security;
mod state;
mod transaction;

pub use builder::Builder;
pub use cluster::Cluster;
pub use config::ConfigError;
pub use error::Error;
pub use faults::Fault;
pub use state::Follower;
