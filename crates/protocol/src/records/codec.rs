//! The codecs, each as two functions over byte slices: compress what is there, decompress up to a
//! limit. They know nothing of batches.
//!
//! Decompression grows its output as data comes and stops at the limit: what the input *claims*
//! to hold is never allocated unless the codec could really make that much of it.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use std::cell::RefCell;

use super::{Compression, RecordError};

/// Why a codec failed; the caller adds codec and offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CodecError {
    /// Not what the codec writes.
    Corrupt(String),
    /// More than the limit.
    TooLarge,
}

impl CodecError {
    fn corrupt(reason: impl Into<String>) -> Self {
        Self::Corrupt(reason.into())
    }

    /// The error with what only the caller knows.
    pub(super) fn at(self, offset: i64, compression: Compression, limit: usize) -> RecordError {
        match self {
            Self::Corrupt(reason) => RecordError::Decompress { offset, compression, reason },
            Self::TooLarge => RecordError::DecompressedTooLarge { offset, compression, limit },
        }
    }
}

/// State of the codecs that is expensive to set up, for instance the match tables of zstd.
#[derive(Default)]
struct Compressor {
    gzip: gzip::Compressor,
    snappy: snappy::Compressor,
    lz4: lz4::Compressor,
    zstd: zstd::Compressor,
}

thread_local! {
    // One per thread, not one per builder: a producer has a builder per partition, and half a
    // megabyte of tables for each would be most of its memory.
    static COMPRESSOR: RefCell<Compressor> = RefCell::default();
}

/// Appends `input`, compressed, to `out`. The level has been checked. `frame_checksum` is false
/// for LZ4 in v0 messages, whose readers expect the checksum that old producers computed.
pub(super) fn compress(
    compression: Compression,
    level: Option<i32>,
    frame_checksum: bool,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), RecordError> {
    let result = COMPRESSOR.with_borrow_mut(|codecs| match compression {
        Compression::None => {
            out.extend_from_slice(input);
            Ok(())
        }
        Compression::Gzip => codecs.gzip.compress(level.unwrap_or(6), input, out),
        Compression::Snappy => codecs.snappy.compress(input, out),
        Compression::Lz4 => codecs.lz4.compress(frame_checksum, input, out),
        Compression::Zstd => codecs.zstd.compress(level.unwrap_or(3), input, out),
    });
    result.map_err(|reason| RecordError::Compress { compression, reason })
}

/// State of the codecs for reading, set up when it is first needed.
#[derive(Default)]
pub(super) struct Codecs {
    gzip: gzip::Decompressor,
    snappy: snappy::Decompressor,
    zstd: zstd::Decompressor,
}

impl Codecs {
    /// Replaces `out` by `input`, decompressed. `frame_checksum` is false for LZ4 in v0 messages:
    /// then the checksum of the frame's header is not looked at.
    pub(super) fn decompress(
        &mut self,
        compression: Compression,
        frame_checksum: bool,
        input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), CodecError> {
        out.clear();
        match compression {
            Compression::None => {
                out.extend_from_slice(input);
                Ok(())
            }
            Compression::Gzip => self.gzip.decompress(input, out, limit),
            Compression::Snappy => self.snappy.decompress(input, out, limit),
            Compression::Lz4 => lz4::decompress(frame_checksum, input, out, limit),
            Compression::Zstd => self.zstd.decompress(input, out, limit),
        }
    }
}

#[cfg(test)]
mod tests;
