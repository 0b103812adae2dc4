//! The log of one partition: segments, producers and leader epochs behind one face.
//!
//! - Offsets ascend; gaps are legal (compaction leaves them). `start <= every readable offset < end`.
//! - All replicas share this log, so its end is the high watermark.
//! - The last segment is the active one: only it is appended to, and neither retention nor compaction removes it.

mod chunks;
pub(crate) mod compact;
mod epochs;
pub(crate) mod header;
mod producers;
mod retention;
mod segment;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_transactions;
mod truncate;
pub(crate) mod validate;

use std::{fs, io, path::PathBuf};

use bytes::Bytes;
use roka_protocol::records::{Batch, Decompressor};
use tracing::warn;

pub(crate) use producers::{Aborted, Verdict};
pub(crate) use retention::Retention;
use {epochs::LeaderEpochs, header::Header, producers::Producers, segment::Segment};

/// When a log begins a new segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rolling {
    pub(crate) segment_bytes: u64,
    pub(crate) segment_ms: i64,
}

/// How a batch is stamped as it is appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) leader_epoch: i32,
    pub(crate) now_ms: i64,
    /// `message.timestamp.type=LogAppendTime`.
    pub(crate) append_time: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Log {
    dir: Option<PathBuf>,
    /// Ascending, never empty.
    segments: Vec<Segment>,
    start: i64,
    /// Compaction has seen everything before this offset.
    cleaned_to: i64,
    pub(crate) epochs: LeaderEpochs,
    pub(crate) producers: Producers,
}

impl Log {
    /// An empty log, in memory or in the folder `dir`.
    pub(crate) fn create(dir: Option<PathBuf>) -> io::Result<Self> {
        if let Some(dir) = &dir {
            fs::create_dir_all(dir)?;
        }
        let first = Segment::create(0, dir.as_deref())?;
        Ok(Self {
            dir,
            segments: vec![first],
            start: 0,
            cleaned_to: 0,
            epochs: LeaderEpochs::default(),
            producers: Producers::default(),
        })
    }

    /// Opens the log that a former process left in `dir`, cutting off what it had not written whole. `start` is
    /// the log start that the cluster's metadata remembers.
    pub(crate) fn open(dir: PathBuf, start: i64, now_ms: i64) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let mut paths = Vec::new();
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|it| it == "cleaned") {
                fs::remove_file(&path)?;
            } else if segment::offset_of(&path).is_some() {
                paths.push(path);
            }
        }
        if paths.is_empty() {
            let mut log = Self::create(Some(dir))?;
            log.restart_at(start)?;
            return Ok(log);
        }
        paths.sort();
        let mut segments: Vec<Segment> = Vec::new();
        let (mut epochs, mut producers) = (LeaderEpochs::default(), Producers::default());
        for path in paths {
            let (segment, cut) = Segment::open(&path, |header, batch| {
                epochs.note(header.leader_epoch, header.base_offset);
                producers.note(header, batch, now_ms);
            })?;
            if cut > 0 {
                warn!(path = %path.display(), bytes = cut, "cut off a torn tail");
            }
            segments.push(segment);
        }
        // The first segment may begin later: what was before it may have gone by compaction.
        let mut log = Self { dir: Some(dir), segments, start, cleaned_to: 0, epochs, producers };
        if log.end() < log.start {
            log.restart_at(start)?;
        }
        Ok(log)
    }

    /// Everything up to `start` is gone and nothing follows.
    fn restart_at(&mut self, start: i64) -> io::Result<()> {
        if self.segments[0].base_offset == start && self.segments.len() == 1 {
            return Ok(());
        }
        for segment in std::mem::take(&mut self.segments) {
            segment.delete()?;
        }
        self.segments.push(Segment::create(start, self.dir.as_deref())?);
        self.start = start;
        Ok(())
    }

    fn active(&mut self) -> &mut Segment {
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    /// The offset of the next record: log end and high watermark.
    pub(crate) fn end(&self) -> i64 {
        self.segments[self.segments.len() - 1].next_offset
    }

    /// Before this offset every transaction is decided.
    pub(crate) fn last_stable(&self) -> i64 {
        self.producers.first_open().map_or_else(|| self.end(), |open| open.max(self.start))
    }

    /// Bytes in all segments.
    pub(crate) fn size(&self) -> u64 {
        self.segments.iter().map(Segment::size).sum()
    }

    /// Appends one validated batch and gives its base offset.
    pub(crate) fn append(
        &mut self,
        batch: &Bytes,
        stamp: Stamp,
        rolling: Rolling,
    ) -> io::Result<i64> {
        let base_offset = self.end();
        self.roll_if_due(batch.len(), stamp.now_ms, rolling)?;
        let segment = self.active();
        if segment.is_empty() {
            segment.created_ms = stamp.now_ms;
        }
        segment.append(batch, |stored| {
            header::patch_place(stored, base_offset, stamp.leader_epoch);
            if stamp.append_time {
                header::patch_append_time(stored, stamp.now_ms);
            }
        })?;
        self.epochs.note(stamp.leader_epoch, base_offset);
        if let Some(mut header) = Header::read(batch) {
            header.base_offset = base_offset;
            self.producers.note(&header, batch, stamp.now_ms);
        }
        Ok(base_offset)
    }

    fn roll_if_due(&mut self, incoming: usize, now_ms: i64, rolling: Rolling) -> io::Result<()> {
        let active = self.active();
        let full = active.size() + incoming as u64 > rolling.segment_bytes;
        let old = now_ms.saturating_sub(active.created_ms) >= rolling.segment_ms;
        if active.is_empty() || !(full || old) { Ok(()) } else { self.roll() }
    }

    /// Ends the active segment, if anything is in it.
    pub(crate) fn roll(&mut self) -> io::Result<()> {
        if !self.active().is_empty() {
            let next = Segment::create(self.end(), self.dir.as_deref())?;
            self.segments.push(next);
        }
        Ok(())
    }

    /// Whole batches from the one that holds `offset` (or the next after a gap) on, that begin before `upto`:
    /// about `max_bytes`, and the first also when it alone is larger if `at_least_one`. Borrowed from the log
    /// without a copy where the bytes lie together.
    pub(crate) fn read(
        &mut self,
        offset: i64,
        upto: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> io::Result<Bytes> {
        let first = self.segments.partition_point(|it| it.next_offset <= offset);
        for segment in self.segments.iter_mut().skip(first) {
            let mut position = segment.position_before(offset);
            while position < segment.size() {
                let block = segment.read(position, max_bytes)?;
                if let Some(found) = cut(&block, offset, upto, max_bytes, at_least_one) {
                    return Ok(found);
                }
                position += block.len() as u64;
            }
        }
        Ok(Bytes::new())
    }

    /// Offset and timestamp of the first readable record at or after `timestamp`.
    pub(crate) fn find_time(&mut self, timestamp: i64) -> io::Result<Option<(i64, i64)>> {
        let start = self.start;
        let mut decompressor = Decompressor::new();
        for segment in self.segments.iter_mut().filter(|it| it.max_timestamp >= timestamp) {
            let mut position = segment.position_before_time(timestamp);
            while position < segment.size() {
                let block = segment.read(position, 64 << 10)?;
                for (header, batch) in header::batches(&block) {
                    if header.max_timestamp < timestamp || header.last_offset() < start {
                        continue;
                    }
                    let found = first_at(&batch, timestamp, start, &mut decompressor);
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                position += block.len() as u64;
            }
        }
        Ok(None)
    }

    /// The largest timestamp of any record; -1 without records.
    pub(crate) fn max_timestamp(&self) -> i64 {
        self.segments.iter().map(|it| it.max_timestamp).max().unwrap_or(-1)
    }

    /// Records before `offset` are no longer readable; segments that hold nothing else go.
    pub(crate) fn delete_before(&mut self, offset: i64) -> io::Result<()> {
        self.start = self.start.max(offset.min(self.end()));
        let keep_from = self.start;
        let last = self.segments.len() - 1;
        let gone =
            self.segments[..last].iter().take_while(|it| it.next_offset <= keep_from).count();
        for segment in self.segments.drain(..gone) {
            segment.delete()?;
        }
        self.epochs.truncate_front(self.start);
        Ok(())
    }

    /// Gives everything to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.segments.iter().try_for_each(Segment::sync)
    }

    /// Removes everything, files too. The log is not to be used after it.
    pub(crate) fn delete(&mut self) -> io::Result<()> {
        let empty = Segment::create(self.end(), None)?;
        for segment in std::mem::replace(&mut self.segments, vec![empty]) {
            segment.delete()?;
        }
        self.dir.take().map_or(Ok(()), fs::remove_dir_all)
    }
}

/// The first record of a batch at or after a time and an offset. What cannot be read holds nothing.
fn first_at(
    batch: &Bytes,
    timestamp: i64,
    start: i64,
    decompressor: &mut Decompressor,
) -> Option<(i64, i64)> {
    let batch = Batch::read(batch).ok()??;
    let records = batch.records(decompressor).ok()?;
    let mut readable = records.filter_map(Result::ok);
    let found = readable.find(|it| it.timestamp_ms >= timestamp && it.offset >= start)?;
    Some((found.offset, found.timestamp_ms))
}

/// Of whole batches in `block`, those from `offset` on that begin before `upto`, within `max_bytes`. `None` when
/// the block ends before `offset`.
fn cut(
    block: &Bytes,
    offset: i64,
    upto: i64,
    max_bytes: usize,
    at_least_one: bool,
) -> Option<Bytes> {
    let mut position = 0;
    let mut first = None;
    while let Some(header) = Header::read_whole(&block[position..]) {
        let end = position + header.size;
        if header.last_offset() >= offset {
            let start = *first.get_or_insert(position);
            let fits = end - start <= max_bytes || (start == position && at_least_one);
            if header.base_offset >= upto || !fits {
                break;
            }
        }
        position = end;
    }
    first.map(|first| block.slice(first..position))
}
