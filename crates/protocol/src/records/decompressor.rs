//! The buffer that compressed batches are unpacked into, one after the other.

use bytes::Bytes;

use super::codec::Codecs;
use super::{Compression, RecordError};

/// Unpacks compressed batches, up to a limit per batch. Keep one per reader and use it for all
/// its batches: buffer and codec tables are used again. Costs nothing until the first compressed batch.
///
/// Records of a compressed batch borrow from it, so the borrow checker sees to it that they are
/// done with before the next batch is opened.
pub struct Decompressor {
    limit: usize,
    codecs: Codecs,
    buffer: Vec<u8>,
}

impl Decompressor {
    /// Limit per batch if nothing else is said: 128 MiB, in bytes.
    pub const DEFAULT_LIMIT: usize = 128 << 20;

    /// With the limit [`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT).
    pub fn new() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }

    /// With a limit in bytes for the decompressed records of one batch.
    pub fn with_limit(limit: usize) -> Self {
        Self { limit, codecs: Codecs::default(), buffer: Vec::new() }
    }

    /// The limit in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// What was unpacked last; empty before.
    pub fn unpacked(&self) -> &[u8] {
        &self.buffer
    }

    /// Frees the buffer. For readers that keep their `Decompressor` for long after a large batch.
    pub fn shrink(&mut self) {
        self.buffer = Vec::new();
    }

    /// The bytes of the last call of [`unpack`](Self::unpack), to keep.
    pub(super) fn take(&mut self) -> Bytes {
        let mut bytes = std::mem::take(&mut self.buffer);
        // What is kept may wait long; the room for growth need not wait with it.
        if bytes.capacity() / 2 > bytes.len() {
            bytes.shrink_to_fit();
        }
        bytes.into()
    }

    /// Unpacks; the bytes stay until the next call. `offset` is for errors.
    pub(super) fn unpack(
        &mut self,
        compression: Compression,
        magic: i8,
        input: &[u8],
        offset: i64,
    ) -> Result<&[u8], RecordError> {
        self.codecs
            .decompress(compression, magic > 0, input, &mut self.buffer, self.limit)
            .map_err(|error| error.at(offset, compression, self.limit))?;
        Ok(&self.buffer)
    }
}

impl Default for Decompressor {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decompressor")
            .field("limit", &self.limit)
            .field("buffered", &self.buffer.capacity())
            .finish_non_exhaustive()
    }
}
