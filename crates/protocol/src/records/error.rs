//! What can be wrong with records. Every error that comes from the wire names the offset of the
//! batch (or message) it was found in, so that the caller can say which partition stands still where.

use super::Compression;

/// A malformed batch, or a batch that cannot be built as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes break the format. Reading further in this response is not possible.
    #[error("corrupt record batch at offset {offset}: {reason}")]
    Corrupt {
        /// Base offset of the batch, or the offset of the v0/v1 message.
        offset: i64,
        /// Which rule is broken.
        reason: &'static str,
    },
    /// The checksum does not match: the bytes were damaged on disk or on the way.
    #[error(
        "record batch at offset {offset} has crc {stored:#010x}, its bytes give {computed:#010x}"
    )]
    Crc {
        /// Base offset of the batch, or the offset of the v0/v1 message.
        offset: i64,
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// A format that Kafka does not define (0, 1 and 2 are known).
    #[error("record batch at offset {offset} has unknown magic {magic}")]
    Magic {
        /// Base offset of the batch.
        offset: i64,
        /// The magic byte.
        magic: i8,
    },
    /// A compression that Kafka does not define (0 to 4 are known).
    #[error("record batch at offset {offset} has unknown compression {id}")]
    UnknownCompression {
        /// Base offset of the batch.
        offset: i64,
        /// The low three bits of the attributes.
        id: u8,
    },
    /// The compressed bytes cannot be read.
    #[error("record batch at offset {offset} is not valid {compression}: {reason}")]
    Decompress {
        /// Base offset of the batch, or the offset of the v0/v1 message.
        offset: i64,
        /// What the header says the bytes are.
        compression: Compression,
        /// What the codec says.
        reason: String,
    },
    /// The batch would be larger than the limit of the [`Decompressor`](super::Decompressor).
    #[error(
        "record batch at offset {offset} is over {limit} bytes when decompressed ({compression}); \
         raise the decompression limit to read it"
    )]
    DecompressedTooLarge {
        /// Base offset of the batch, or the offset of the v0/v1 message.
        offset: i64,
        /// What the header says the bytes are.
        compression: Compression,
        /// The limit in bytes.
        limit: usize,
    },
    /// The codec does not know this level (KIP-390).
    #[error("compression {compression} has no level {level}; allowed: {allowed}")]
    Level {
        /// The codec.
        compression: Compression,
        /// The level asked for.
        level: i32,
        /// Which levels there are.
        allowed: &'static str,
    },
    /// The codec failed, for instance because it got no memory.
    #[error("compression with {compression} failed: {reason}")]
    Compress {
        /// The codec.
        compression: Compression,
        /// What the codec says.
        reason: String,
    },
    /// Lengths and counts are 32 bits on the wire.
    #[error("{what} of {size} bytes is over Kafka's limit of 2147483647")]
    TooLarge {
        /// The record or the batch.
        what: &'static str,
        /// Its size in bytes (or its number of records).
        size: usize,
    },
    /// The format cannot carry this.
    #[error("message format v{magic} has no {what}; brokers since {since} have it")]
    Unsupported {
        /// The message format.
        magic: i8,
        /// What was asked for: headers, zstd...
        what: &'static str,
        /// The first Kafka version that has it.
        since: &'static str,
    },
    /// A produced batch breaks a rule for producers (`INVALID_RECORD` in Kafka).
    #[error("produced record batch is invalid: {reason}")]
    Invalid {
        /// Which rule is broken.
        reason: &'static str,
    },
}

impl RecordError {
    /// The offset of the batch the error was found in; `None` for errors of building.
    pub fn offset(&self) -> Option<i64> {
        match self {
            Self::Corrupt { offset, .. }
            | Self::Crc { offset, .. }
            | Self::Magic { offset, .. }
            | Self::UnknownCompression { offset, .. }
            | Self::Decompress { offset, .. }
            | Self::DecompressedTooLarge { offset, .. } => Some(*offset),
            Self::Level { .. }
            | Self::Compress { .. }
            | Self::TooLarge { .. }
            | Self::Unsupported { .. }
            | Self::Invalid { .. } => None,
        }
    }
}
