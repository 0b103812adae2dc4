//! A store for tables whose keys fit into memory: a log of our own.
//!
//! Why: the changelog in Kafka is the truth, so a local store needs neither a journal of its own nor
//! durability per write. What is left to do is to keep rows, and that is an append to a file and a
//! hash index in memory: some tenths of a microsecond per row, where sled takes five and more, and
//! about 20 bytes of memory per row. Keys are not held in memory; a row is verified where it lies.
//!
//! Layout of the folder: `lock`, segments `0000000001.log`, … (see [`segment`] and [`entry`]), and
//! `synced`, the place up to which the log must be whole.
//!
//! Rules:
//! - A write is one block: rows and position are applied whole or not at all.
//! - Opening reads the segments in order and builds the index. A last block that is not whole was
//!   being written when the process or the machine died; it is cut off, and the position with it.
//! - Where garbage outweighs rows, the oldest segment is cleaned, some blocks per write: its live rows
//!   are appended again. As the oldest goes first, a deletion can be forgotten with its segment.
//! - Before a cleaned segment is deleted, everything is synced and `synced` says how far. A log that
//!   is not whole up to there is corrupt, not merely behind.
//! - Each segment begins with the metadata and the position, so that older ones can go.
//! - The order of keys is needed by scans only: the first scan sorts them, later writes keep the order.

mod clean;
mod entry;
mod open;
mod scan;
mod segment;

#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs::File,
    io,
    ops::Bound,
    path::{Path, PathBuf},
};

use self::{
    entry::{BLOCK_HEAD, ENTRY_HEAD, Entry, Head, Kind},
    segment::Segment,
};
use super::{Row, Slice, Store, Writes};
use crate::{
    StoreError,
    index::{self, Index, KeyHasher},
    small_key::SmallKey,
};

/// A segment that is longer is sealed and a new one begun.
const SEGMENT_BYTES_MAX: u32 = 64 << 20;
/// A write that is longer is split into blocks.
const BLOCK_BYTES_MAX: usize = 1 << 20;
/// Bytes read at once for a row, key and value; longer rows take a second read.
const READ_BYTES: usize = 512;

/// A table partition in a log with a hash index in memory: about 20 bytes of memory per row.
pub struct LogStore {
    path: PathBuf,
    /// Held as long as the store is open.
    _lock: File,
    /// Oldest first; the last one grows. Never empty.
    segments: VecDeque<Segment>,
    segment_bytes_max: u32,
    index: Index<Place>,
    hasher: KeyHasher,
    position: Option<i64>,
    meta: BTreeMap<String, Slice>,
    /// Bytes of the entries that the index points at.
    live_bytes: u64,
    /// How far the oldest segment was cleaned.
    cleaned_to: u32,
    /// Syncs everything below that segment, before the oldest is deleted.
    syncing: Option<(u32, clean::Syncing)>,
    /// All keys, once there was a scan.
    order: RefCell<Option<BTreeSet<SmallKey>>>,
    block: Vec<u8>,
    read: RefCell<Vec<u8>>,
    /// The index may not match the files any more: an update of it failed half-way.
    broken: bool,
}

/// Where an entry lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    segment: u32,
    at: u32,
}

impl index::Place for Place {
    const NONE: Self = Self { segment: u32::MAX, at: u32::MAX };
}

impl LogStore {
    /// Opens the store in the folder `path`, which is made if need be.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] if it is open elsewhere, [`StoreError::Corrupt`] and
    /// [`StoreError::Format`] if its files cannot be used, [`StoreError::Io`] otherwise.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        open::open(path, SEGMENT_BYTES_MAX)
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.index.len()
    }

    /// All private metadata.
    pub(super) fn all_meta(&self) -> impl Iterator<Item = (&str, &Slice)> {
        self.meta.iter().map(|(name, value)| (&**name, value))
    }

    fn segment(&self, number: u32) -> Option<&Segment> {
        let first = self.segments.front()?.number;
        self.segments.get(number.checked_sub(first)? as usize)
    }

    /// The last segment, a new one if the last is full.
    fn active(&mut self) -> io::Result<&mut Segment> {
        let last = self.segments.back().map(|last| (last.number, last.len));
        let (number, len) = last.ok_or_else(no_segment)?;
        if len >= self.segment_bytes_max {
            self.roll(number + 1)?;
        }
        self.segments.back_mut().ok_or_else(no_segment)
    }

    /// Begins segment `number`.
    fn roll(&mut self, number: u32) -> io::Result<()> {
        let mut segment = Segment::create(&self.path, number)?;
        let mut block = vec![];
        entry::begin(&mut block);
        for (name, value) in &self.meta {
            entry::append(&mut block, Kind::Meta, name.as_bytes(), value);
        }
        if let Some(position) = self.position {
            entry::append(&mut block, Kind::Position, &[], &position.to_le_bytes());
        }
        if block.len() > BLOCK_HEAD {
            entry::finish(&mut block);
            segment.append(&block)?;
        }
        self.segments.push_back(segment);
        Ok(())
    }

    /// The row of `key`: where it lies and how long its entry is. `read` holds the start of the
    /// entry, `more` bytes beyond the key if there are so many.
    fn find(&self, hash: u32, key: &[u8], more: usize) -> io::Result<Option<(Place, Head)>> {
        for place in self.index.places(hash) {
            let Some(segment) = self.segment(place.segment) else { continue };
            let left = (segment.len - place.at) as usize;
            let mut read = self.read.borrow_mut();
            read.resize(left.min(ENTRY_HEAD + key.len() + more), 0);
            segment.read(&mut read, place.at)?;
            if let Some(head) = Head::decode(&read)
                && head.key_len as usize == key.len()
                && read.get(ENTRY_HEAD..ENTRY_HEAD + key.len()) == Some(key)
            {
                return Ok(Some((place, head)));
            }
        }
        Ok(None)
    }

    fn value(&self, key: &[u8]) -> io::Result<Option<Slice>> {
        let more = READ_BYTES.saturating_sub(ENTRY_HEAD + key.len());
        let Some((place, head)) = self.find(self.hasher.hash(key), key, more)? else {
            return Ok(None);
        };
        let mut read = self.read.borrow_mut();
        let (start, end) = (ENTRY_HEAD + key.len(), head.entry_len());
        if read.len() < end {
            let have = read.len();
            read.resize(end, 0);
            let segment = self.segment(place.segment).ok_or_else(no_segment)?;
            segment.read(&mut read[have..], place.at + have as u32)?;
        }
        Ok(Some(read[start..end].into()))
    }

    /// Applies the entries of a block that lies at `at` of a segment.
    fn apply(&mut self, entries: &[u8], segment: u32, at: u32) -> io::Result<()> {
        let mut done = 0;
        while let Some((entry, len)) = Entry::decode(&entries[done..]) {
            let place = Place { segment, at: at + (BLOCK_HEAD + done) as u32 };
            self.apply_entry(entry, len as u64, place)?;
            done += len;
        }
        Ok(())
    }

    fn apply_entry(&mut self, entry: Entry<'_>, len: u64, place: Place) -> io::Result<()> {
        let Entry { kind, key, value } = entry;
        match kind {
            Kind::Put | Kind::Delete => {
                let hash = self.hasher.hash(key);
                let before = self.find(hash, key, 0)?;
                if let Some((_, head)) = before {
                    self.live_bytes -= head.entry_len() as u64;
                }
                match (before, kind) {
                    (Some((before, _)), Kind::Put) => {
                        self.index.replace(hash, before, place);
                    }
                    (Some((before, _)), _) => {
                        self.index.remove(hash, before);
                        if let Some(order) = self.order.get_mut() {
                            order.remove(key);
                        }
                    }
                    (None, Kind::Put) => {
                        self.index.insert(hash, place);
                        if let Some(order) = self.order.get_mut() {
                            order.insert(key.into());
                        }
                    }
                    (None, _) => {}
                }
                if kind == Kind::Put {
                    self.live_bytes += len;
                }
            }
            Kind::Meta => {
                let name = String::from_utf8_lossy(key).into_owned();
                self.meta.insert(name, value.into());
            }
            Kind::Position => {
                self.position = value.try_into().ok().map(i64::from_le_bytes).or(self.position);
            }
        }
        Ok(())
    }

    fn write_blocks(&mut self, writes: &Writes) -> io::Result<()> {
        let mut rows = writes.rows().peekable();
        let mut block = std::mem::take(&mut self.block);
        let mut more = !writes.is_empty();
        while more {
            entry::begin(&mut block);
            while let Some((key, value)) = rows.next_if(|_| block.len() < BLOCK_BYTES_MAX) {
                let kind = if value.is_some() { Kind::Put } else { Kind::Delete };
                entry::append(&mut block, kind, key, value.unwrap_or_default());
            }
            more = rows.peek().is_some();
            if !more {
                for (name, value) in writes.meta() {
                    entry::append(&mut block, Kind::Meta, name.as_bytes(), value);
                }
                if let Some(position) = writes.position() {
                    entry::append(&mut block, Kind::Position, &[], &position.to_le_bytes());
                }
            }
            self.append(&mut block)?;
        }
        self.block = block;
        Ok(())
    }

    fn append(&mut self, block: &mut [u8]) -> io::Result<()> {
        entry::finish(block);
        let segment = self.active()?;
        let (number, at) = (segment.number, segment.append(block)?);
        self.broken = true;
        self.apply(&block[BLOCK_HEAD..], number, at)?;
        self.broken = false;
        Ok(())
    }

    fn usable(&self) -> Result<(), StoreError> {
        if self.broken {
            return Err(StoreError::Closed { path: self.path.clone() });
        }
        Ok(())
    }

    fn failure(&self, action: &'static str) -> impl Fn(io::Error) -> StoreError + use<> {
        let path = self.path.clone();
        move |source| StoreError::Io { path: path.clone(), action, source }
    }
}

impl Store for LogStore {
    fn get(&self, key: &[u8]) -> Result<Option<Slice>, StoreError> {
        self.usable()?;
        self.value(key).map_err(self.failure("reading"))
    }

    fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        self.usable()?;
        self.write_blocks(writes).map_err(self.failure("writing"))?;
        self.clean(writes.bytes()).map_err(self.failure("cleaning"))
    }

    fn scan<'a>(
        &'a self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a> {
        scan::scan(self, range)
    }

    fn position(&self) -> Option<i64> {
        self.position
    }

    fn meta(&self, name: &str) -> Result<Option<Slice>, StoreError> {
        Ok(self.meta.get(name).cloned())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.usable()?;
        self.segments.iter_mut().try_for_each(Segment::sync).map_err(self.failure("flushing"))
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        self.forget_all().map_err(self.failure("clearing"))
    }

    fn close(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        self.end_syncing();
    }
}

fn no_segment() -> io::Error {
    io::Error::other("the log has no segment")
}

impl std::fmt::Debug for LogStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogStore")
            .field("path", &self.path)
            .field("rows", &self.index.len())
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
