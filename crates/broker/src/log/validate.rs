//! What a broker checks of produced records before they are appended: headers and checksums, no payloads.

use bytes::Bytes;
use roka_protocol::ErrorCode;

use super::header::{self, Header};
use crate::config::TopicConfig;

/// Why records are not appended: Kafka's code, and a text for the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) text: String,
}

fn refuse<T>(code: ErrorCode, text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { code, text: text.into() })
}

/// The one batch of a produce request of version 3 or later, checked.
pub(crate) fn batch(
    records: &Bytes,
    produce_version: i16,
    config: &TopicConfig,
    now_ms: i64,
) -> Result<(Header, Bytes), Refusal> {
    let Some(header) = Header::read(records) else {
        return match records.get(16) {
            Some(0 | 1) => {
                refuse(ErrorCode::INVALID_RECORD, "message set in a request for batches")
            }
            _ => refuse(ErrorCode::CORRUPT_MESSAGE, "no record batch"),
        };
    };
    if header.size > records.len() {
        return refuse(ErrorCode::CORRUPT_MESSAGE, "the record batch ends too early");
    }
    if header.size < records.len() {
        return refuse(ErrorCode::INVALID_RECORD, "more than one record batch for a partition");
    }
    if !header::checksum_matches(records) {
        return refuse(ErrorCode::CORRUPT_MESSAGE, "the checksum does not match the record batch");
    }
    if header.size > config.max_message_bytes {
        let text = format!(
            "the record batch has {} bytes, the topic takes {}",
            header.size, config.max_message_bytes
        );
        return refuse(ErrorCode::MESSAGE_TOO_LARGE, text);
    }
    if header.count <= 0 || header.last_offset_delta != header.count - 1 {
        return refuse(ErrorCode::INVALID_RECORD, "record count and last offset delta disagree");
    }
    if header.is_control() {
        return refuse(ErrorCode::INVALID_RECORD, "clients may not write control batches");
    }
    if header.codec() > 4 {
        return refuse(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, "unknown compression type");
    }
    if header.codec() == 4 && produce_version < 7 {
        let text = "zstd needs a produce request of version 7 or later";
        return refuse(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, text);
    }
    if header.has_producer() && (header.producer_epoch < 0 || header.base_sequence < 0) {
        return refuse(ErrorCode::INVALID_RECORD, "a producer id without epoch or sequence");
    }
    if header.is_transactional() && !header.has_producer() {
        return refuse(ErrorCode::INVALID_RECORD, "a transactional batch without producer id");
    }
    timestamps(&header, config, now_ms)?;
    Ok((header, records.clone()))
}

/// Only the newest timestamp is looked at: it stands in the header.
fn timestamps(header: &Header, config: &TopicConfig, now_ms: i64) -> Result<(), Refusal> {
    if config.append_time || header.max_timestamp < 0 {
        return Ok(());
    }
    let early = now_ms.saturating_sub(header.max_timestamp) > config.timestamp_before_max_ms;
    let late = header.max_timestamp.saturating_sub(now_ms) > config.timestamp_after_max_ms;
    if early || late {
        let text = format!(
            "timestamp {} is too far from the broker's time {now_ms}: see message.timestamp.before.max.ms and \
             message.timestamp.after.max.ms",
            header.max_timestamp
        );
        return refuse(ErrorCode::INVALID_TIMESTAMP, text);
    }
    Ok(())
}
