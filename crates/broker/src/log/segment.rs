//! One segment: a run of batches with a sparse index, in memory, and in a file when the log has a folder.
//!
//! - Positions are bytes from the segment's start; every index entry points at a batch's first byte.
//! - With a file, the file is complete: a batch is written to it before it is visible. Memory then holds only the
//!   newest bytes.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};

use super::{
    chunks::Chunks,
    header::{self, HEADER_LEN, Header},
};

/// At most one index entry per this many bytes.
const INDEX_INTERVAL: u64 = 4096;
/// What stays in memory of a segment that has a file.
const CACHED: usize = 2 << 20;
/// One read of a file while its batches are walked.
const SCAN_BLOCK: usize = 1 << 20;

#[derive(Debug, Clone, Copy)]
struct IndexEntry {
    base_offset: i64,
    position: u64,
    /// The largest timestamp before this entry, so that a search by time can stop here.
    max_timestamp_before: i64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base_offset: i64,
    pub(crate) next_offset: i64,
    /// The largest timestamp of its records; -1 when it is empty.
    pub(crate) max_timestamp: i64,
    /// When its first batch came, by the broker's clock: age for `segment.ms`.
    pub(crate) created_ms: i64,
    index: Vec<IndexEntry>,
    chunks: Chunks,
    file: Option<(File, PathBuf)>,
}

impl Segment {
    /// An empty segment; `dir` makes its file there.
    pub(crate) fn create(base_offset: i64, dir: Option<&Path>) -> io::Result<Self> {
        Self::create_as(base_offset, dir.map(|it| it.join(file_name(base_offset))))
    }

    /// An empty segment that is to take another's place: its file counts only after [`Self::publish`].
    pub(crate) fn create_cleaned(base_offset: i64, dir: Option<&Path>) -> io::Result<Self> {
        let name = || file_name(base_offset).replace(".log", ".cleaned");
        Self::create_as(base_offset, dir.map(|it| it.join(name())))
    }

    fn create_as(base_offset: i64, path: Option<PathBuf>) -> io::Result<Self> {
        let mut segment = Self::empty(base_offset);
        if let Some(path) = path {
            let file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
            file.set_len(0)?;
            segment.file = Some((file, path));
        }
        Ok(segment)
    }

    /// Gives the file its name as a segment of the log, in place of the one that has it.
    pub(crate) fn publish(&mut self) -> io::Result<()> {
        if let Some((file, path)) = &mut self.file {
            file.sync_data()?;
            let name = path.with_extension("log");
            std::fs::rename(&*path, &name)?;
            *path = name;
        }
        Ok(())
    }

    /// Opens a file that a former process wrote: batches are walked and their checksums compared; what follows
    /// the last whole one is cut off. Gives the segment and how many bytes were cut.
    pub(crate) fn open(
        path: &Path,
        mut visit: impl FnMut(&Header, &Bytes),
    ) -> io::Result<(Self, u64)> {
        let base_offset = offset_of(path)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a segment file"))?;
        let mut segment = Self::empty(base_offset);
        let mut position = 0;
        Self::walk(path, |header, batch| {
            if !header::checksum_matches(batch) || header.base_offset < segment.next_offset {
                return false;
            }
            segment.note(header, position);
            visit(header, batch);
            position += header.size as u64;
            true
        })?;
        let file = OpenOptions::new().read(true).append(true).open(path)?;
        let length = file.metadata()?.len();
        if position < length {
            file.set_len(position)?;
        }
        segment.created_ms = segment.max_timestamp;
        segment.chunks = Chunks::starting_at(position);
        segment.file = Some((file, path.to_owned()));
        Ok((segment, length - position))
    }

    /// Gives the whole batches of a segment's file, one after the other, for as long as `visit` wants more.
    pub(crate) fn walk(
        path: &Path,
        mut visit: impl FnMut(&Header, &Bytes) -> bool,
    ) -> io::Result<()> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut position = 0;
        while position < length {
            let block = read_whole_batches(&file, position, length)?;
            let before = position;
            for (header, batch) in header::batches(&block) {
                if !visit(&header, &batch) {
                    return Ok(());
                }
                position += header.size as u64;
            }
            if position == before {
                return Ok(());
            }
        }
        Ok(())
    }

    fn empty(base_offset: i64) -> Self {
        Self {
            base_offset,
            next_offset: base_offset,
            max_timestamp: -1,
            created_ms: -1,
            index: Vec::new(),
            chunks: Chunks::default(),
            file: None,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.chunks.end()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.size() == 0
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|(_, path)| path.as_path())
    }

    /// Puts one whole batch of magic 2 at the end. `patch` sees the bytes in their final place, before they are
    /// written.
    pub(crate) fn append(&mut self, batch: &[u8], patch: impl FnOnce(&mut [u8])) -> io::Result<()> {
        let position = self.size();
        let stored = self.chunks.append(batch, patch);
        let header = Header::read_whole(stored)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a record batch"))?;
        if let Some((file, _)) = &mut self.file {
            file.write_all(stored)?;
            self.chunks.evict(CACHED);
        }
        self.note(&header, position);
        Ok(())
    }

    fn note(&mut self, header: &Header, position: u64) {
        let due = self.index.last().is_none_or(|last| position - last.position >= INDEX_INTERVAL);
        if due {
            self.index.push(IndexEntry {
                base_offset: header.base_offset,
                position,
                max_timestamp_before: self.max_timestamp,
            });
        }
        self.next_offset = header.next_offset();
        self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
    }

    /// The position of an index entry at or before the batch that holds `offset`.
    pub(crate) fn position_before(&self, offset: i64) -> u64 {
        let after = self.index.partition_point(|entry| entry.base_offset <= offset);
        after.checked_sub(1).map_or(0, |at| self.index[at].position)
    }

    /// A position before which every record is older than `timestamp`.
    pub(crate) fn position_before_time(&self, timestamp: i64) -> u64 {
        let after = self.index.partition_point(|entry| entry.max_timestamp_before < timestamp);
        after.checked_sub(1).map_or(0, |at| self.index[at].position)
    }

    /// Whole batches from `position` (a batch's first byte) on: at least one, unless `position` is the end. About
    /// `wanted` bytes, more or fewer as they lie.
    pub(crate) fn read(&mut self, position: u64, wanted: usize) -> io::Result<Bytes> {
        if let Some(bytes) = self.chunks.read(position, wanted) {
            return Ok(bytes);
        }
        let Some((file, _)) = &self.file else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "position is in no chunk"));
        };
        let end = self.chunks.end();
        let upto = end.min(position + wanted.max(SCAN_BLOCK / 8) as u64);
        let block = read_at(file, position, (upto - position) as usize)?;
        let whole: usize = header::batches(&block).map(|(header, _)| header.size).sum();
        if whole > 0 {
            return Ok(block.slice(..whole));
        }
        read_whole_batches(file, position, end)
    }

    /// All its bytes: whole batches, in memory or by the file's name.
    pub(crate) fn batches(&mut self) -> Result<Vec<Bytes>, PathBuf> {
        match self.path() {
            Some(path) => Err(path.to_owned()),
            None => Ok(self.chunks.all()),
        }
    }

    /// Gives the data to the disk, for an orderly end.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |(file, _)| file.sync_data())
    }

    /// Removes the file, if there is one.
    pub(crate) fn delete(self) -> io::Result<()> {
        self.file.map_or(Ok(()), |(_, path)| std::fs::remove_file(path))
    }
}

/// The name of a segment's file, as Kafka writes it.
pub(crate) fn file_name(base_offset: i64) -> String {
    format!("{base_offset:020}.log")
}

/// The base offset in a segment file's name.
pub(crate) fn offset_of(path: &Path) -> Option<i64> {
    path.file_name()?.to_str()?.strip_suffix(".log")?.parse().ok()
}

/// Reads a block at `position`, at least as large as its first batch says it is, within `end`.
fn read_whole_batches(file: &File, position: u64, end: u64) -> io::Result<Bytes> {
    let left = (end - position) as usize;
    let block = read_at(file, position, left.min(SCAN_BLOCK))?;
    let first = if block.len() < HEADER_LEN { None } else { Header::read(&block) };
    match first {
        Some(header) if header.size > block.len() && header.size <= left => {
            read_at(file, position, header.size)
        }
        _ => {
            let whole: usize = header::batches(&block).map(|(header, _)| header.size).sum();
            Ok(if whole == 0 { block } else { block.slice(..whole) })
        }
    }
}

fn read_at(file: &File, position: u64, len: usize) -> io::Result<Bytes> {
    let mut block = BytesMut::zeroed(len);
    read_exact_at(file, &mut block, position)?;
    Ok(block.freeze())
}

#[cfg(unix)]
fn read_exact_at(file: &File, buf: &mut [u8], position: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, position)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buf: &mut [u8], mut position: u64) -> io::Result<()> {
    while !buf.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, buf, position)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buf = &mut buf[read..];
        position += read as u64;
    }
    Ok(())
}
