//! What a broker changes in a batch when it appends it, in place.
//!
//! Base offset and leader epoch lie before the bytes that the checksum covers, so they cost nothing;
//! the timestamp is covered, so the checksum is computed again.

use super::crc::{crc32, crc32c};
use super::header::{at, attribute};
use super::{BatchHeader, ProducerFields, RecordError, TimestampType};

/// Sets the base offset. Of a compressed v0/v1 message it is the offset of its *last* record.
pub fn patch_base_offset(batch: &mut [u8], base_offset: i64) -> Result<(), RecordError> {
    whole(batch)?;
    put(batch, at::BASE_OFFSET, &base_offset.to_be_bytes());
    Ok(())
}

/// Sets the epoch of the partition's leader. Messages of v0 and v1 have none and stay as they are.
pub fn patch_leader_epoch(batch: &mut [u8], leader_epoch: i32) -> Result<(), RecordError> {
    if whole(batch)?.magic == 2 {
        put(batch, at::LEADER_EPOCH, &leader_epoch.to_be_bytes());
    }
    Ok(())
}

/// Sets the largest timestamp (ms since 1970) and who set it, and the checksum after them. With
/// `LogAppendTime` this restamps all records: a reader takes the timestamp from here.
/// Messages of v0 have no timestamp and stay as they are.
pub fn patch_max_timestamp(
    batch: &mut [u8],
    timestamp_type: TimestampType,
    timestamp_ms: i64,
) -> Result<(), RecordError> {
    let header = whole(batch)?;
    let flag = match timestamp_type {
        TimestampType::CreateTime => 0,
        TimestampType::LogAppendTime => attribute::LOG_APPEND_TIME,
    };
    let attributes = header.attributes & !attribute::LOG_APPEND_TIME | flag;
    match header.magic {
        2 => {
            put(batch, at::ATTRIBUTES, &attributes.to_be_bytes());
            put(batch, at::MAX_TIMESTAMP, &timestamp_ms.to_be_bytes());
            let crc = crc32c(&batch[at::ATTRIBUTES..header.size]);
            put(batch, at::CRC, &crc.to_be_bytes());
        }
        1 => {
            put(batch, 17, &[attributes as u8]);
            put(batch, 18, &timestamp_ms.to_be_bytes());
            let crc = crc32(&batch[at::MAGIC..header.size]);
            put(batch, at::LOG_OVERHEAD, &crc.to_be_bytes());
        }
        _ => {}
    }
    Ok(())
}

/// The header, when the batch is there as a whole.
fn whole(batch: &[u8]) -> Result<BatchHeader, RecordError> {
    BatchHeader::read(batch)?
        .ok_or(RecordError::Invalid { reason: "the bytes end before the batch does" })
}

fn put(batch: &mut [u8], at: usize, bytes: &[u8]) {
    batch[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Sets producer, epoch, sequence and the transactional flag of a v2 batch, and the checksum after them: what an
/// idempotent producer does when a batch, compressed early, is sent at last or gets another sequence.
pub fn patch_producer(batch: &mut [u8], producer: ProducerFields) -> Result<(), RecordError> {
    let header = whole(batch)?;
    if header.magic != 2 {
        return Err(RecordError::Unsupported {
            magic: header.magic,
            what: "a producer id",
            since: "0.11",
        });
    }
    let flag = if producer.transactional { attribute::TRANSACTIONAL } else { 0 };
    let attributes = header.attributes & !attribute::TRANSACTIONAL | flag;
    put(batch, at::ATTRIBUTES, &attributes.to_be_bytes());
    put(batch, at::PRODUCER_ID, &producer.id.to_be_bytes());
    put(batch, at::PRODUCER_EPOCH, &producer.epoch.to_be_bytes());
    put(batch, at::BASE_SEQUENCE, &producer.base_sequence.to_be_bytes());
    let crc = crc32c(&batch[at::ATTRIBUTES..header.size]);
    put(batch, at::CRC, &crc.to_be_bytes());
    Ok(())
}
