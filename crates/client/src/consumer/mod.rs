//! Reading partitions: positions, fetch sessions, bounded queues of chunks.

mod aborted;
mod chunk;
#[cfg(test)]
mod chunk_tests;
mod config;
mod cursor;
mod error;
mod flow;
mod queue;

pub use chunk::Chunk;
pub use config::{FetcherConfig, Isolation, Position, ResetPolicy, Start};
pub use cursor::Cursor;
pub use error::FetchError;
pub use queue::{FetchEvent, FetchQueue, Reset, ResetReason};
pub use roka_protocol::records::{Decompressor, Record};
