//! What a broker checks in a produced batch before it appends it, as Kafka's `LogValidator` does.
//!
//! Two steps, so that the dear one can be left out: the header with the checksum
//! ([`Batch::from_produce`]), and each record ([`Batch::check_records`]).
//! `RecordError::Invalid` is Kafka's `INVALID_RECORD`, everything else `CORRUPT_MESSAGE`.

use bytes::Bytes;

use super::{Batch, Decompressor, RecordError};

/// What the records of a batch say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordsSummary {
    /// Number of records.
    pub count: usize,
    /// The largest timestamp of a record, ms since 1970; -1 without records.
    pub max_timestamp: i64,
    /// Offset of the first record that has it.
    pub max_timestamp_offset: i64,
}

impl Batch {
    /// The batch of a Produce request (v3 or later): exactly one of format v2, whole, its checksum
    /// right, with records without gaps, no control batch, and a sequence if it has a producer.
    pub fn from_produce(records: &Bytes) -> Result<Self, RecordError> {
        let invalid = |reason| Err(RecordError::Invalid { reason });
        let Some(batch) = Self::read(records)? else {
            return invalid("a produce request must hold a whole record batch");
        };
        let header = batch.header();
        if header.size != records.len() {
            return invalid("a produce request must hold exactly one record batch");
        }
        if header.magic != 2 {
            return invalid("a produce request since v3 must hold record format v2");
        }
        batch.validate_crc()?;
        if header.count <= 0 {
            return invalid("a batch must hold records");
        }
        if header.last_offset_delta != header.count - 1 {
            return invalid("the offset range of a batch must be its number of records");
        }
        if header.is_control() {
            return invalid("clients may not write control records");
        }
        if header.producer_id >= 0 && (header.base_sequence < 0 || header.producer_epoch < 0) {
            return invalid("a batch with a producer id must have an epoch and a sequence");
        }
        if header.is_transactional() && header.producer_id < 0 {
            return invalid("a transactional batch must have a producer id");
        }
        Ok(batch)
    }

    /// Reads all records: they are well-formed and their offsets without gaps. With
    /// `keys_required`, as compacted topics have it, each has a key.
    pub fn check_records(
        &self,
        decompressor: &mut Decompressor,
        keys_required: bool,
    ) -> Result<RecordsSummary, RecordError> {
        let mut all = RecordsSummary {
            count: 0,
            max_timestamp: -1,
            max_timestamp_offset: self.base_offset(),
        };
        let mut expected = None;
        for record in self.records(decompressor)? {
            let record = record?;
            if expected.is_some_and(|offset| offset != record.offset)
                || (expected.is_none() && self.magic() == 2 && record.offset != self.base_offset())
            {
                return Err(RecordError::Invalid {
                    reason: "offsets in a batch must have no gaps",
                });
            }
            if keys_required && record.key.is_none() {
                return Err(RecordError::Invalid {
                    reason: "a compacted topic takes no records without a key",
                });
            }
            expected = record.offset.checked_add(1);
            if all.count == 0 || record.timestamp_ms > all.max_timestamp {
                all.max_timestamp = record.timestamp_ms;
                all.max_timestamp_offset = record.offset;
            }
            all.count += 1;
        }
        Ok(all)
    }
}
