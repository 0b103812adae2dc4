//! Compaction: of each key only the newest record stays.
//!
//! - The active segment is not touched, and nothing from the first undecided transaction on.
//! - Offsets stay as they are: batches keep their range and the log gets gaps.
//! - A tombstone stays until `delete.retention.ms` after the first compaction that saw it; the batch carries that time
//!   (KIP-534). Records of aborted transactions go at once.
//! - A producer's last batch stays, even without records, because it holds its sequence; and so does its last marker,
//!   which holds its epoch. Other markers go when nothing is left of their transaction, and as late as tombstones: a
//!   reader that has seen the records must also see how the transaction ended.
//! - Work is done on copies, outside of the log's lock. Each segment is replaced by its own cleaned one, the oldest
//!   first, so that a crash in between never leaves a value whose tombstone is gone already.

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use foldhash::{HashMap, HashSet};
use roka_protocol::records::{Batch, Decompressor, RebuildBatch, RecordError};

use super::{
    Aborted,
    header::{self, Header},
    segment::Segment,
};

/// What compaction goes by.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "the unit belongs to each")]
pub(crate) struct Rules {
    pub(crate) now_ms: i64,
    pub(crate) delete_retention_ms: i64,
    pub(crate) min_compaction_lag_ms: i64,
}

/// A compaction under way: what it works on, taken from the log under its lock.
#[derive(Debug)]
pub(crate) struct Compaction {
    pub(super) sources: Vec<Source>,
    pub(super) dir: Option<PathBuf>,
    pub(super) aborted: Vec<Aborted>,
    /// Base offsets of each producer's last batch and last marker.
    pub(super) last_batches: HashSet<i64>,
    pub(super) rules: Rules,
}

/// A segment to be cleaned.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) base_offset: i64,
    pub(super) next_offset: i64,
    pub(super) batches: Batches,
}

/// Where its batches are.
#[derive(Debug)]
pub(super) enum Batches {
    Memory(Vec<Bytes>),
    File(PathBuf),
}

/// What takes a segment's place; `None` when nothing of it is left.
#[derive(Debug)]
pub(crate) struct Cleaned {
    pub(super) base_offset: i64,
    pub(super) segment: Option<Segment>,
    /// The offsets of markers that are gone.
    pub(super) markers: Vec<i64>,
}

impl Compaction {
    /// Writes the cleaned segments. They are in force when the log has taken them over.
    pub(crate) fn run(self) -> io::Result<Vec<Cleaned>> {
        let mut newest: HashMap<Vec<u8>, i64> = HashMap::default();
        let mut decompressor = Decompressor::new();
        for source in &self.sources {
            source.each_batch(|header, batch| {
                if header.is_control() {
                    return Ok(());
                }
                let batch = whole(batch)?;
                for record in batch.records(&mut decompressor).map_err(corrupt)? {
                    let record = record.map_err(corrupt)?;
                    let Some(key) = record.key else { continue };
                    if self.is_aborted(header, record.offset) {
                        continue;
                    }
                    match newest.get_mut(key) {
                        Some(offset) => *offset = record.offset,
                        None => {
                            newest.insert(key.to_vec(), record.offset);
                        }
                    }
                }
                Ok(())
            })?;
        }
        let mut all = Vec::with_capacity(self.sources.len());
        // Producers of which a batch stays that belongs to a transaction whose marker comes later.
        let mut open = HashSet::default();
        for source in &self.sources {
            let mut segment = Segment::create_cleaned(source.base_offset, self.dir.as_deref())?;
            let mut markers = Vec::new();
            source.each_batch(|header, batch| {
                let kept = if header.is_control() {
                    let ends_kept = open.remove(&header.producer_id);
                    self.clean_marker(header, batch, ends_kept, &mut decompressor)?
                } else {
                    self.clean(header, batch, &newest, &mut decompressor)?
                };
                let Some(kept) = kept else {
                    markers.extend(header.is_control().then_some(header.base_offset));
                    return Ok(());
                };
                if header.is_transactional() && !header.is_control() {
                    open.insert(header.producer_id);
                }
                segment.append(&kept, |_| ())
            })?;
            let base_offset = source.base_offset;
            if segment.is_empty() {
                segment.delete()?;
                all.push(Cleaned { base_offset, segment: None, markers });
            } else {
                segment.next_offset = source.next_offset;
                all.push(Cleaned { base_offset, segment: Some(segment), markers });
            }
        }
        Ok(all)
    }

    fn is_aborted(&self, header: &Header, offset: i64) -> bool {
        header.is_transactional()
            && self.aborted.iter().any(|it| {
                it.producer_id == header.producer_id
                    && (it.first_offset..it.last_offset).contains(&offset)
            })
    }

    /// A marker stays with what it ends.
    fn clean_marker(
        &self,
        header: &Header,
        batch: &Bytes,
        ends_kept: bool,
        decompressor: &mut Decompressor,
    ) -> io::Result<Option<Bytes>> {
        if ends_kept || self.last_batches.contains(&header.base_offset) {
            return Ok(Some(batch.clone()));
        }
        let source = whole(batch)?;
        match source.header().delete_horizon() {
            Some(horizon) if self.rules.now_ms >= horizon => Ok(None),
            Some(_) => Ok(Some(batch.clone())),
            None => {
                let at_ms = self.rules.now_ms.saturating_add(self.rules.delete_retention_ms);
                with_horizon(&source, at_ms, decompressor, |_, _, _| true).map(Some)
            }
        }
    }

    /// What stays of a batch of records.
    fn clean(
        &self,
        header: &Header,
        batch: &Bytes,
        newest: &HashMap<Vec<u8>, i64>,
        decompressor: &mut Decompressor,
    ) -> io::Result<Option<Bytes>> {
        let source = whole(batch)?;
        let horizon = source.header().delete_horizon();
        let expired = horizon.is_some_and(|it| self.rules.now_ms >= it);
        let mut rebuilt = RebuildBatch::new(&source).map_err(corrupt)?;
        let (mut tombstones, mut seen) = (0, 0);
        let stays = |offset: i64, key: Option<&[u8]>, is_tombstone: bool| {
            key.is_some_and(|key| newest.get(key) == Some(&offset))
                && !(is_tombstone && expired)
                && !self.is_aborted(header, offset)
        };
        for record in source.records(decompressor).map_err(corrupt)? {
            let record = record.map_err(corrupt)?;
            seen += 1;
            if stays(record.offset, record.key, record.value.is_none()) {
                tombstones += usize::from(record.value.is_none());
                rebuilt.push(&record).map_err(corrupt)?;
            }
        }
        if rebuilt.is_empty() && !self.last_batches.contains(&header.base_offset) {
            return Ok(None);
        }
        if tombstones > 0 && horizon.is_none() {
            let at_ms = self.rules.now_ms.saturating_add(self.rules.delete_retention_ms);
            return with_horizon(&source, at_ms, decompressor, stays).map(Some);
        }
        if rebuilt.len() == seen {
            return Ok(Some(batch.clone()));
        }
        rebuilt.build().map(Some).map_err(corrupt)
    }
}

/// As the batch without the records that go, with the time at which its tombstones may go. That time is what
/// timestamps are relative to, so it comes before the records.
fn with_horizon(
    source: &Batch,
    at_ms: i64,
    decompressor: &mut Decompressor,
    stays: impl Fn(i64, Option<&[u8]>, bool) -> bool,
) -> io::Result<Bytes> {
    let mut rebuilt = RebuildBatch::new(source).map_err(corrupt)?;
    rebuilt.set_delete_horizon(at_ms).map_err(corrupt)?;
    for record in source.records(decompressor).map_err(corrupt)? {
        let record = record.map_err(corrupt)?;
        if stays(record.offset, record.key, record.value.is_none()) {
            rebuilt.push(&record).map_err(corrupt)?;
        }
    }
    rebuilt.build().map_err(corrupt)
}

impl Source {
    fn each_batch(
        &self,
        mut visit: impl FnMut(&Header, &Bytes) -> io::Result<()>,
    ) -> io::Result<()> {
        match &self.batches {
            Batches::Memory(chunks) => {
                for (header, batch) in chunks.iter().flat_map(header::batches) {
                    visit(&header, &batch)?;
                }
                Ok(())
            }
            Batches::File(path) => each_batch_of_file(path, visit),
        }
    }
}

fn each_batch_of_file(
    path: &Path,
    mut visit: impl FnMut(&Header, &Bytes) -> io::Result<()>,
) -> io::Result<()> {
    let mut failed = Ok(());
    Segment::walk(path, |header, batch| {
        failed = visit(header, batch);
        failed.is_ok()
    })?;
    failed
}

fn whole(batch: &Bytes) -> io::Result<Batch> {
    let read = Batch::read(batch).map_err(corrupt)?;
    read.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a batch is cut"))
}

fn corrupt(error: RecordError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
