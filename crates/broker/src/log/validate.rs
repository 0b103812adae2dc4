//! What a broker checks of produced records before they are appended: headers and checksums. Payloads are read only
//! where Kafka's rules need it: compacted topics take no records without key.

use bytes::Bytes;
use roka_protocol::{
    ErrorCode,
    records::{
        Batch, BatchBuilder, BatchOptions, Batches, Compression, Decompressor,
        Header as RecordHeader, ProducerFields, RecordError,
    },
};

use super::header::Header;
use crate::config::TopicConfig;

/// The first version of Produce whose records are batches; before it they are message sets.
const BATCHES_FROM: i16 = 3;
const ZSTD_FROM: i16 = 7;

/// Why records are not appended: Kafka's code, and a text for the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) text: String,
}

impl From<RecordError> for Refusal {
    fn from(error: RecordError) -> Self {
        let code = match error {
            RecordError::Invalid { .. } => ErrorCode::INVALID_RECORD,
            RecordError::UnknownCompression { .. } => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            _ => ErrorCode::CORRUPT_MESSAGE,
        };
        Self { code, text: error.to_string() }
    }
}

fn refuse<T>(code: ErrorCode, text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { code, text: text.into() })
}

/// The records of one partition of a Produce request, checked, as the one batch that is appended.
pub(crate) fn batch(
    records: &Bytes,
    produce_version: i16,
    config: &TopicConfig,
    now_ms: i64,
) -> Result<(Header, Bytes), Refusal> {
    let batch = if produce_version < BATCHES_FROM {
        Batch::from_produce(&converted(records, config)?)?
    } else {
        Batch::from_produce(records)?
    };
    let size = batch.bytes().len();
    if size > config.max_message_bytes {
        let text = format!(
            "the record batch has {size} bytes, the topic takes {}",
            config.max_message_bytes
        );
        return refuse(ErrorCode::MESSAGE_TOO_LARGE, text);
    }
    if batch.compression() == Compression::Zstd && produce_version < ZSTD_FROM {
        let text = "zstd needs a produce request of version 7 or later";
        return refuse(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, text);
    }
    if config.compact {
        batch.check_records(&mut Decompressor::new(), true)?;
    }
    let header = Header::read_whole(batch.bytes());
    let Some(header) = header else {
        return refuse(ErrorCode::CORRUPT_MESSAGE, "no whole record batch");
    };
    timestamps(&header, config, now_ms)?;
    Ok((header, batch.bytes().clone()))
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

/// A message set of an old client as a batch, compressed as its first message was.
fn converted(set: &Bytes, config: &TopicConfig) -> Result<Bytes, Refusal> {
    let mut decompressor = Decompressor::new();
    let mut builder: Option<BatchBuilder> = None;
    for batch in Batches::new(set.clone()) {
        let batch = batch?;
        if batch.magic() > 1 {
            return refuse(
                ErrorCode::INVALID_RECORD,
                "a record batch in a request for message sets",
            );
        }
        batch.validate_crc()?;
        if batch.bytes().len() > config.max_message_bytes {
            let text = format!(
                "a message is larger than the {} bytes that the topic takes",
                config.max_message_bytes
            );
            return refuse(ErrorCode::MESSAGE_TOO_LARGE, text);
        }
        let compression = batch.compression();
        let into = builder
            .get_or_insert_with(|| BatchBuilder::new(BatchOptions::with_compression(compression)));
        for record in batch.records(&mut decompressor)? {
            let record = record?;
            let none: [RecordHeader<'_>; 0] = [];
            into.push(record.timestamp_ms, record.key, record.value, none)?;
        }
    }
    match builder {
        Some(mut builder) if !builder.is_empty() => Ok(builder.build(ProducerFields::NONE)?),
        _ => refuse(ErrorCode::CORRUPT_MESSAGE, "no whole message"),
    }
}
