//! Record batches: the bytes that Produce and Fetch carry, that brokers store.
//!
//! Rules of this module:
//! - Nothing is copied or allocated per record: [`BatchBuilder`] encodes a record straight into
//!   the batch's buffer, [`Record`] borrows from the batch (or from the [`Decompressor`]).
//! - What the bytes say is kept: headers in their order, with duplicates and any bytes; the offsets
//!   and gaps that compaction left ([`Batch::next_offset`]); control batches; both kinds of timestamp.
//! - Every length and count is checked against what is left; decompression has a limit; no input
//!   panics. What is wrong comes as a [`RecordError`] that names the offset.
//! - A batch that is cut at the end of a response is normal and ends the iteration.
//!
//! Formats: v2 batches (Kafka 0.11, KIP-98) read and written; v0 and v1 message sets (before 0.11)
//! read and, for v1, written ([`BatchBuilder::build_message_set_v1`]).

mod batch;
mod builder;
mod codec;
mod compression;
mod control;
mod crc;
mod decompressor;
mod encode;
mod error;
mod header;
mod iter;
mod message_set;
mod patch;
mod produced;
mod rebuild;
mod record;
mod varint;
mod walk;

pub use batch::{Batch, Batches};
pub use builder::{BatchBuilder, BatchOptions, ProducerFields};
pub use compression::Compression;
pub use control::{ControlBatch, ControlRecord, encode_control_batch};
pub use decompressor::Decompressor;
pub use error::RecordError;
pub use header::{BatchHeader, HEADER_SIZE, TimestampType};
pub use iter::RecordIter;
pub use message_set::{MessageFormat, MessageSetBuilder};
pub use patch::{patch_base_offset, patch_leader_epoch, patch_max_timestamp, patch_producer};
pub use produced::RecordsSummary;
pub use rebuild::RebuildBatch;
pub use record::{Header, Headers, Record};
pub use walk::RecordWalk;
