//! Control batches: one record that says how a transaction ended (KIP-98).
//!
//! Key: version i16, type i16 (0 abort, 1 commit). Value: version i16, coordinator epoch i32.
//! Newer versions may append fields, which are passed over.

use bytes::Bytes;

use super::builder::HeaderFields;
use super::encode::RecordBuffer;
use super::header::{attribute, int, short};
use super::{Compression, Record, RecordError, TimestampType};

const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// What a record of a control batch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlRecord {
    /// The transaction of the batch's producer is aborted: its records since the transaction's
    /// first offset are not for `read_committed` consumers.
    Abort {
        /// Epoch of the transaction coordinator that wrote it.
        coordinator_epoch: i32,
    },
    /// The transaction of the batch's producer is committed.
    Commit {
        /// Epoch of the transaction coordinator that wrote it.
        coordinator_epoch: i32,
    },
    /// Another type (those of Raft are 2 to 7): not for clients, passed over.
    Other {
        /// The type.
        kind: i16,
    },
}

impl ControlRecord {
    /// Reads a record of a batch for which [`Batch::is_control`](super::Batch::is_control) holds.
    pub fn decode(record: &Record<'_>) -> Result<Self, RecordError> {
        let corrupt = |reason| RecordError::Corrupt { offset: record.offset, reason };
        let key = record.key.unwrap_or_default();
        let kind = short(key, 2).ok_or(corrupt("key of a control record is cut"))?;
        if !matches!(kind, ABORT | COMMIT) {
            return Ok(Self::Other { kind });
        }
        let value = record.value.unwrap_or_default();
        let coordinator_epoch = int(value, 2).ok_or(corrupt("value of a control record is cut"))?;
        Ok(match kind {
            ABORT => Self::Abort { coordinator_epoch },
            _ => Self::Commit { coordinator_epoch },
        })
    }
}

/// What a marker's batch is written from, besides the marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlBatch {
    /// Offset of the marker.
    pub base_offset: i64,
    /// Epoch of the partition's leader.
    pub leader_epoch: i32,
    /// Time of the marker, ms since 1970.
    pub timestamp_ms: i64,
    /// The producer whose transaction ends.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
}

/// The batch that ends a transaction: transactional, control, one record, no sequence.
/// An error for [`ControlRecord::Other`], which has no known content.
pub fn encode_control_batch(
    batch: ControlBatch,
    marker: ControlRecord,
) -> Result<Bytes, RecordError> {
    let (kind, epoch) = match marker {
        ControlRecord::Abort { coordinator_epoch } => (ABORT, coordinator_epoch),
        ControlRecord::Commit { coordinator_epoch } => (COMMIT, coordinator_epoch),
        ControlRecord::Other { .. } => {
            return Err(RecordError::Invalid {
                reason: "only abort and commit markers are written",
            });
        }
    };
    let mut key = [0; 4];
    key[2..].copy_from_slice(&kind.to_be_bytes());
    let mut value = [0; 6];
    value[2..].copy_from_slice(&epoch.to_be_bytes());
    let mut buffer = RecordBuffer::default();
    buffer.start(0);
    buffer.append(0, 0, Some(&key), Some(&value), std::iter::empty())?;
    let mut out = buffer.take();
    let fields = HeaderFields {
        base_offset: batch.base_offset,
        leader_epoch: batch.leader_epoch,
        compression: Compression::None,
        timestamp_type: TimestampType::CreateTime,
        flags: attribute::TRANSACTIONAL | attribute::CONTROL,
        last_offset_delta: 0,
        base_timestamp: batch.timestamp_ms,
        max_timestamp: batch.timestamp_ms,
        producer_id: batch.producer_id,
        producer_epoch: batch.producer_epoch,
        base_sequence: -1,
        count: 1,
    };
    fields.write(&mut out)?;
    Ok(out.into())
}
