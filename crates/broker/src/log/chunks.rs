//! A segment's bytes in memory, as a row of frozen chunks and one open tail.
//!
//! - Chunk borders are batch borders: a batch never lies in two chunks.
//! - Appends copy into the open tail; a reader that reaches the tail freezes what is written so far, so both see
//!   the same allocation and nothing is copied for it.
//! - Small chunks (a reader close behind the writer) are joined when a reader that is far behind crosses them: it
//!   pays one copy, later readers none.
//! - The oldest chunks can be let go when a file holds the same bytes.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// The first allocation of a log; each next is twice as large, up to `CHUNK_MAX`.
const CHUNK_MIN: usize = 4 << 10;
const CHUNK_MAX: usize = 512 << 10;
/// A read that gets less than this and is not at the end joins chunks.
const JOIN_BELOW: usize = 64 << 10;
const JOIN_TO: usize = 256 << 10;

#[derive(Debug)]
struct Chunk {
    position: u64,
    bytes: Bytes,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.position + self.bytes.len() as u64
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    frozen: VecDeque<Chunk>,
    /// Where the open tail begins.
    tail_position: u64,
    tail: BytesMut,
    next_allocation: usize,
}

impl Chunks {
    /// Chunks that begin at `position`: what lies before is in a file only.
    pub(crate) fn starting_at(position: u64) -> Self {
        Self { tail_position: position, ..Self::default() }
    }

    /// The first position that is in memory.
    pub(crate) fn start(&self) -> u64 {
        self.frozen.front().map_or(self.tail_position, |chunk| chunk.position)
    }

    pub(crate) fn end(&self) -> u64 {
        self.tail_position + self.tail.len() as u64
    }

    /// Room for one batch of `len` bytes at the end; the caller fills it in through `patch`.
    pub(crate) fn append(&mut self, batch: &[u8], patch: impl FnOnce(&mut [u8])) -> &[u8] {
        if self.tail.capacity() - self.tail.len() < batch.len() {
            self.freeze();
            let size = self.next_allocation.clamp(CHUNK_MIN, CHUNK_MAX);
            self.next_allocation = size * 2;
            self.tail = BytesMut::with_capacity(size.max(batch.len()));
        }
        let start = self.tail.len();
        self.tail.extend_from_slice(batch);
        patch(&mut self.tail[start..]);
        &self.tail[start..]
    }

    fn freeze(&mut self) {
        if !self.tail.is_empty() {
            let bytes = self.tail.split().freeze();
            let position = self.tail_position;
            self.tail_position += bytes.len() as u64;
            self.frozen.push_back(Chunk { position, bytes });
        }
    }

    /// Bytes from `position` on, as many as lie together: at least `JOIN_BELOW` or up to the end, without a
    /// promise to reach `wanted`. Empty at the end; `None` before the first chunk.
    pub(crate) fn read(&mut self, position: u64, wanted: usize) -> Option<Bytes> {
        if position < self.start() {
            return None;
        }
        if position >= self.tail_position {
            self.freeze();
        }
        let index = self.frozen.partition_point(|chunk| chunk.end() <= position);
        let Some(chunk) = self.frozen.get(index) else { return Some(Bytes::new()) };
        let got = (chunk.end() - position) as usize;
        if got < wanted.min(JOIN_BELOW) {
            self.freeze();
            self.join(index);
        }
        let chunk = self.frozen.get(index)?;
        Some(chunk.bytes.slice((position - chunk.position) as usize..))
    }

    fn join(&mut self, index: usize) {
        let mut end = index;
        let mut size = 0;
        while let Some(chunk) = self.frozen.get(end)
            && (size < JOIN_BELOW || size + chunk.bytes.len() <= JOIN_TO)
        {
            size += chunk.bytes.len();
            end += 1;
        }
        if end - index < 2 {
            return;
        }
        let mut joined = BytesMut::with_capacity(size);
        for chunk in self.frozen.drain(index + 1..end).collect::<Vec<_>>() {
            if joined.is_empty() {
                joined.extend_from_slice(&self.frozen[index].bytes);
            }
            joined.extend_from_slice(&chunk.bytes);
        }
        self.frozen[index].bytes = joined.freeze();
    }

    /// Everything that is in memory.
    pub(crate) fn all(&mut self) -> Vec<Bytes> {
        self.freeze();
        self.frozen.iter().map(|chunk| chunk.bytes.clone()).collect()
    }

    /// Lets go the oldest chunks until at most `keep` bytes are in memory.
    pub(crate) fn evict(&mut self, keep: usize) {
        while (self.end() - self.start()) as usize > keep && self.frozen.pop_front().is_some() {}
    }
}
