//! Opening a log: reading it from its start, and what to do where it is not whole.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    fs::{self, File, TryLockError},
    io,
    path::Path,
};

use super::{
    BLOCK_HEAD, LogStore,
    segment::{self, FORMAT, Opened, SEGMENT_HEAD, Segment},
};
use crate::{
    StoreError,
    index::{Index, KeyHasher},
};

pub(super) fn open(path: &Path, segment_bytes_max: u32) -> Result<LogStore, StoreError> {
    let fail = |source| StoreError::Io { path: path.to_owned(), action: "opening", source };
    fs::create_dir_all(path).map_err(fail)?;
    let lock = File::create(path.join("lock")).map_err(fail)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => return Err(fail(error)),
    }
    let mut store = LogStore {
        path: path.to_owned(),
        _lock: lock,
        segments: VecDeque::new(),
        segment_bytes_max,
        index: Index::new(),
        hasher: KeyHasher::default(),
        position: None,
        meta: BTreeMap::new(),
        live_bytes: 0,
        cleaned_to: 0,
        syncing: None,
        order: RefCell::new(None),
        block: vec![],
        read: RefCell::default(),
        broken: false,
    };
    let numbers = numbers(path).map_err(fail)?;
    let synced = synced(path)?;
    let next = numbers.last().map_or(1, |last| last + 1);
    let whole = store.replay(&numbers)?;
    if whole < synced {
        let (segment, at) = whole;
        let detail = format!("not whole after byte {at} of segment {segment}");
        return Err(StoreError::Corrupt { path: path.to_owned(), detail });
    }
    if store.segments.is_empty() {
        store.roll(next).map_err(fail)?;
    }
    Ok(store)
}

impl LogStore {
    /// Reads the segments as far as they are whole, forgets the rest, and says how far that is.
    fn replay(&mut self, numbers: &[u32]) -> Result<(u32, u32), StoreError> {
        let fail = self.failure("opening");
        let mut whole = (0, 0);
        for (done, number) in numbers.iter().enumerate() {
            let follows = self.segments.back().is_none_or(|last| last.number + 1 == *number);
            let opened = match Segment::open(&self.path, *number).map_err(&fail)? {
                Opened::Ok(segment) if follows => Some(segment),
                Opened::Format(found) => {
                    let (path, found) = (self.path.clone(), found.to_string());
                    return Err(StoreError::Format { path, found, expected: FORMAT });
                }
                Opened::Ok(_) | Opened::Foreign => None,
            };
            let end = match opened {
                Some(segment) => {
                    whole = (*number, self.replay_segment(segment).map_err(&fail)?);
                    self.segments.back().is_none_or(|last| last.len == whole.1)
                }
                None => false,
            };
            if !end {
                self.cut(whole, &numbers[done..]).map_err(&fail)?;
                break;
            }
        }
        Ok(whole)
    }

    /// Reads the blocks of a segment. Returns where the last whole one ends.
    fn replay_segment(&mut self, segment: Segment) -> io::Result<u32> {
        let (number, mut at) = (segment.number, SEGMENT_HEAD);
        self.segments.push_back(segment);
        let mut block = vec![];
        while let Some(segment) = self.segments.back()
            && segment.read_block(at, &mut block)?.is_some()
        {
            self.apply(&block, number, at)?;
            at += (BLOCK_HEAD + block.len()) as u32;
        }
        Ok(at)
    }

    /// Cuts the log off after `whole`. `numbers` are the segments from the one that is not whole on.
    fn cut(&mut self, (number, len): (u32, u32), numbers: &[u32]) -> io::Result<()> {
        tracing::warn!(
            path = %self.path.display(), segment = number, byte = len,
            "the end of a local store was not written whole; it is read back from the changelog"
        );
        for later in numbers.iter().rev().filter(|later| **later != number) {
            fs::remove_file(segment::path(&self.path, *later))?;
        }
        match self.segments.back_mut() {
            Some(last) => last.truncate(len),
            None => Ok(()),
        }
    }
}

/// The numbers of the segments in the folder, in order.
fn numbers(path: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = vec![];
    for file in fs::read_dir(path)? {
        numbers.extend(segment::number(&file?.path()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Up to where the log must be whole.
fn synced(path: &Path) -> Result<(u32, u32), StoreError> {
    let text = match fs::read_to_string(path.join("synced")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, 0)),
        Err(source) => {
            return Err(StoreError::Io { path: path.to_owned(), action: "opening", source });
        }
    };
    let place = text
        .split_once(' ')
        .and_then(|(number, len)| Some((number.parse().ok()?, len.parse().ok()?)));
    place.ok_or_else(|| StoreError::Corrupt {
        path: path.to_owned(),
        detail: format!("the file synced holds {text:?}"),
    })
}
