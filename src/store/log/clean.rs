//! Giving back the space of rows that were overwritten or deleted.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    thread::{self, JoinHandle},
};

use super::{
    BLOCK_HEAD, Entry, Kind, LogStore, Place, entry,
    segment::{self, SEGMENT_HEAD},
};

/// A thread that syncs.
pub(super) type Syncing = JoinHandle<io::Result<()>>;

/// A log that is smaller is left alone.
const LOG_BYTES_MIN: u64 = 4 << 20;
/// Bytes cleaned per byte written, so that cleaning keeps pace with the garbage that writes make.
const CLEANED_PER_WRITTEN: usize = 3;
/// Bytes cleaned per write in any case.
const CLEANED_BYTES_MIN: usize = 64 << 10;

impl LogStore {
    /// Cleans some blocks if garbage outweighs rows, in proportion to the bytes just written.
    pub(super) fn clean(&mut self, written: usize) -> io::Result<()> {
        let mut left = (written * CLEANED_PER_WRITTEN).max(CLEANED_BYTES_MIN);
        let min = LOG_BYTES_MIN.min(u64::from(self.segment_bytes_max) * 2);
        while self.bytes() > min && self.live_bytes * 2 < self.bytes() {
            let Some(cleaned) = self.clean_block()? else { break };
            left = left.saturating_sub(cleaned);
            if left == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.len)).sum()
    }

    /// Moves the live rows of the next block of the oldest segment to the end of the log; drops the
    /// segment after its last block. Returns how many bytes were dealt with; `None` while the disk is
    /// waited for.
    fn clean_block(&mut self) -> io::Result<Option<usize>> {
        if self.segments.len() == 1 {
            let number = self.segments[0].number;
            self.roll(number + 1)?;
        }
        let oldest = &self.segments[0];
        let (number, at) = (oldest.number, self.cleaned_to.max(SEGMENT_HEAD));
        let mut source = vec![];
        if at >= oldest.len || oldest.read_block(at, &mut source)?.is_none() {
            if at < oldest.len {
                return Err(io::Error::other("a block of the log cannot be read any more"));
            }
            return Ok(self.drop_oldest()?.then_some(SEGMENT_HEAD as usize));
        }
        let (mut moved, mut from) = (vec![], vec![]);
        entry::begin(&mut moved);
        let mut done = 0;
        while let Some((Entry { kind, key, value }, len)) = Entry::decode(&source[done..]) {
            let place = Place { segment: number, at: at + (BLOCK_HEAD + done) as u32 };
            let hash = self.hasher.hash(key);
            if kind == Kind::Put && self.index.places(hash).any(|other| other == place) {
                from.push((hash, place, moved.len() as u32));
                entry::append(&mut moved, kind, key, value);
            }
            done += len;
        }
        if !from.is_empty() {
            entry::finish(&mut moved);
            let segment = self.active()?;
            let (number, at) = (segment.number, segment.append(&moved)?);
            for (hash, place, offset) in from {
                self.index.replace(hash, place, Place { segment: number, at: at + offset });
            }
        }
        self.cleaned_to = at + (BLOCK_HEAD + source.len()) as u32;
        Ok(Some(BLOCK_HEAD + source.len()))
    }

    /// Deletes the oldest segment, whose live rows were all moved, once everything else is synced. That
    /// is done on a thread of its own, because a disk may take long: `false` while it is under way.
    fn drop_oldest(&mut self) -> io::Result<bool> {
        let Some((upto, syncing)) = self.syncing.take_if(|(_, thread)| thread.is_finished()) else {
            if self.syncing.is_none() {
                self.syncing = Some(self.sync_aside()?);
            }
            return Ok(false);
        };
        join(syncing)?;
        for segment in self.segments.iter_mut().filter(|segment| segment.number < upto) {
            segment.synced = true;
        }
        if let Some(oldest) = self.segments.pop_front() {
            self.cleaned_to = 0;
            fs::remove_file(segment::path(&self.path, oldest.number))?;
        }
        Ok(true)
    }

    /// Syncs all segments but the oldest, and notes that the log must be whole up to here.
    fn sync_aside(&self) -> io::Result<(u32, Syncing)> {
        let (mut files, mut upto) = (vec![], (0, 0));
        for segment in self.segments.iter().skip(1) {
            if !segment.synced {
                files.push(segment.try_clone_file()?);
            }
            upto = (segment.number, segment.len);
        }
        let folder = self.path.clone();
        let sync = move || {
            files.iter().try_for_each(File::sync_data)?;
            write_synced(&folder, upto)
        };
        Ok((upto.0, thread::Builder::new().name("roka-sync".to_owned()).spawn(sync)?))
    }

    /// Deletes everything and begins anew. Newest first: a crash on the way leaves less, not a hole.
    pub(super) fn forget_all(&mut self) -> io::Result<()> {
        self.end_syncing();
        let mut number = 1;
        while let Some(segment) = self.segments.pop_back() {
            number = number.max(segment.number + 1);
            fs::remove_file(segment::path(&self.path, segment.number))?;
        }
        match fs::remove_file(self.path.join("synced")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.index = super::Index::new();
        self.position = None;
        self.meta.clear();
        self.live_bytes = 0;
        self.cleaned_to = 0;
        self.order.take();
        self.broken = false;
        self.roll(number)
    }

    /// Waits for the thread that syncs, so that it does not write into a folder that is no longer ours.
    pub(super) fn end_syncing(&mut self) {
        if let Some((_, thread)) = self.syncing.take()
            && let Err(error) = join(thread)
        {
            tracing::warn!(path = %self.path.display(), %error, "a local store could not be synced");
        }
    }
}

fn join(thread: Syncing) -> io::Result<()> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that syncs panicked")))
}

fn write_synced(folder: &Path, (number, len): (u32, u32)) -> io::Result<()> {
    let draft = folder.join("synced.new");
    let mut file = File::create(&draft)?;
    write!(file, "{number} {len}")?;
    file.sync_data()?;
    fs::rename(draft, folder.join("synced"))
}
