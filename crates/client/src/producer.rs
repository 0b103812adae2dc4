//! The producer: records in, batches out, acknowledged by the cluster.

mod batch;
mod budget;
mod config;
mod error;
mod receipt;
mod record;
#[allow(dead_code, reason = "the sender comes with the core")]
mod sequencer;
mod shared;
mod slot;
mod topic;

pub use config::{Acks, ProducerConfig};
pub use error::{Obstacle, ProduceError, TrySendError};
pub use receipt::Receipt;
pub use record::{Header, RecordMetadata, RecordRef};
