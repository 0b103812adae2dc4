//! Reading partitions: positions, fetch sessions, bounded queues of chunks.

mod aborted;
mod chunk;
#[cfg(test)]
mod chunk_tests;
mod config;
mod cursor;
mod driver;
mod engine;
mod error;
mod fetcher;
mod flow;
mod place;
mod queue;
mod session;
mod subscriber;
mod wire;

pub use chunk::Chunk;
pub use config::{FetcherConfig, Isolation, Position, ResetPolicy, Start};
pub use cursor::Cursor;
pub use error::FetchError;
pub use fetcher::Fetcher;
pub use queue::{FetchEvent, FetchQueue, Reset, ResetReason};
pub use roka_protocol::records::{Decompressor, Record};
pub use subscriber::{Consumer, ConsumerConfig, ConsumerError};
