//! Records for consumers from before Kafka 0.11: message sets instead of batches.

use bytes::Bytes;
use roka_protocol::{
    ErrorCode,
    messages::fetch::PartitionData,
    records::{Batches, Compression, Decompressor, MessageFormat, MessageSetBuilder, RecordError},
};

use super::read::failed;

/// The first versions that carry timestamps and batches.
const TIMESTAMPS_FROM: i16 = 2;
const BATCHES_FROM: i16 = 4;

/// Converts what an old version of Fetch cannot carry.
pub(super) fn to_version(data: &mut [PartitionData], version: i16) {
    if version >= BATCHES_FROM {
        return;
    }
    let format = if version < TIMESTAMPS_FROM { MessageFormat::V0 } else { MessageFormat::V1 };
    for partition in data {
        let records = partition.records.take().unwrap_or_default();
        match message_set(records, format) {
            Ok(set) => partition.records = Some(set),
            Err(error) => {
                tracing::error!(partition = partition.partition_index, %error, "conversion failed");
                *partition = failed(partition.partition_index, ErrorCode::UNKNOWN_SERVER_ERROR);
            }
        }
    }
}

/// Headers are lost, and transaction markers are left out, as in Kafka.
fn message_set(records: Bytes, format: MessageFormat) -> Result<Bytes, RecordError> {
    let mut decompressor = Decompressor::new();
    let mut set = MessageSetBuilder::new(format, Compression::None)?;
    for batch in Batches::new(records) {
        let batch = batch?;
        if batch.is_control() {
            continue;
        }
        for record in batch.records(&mut decompressor)? {
            let record = record?;
            set.push(record.offset, record.timestamp_ms, record.key, record.value)?;
        }
    }
    set.build()
}
