//! The rows of one table partition: decoded values in memory above a [`Store`].
//!
//! A row in memory is in one of these states:
//!
//! - **clean**: as in the store. May be evicted when the cache is full.
//! - **dirty**: changed by a callback since the last commit began. Not yet in the changelog.
//! - **unstored**: in the changelog, not yet in the store. What the store lacks is read back from
//!   the changelog after a crash, so rows may stay here for long: a row that changes in each of a
//!   hundred commits is written to the store once.
//! - **dirty and unstored**: both; the value that the store is owed is kept beside the new one.
//!
//! Rows that come from the changelog for keys that are not in memory ([`RowTable::feed`]) do not
//! enter it: they wait in batches for the store, in order, ahead of unstored rows. Whoever reads a
//! key that is not in memory has them written first.
//!
//! Transitions: a callback's write makes a row dirty ([`RowTable::set`]); [`RowTable::begin_commit`]
//! and [`RowTable::next_dirty`] hand dirty rows to the changelog and make them unstored;
//! [`RowTable::end_commit`] says that the changelog has them and up to which position;
//! [`RowTable::store_some`] writes unstored rows, oldest first, and the position once all rows below it
//! are written. A commit whose outcome is not known ends in [`RowTable::forget`]: the store is behind the
//! changelog, never ahead, and is read forward from its position.
//!
//! Invariants: the store never holds a row that is not committed; no row is stored while a commit is
//! under way; dirty and unstored rows are never evicted.

mod ops;
mod rows;
mod scan;
mod shared;

use std::{collections::VecDeque, path::Path};

use self::rows::{Content, Rows};
pub(crate) use self::{
    ops::TableOps,
    shared::{SharedTable, Undecoded, undecoded},
};
use crate::{
    BoxError, Store, StoreError,
    codec::AnyCodec,
    store::{ClosedStore, Writes},
};

/// Rows of a table partition. See the module's states.
pub(crate) struct RowTable<V: 'static> {
    rows: Rows<V>,
    codec: AnyCodec<V>,
    store: Box<dyn Store>,
    /// Rows changed since the last commit began.
    dirty: Vec<u32>,
    /// Rows of the commit that is under way, and how many of them were handed out.
    committing: Option<(Vec<u32>, usize)>,
    unstored: VecDeque<u32>,
    /// How many rows were ever taken from the front of `unstored`.
    stored_count: u64,
    /// Rows for the store whose keys are not in memory, in batches of [`BATCH_ROWS_MAX`].
    fed: VecDeque<Writes>,
    /// Rows in `fed`.
    fed_rows: usize,
    /// Changelog positions, and what has to be written before they are reached: everything that is
    /// in `fed` at that time, and `unstored` up to this count.
    marks: VecDeque<Mark>,
    /// The time of [`RowTable::caught_up`] for the store's position, if it is newer than what the store says.
    as_of_ms: Option<i64>,
    /// Where the values to write are encoded.
    buffer: Vec<u8>,
    writes: Writes,
}

struct Mark {
    stored_count: u64,
    position: i64,
    as_of_ms: Option<i64>,
}

/// Metadata of the store: the time of [`RowTable::caught_up`] for its position.
const AS_OF: &str = "as-of";

/// Rows written to the store at a time.
const BATCH_ROWS_MAX: usize = 256;

impl<V: 'static> RowTable<V> {
    /// `cache_bytes_max` bounds the memory of clean rows; dirty and unstored ones come on top.
    pub(crate) fn new(store: Box<dyn Store>, codec: AnyCodec<V>, cache_bytes_max: usize) -> Self {
        Self {
            rows: Rows::new(cache_bytes_max),
            codec,
            store,
            dirty: vec![],
            committing: None,
            unstored: VecDeque::new(),
            stored_count: 0,
            fed: VecDeque::new(),
            fed_rows: 0,
            marks: VecDeque::new(),
            as_of_ms: None,
            buffer: vec![],
            writes: Writes::new(),
        }
    }

    /// The row's place in memory, read from the store if it is not there yet.
    pub(crate) fn locate(&mut self, key: &[u8]) -> Result<u32, StoreError> {
        let hash = self.rows.hash(key);
        if let Some(place) = self.rows.find(hash, key) {
            return Ok(place);
        }
        self.store_fed(usize::MAX)?;
        let content = match self.store.get(key)? {
            Some(value) => Content::Encoded((&*value).into()),
            None => Content::Absent,
        };
        Ok(self.rows.insert(hash, key, content))
    }

    /// The decoded value of the row at `place`.
    pub(crate) fn value_at(&mut self, place: u32) -> Result<Option<&V>, BoxError> {
        let row = self.rows.at_mut(place);
        if let Content::Encoded(bytes) = &row.content {
            row.content = Content::Decoded(self.codec.decode(bytes)?);
        }
        match &self.rows.at(place).content {
            Content::Decoded(value) => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    /// Where the row's key is `key`, as it was when `place` was located; `None` if it was moved.
    pub(crate) fn still_at(&self, place: u32, key: &[u8]) -> bool {
        self.rows.is_at(place, key)
    }

    /// The row's bytes.
    pub(crate) fn raw(&mut self, key: &[u8]) -> Result<Option<&[u8]>, BoxError> {
        let place = self.locate(key)?;
        match &self.rows.at(place).content {
            Content::Absent => Ok(None),
            Content::Encoded(bytes) => Ok(Some(bytes)),
            Content::Decoded(value) => {
                self.buffer.clear();
                self.codec.encode(value, &mut self.buffer)?;
                Ok(Some(&self.buffer))
            }
        }
    }

    /// A callback's write. `place` is where the row was located, if it was.
    pub(crate) fn set(&mut self, place: Option<u32>, key: &[u8], value: Option<V>) {
        let place = match place.filter(|place| self.still_at(*place, key)) {
            Some(place) => place,
            None => self.rows.find_or_insert(key),
        };
        let row = self.rows.at_mut(place);
        let content = value.map_or(Content::Absent, Content::Decoded);
        let before = std::mem::replace(&mut row.content, content);
        if row.unstored && !row.dirty {
            // The store is owed what was committed, not what this callback made of it.
            row.owed = Some(Box::new(before));
        }
        if !row.dirty {
            row.dirty = true;
            self.dirty.push(place);
        }
    }

    /// Takes a row of the changelog: recovery, a joined table, a standby, a view.
    pub(crate) fn feed(&mut self, key: &[u8], value: Option<&[u8]>) {
        let hash = self.rows.hash(key);
        let Some(place) = self.rows.find(hash, key) else {
            self.feed_store(key, value);
            return;
        };
        let content = value.map_or(Content::Absent, |value| Content::Encoded(value.into()));
        self.rows.replace(place, content);
        let row = self.rows.at_mut(place);
        row.owed = None;
        if !row.unstored {
            row.unstored = true;
            self.unstored.push_back(place);
        }
    }

    fn feed_store(&mut self, key: &[u8], value: Option<&[u8]>) {
        let full = self.fed.back().is_none_or(|batch| batch.len() == BATCH_ROWS_MAX);
        if full {
            self.writes.clear();
            self.fed.push_back(std::mem::take(&mut self.writes));
        }
        if let Some(batch) = self.fed.back_mut() {
            batch.set(key, value);
            self.fed_rows += 1;
        }
    }

    /// Writes fed rows until at least `rows_max` are written. Returns how many were.
    fn store_fed(&mut self, rows_max: usize) -> Result<usize, StoreError> {
        let mut written = 0;
        while written < rows_max
            && let Some(batch) = self.fed.front()
        {
            self.store.write(batch)?;
            written += batch.len();
            self.fed_rows -= batch.len();
            // Its memory is used again.
            self.writes = self.fed.pop_front().unwrap_or_default();
        }
        Ok(written)
    }

    /// All rows of the changelog below `position` were fed.
    pub(crate) fn fed_to(&mut self, position: i64) {
        let stored_count = self.stored_count + self.unstored.len() as u64;
        match self.marks.back_mut() {
            Some(mark) if mark.stored_count == stored_count => mark.position = position,
            _ => self.marks.push_back(Mark { stored_count, position, as_of_ms: None }),
        }
    }

    /// Whoever reads on behind what was fed or committed so far misses no deletion as long as the changelog keeps
    /// tombstones of that time, in ms since 1970: it was no longer then, or its reading began then.
    pub(crate) fn caught_up(&mut self, as_of_ms: i64) {
        match self.marks.back_mut() {
            Some(mark) => mark.as_of_ms = Some(as_of_ms),
            None => self.as_of_ms = Some(as_of_ms),
        }
    }

    /// The time of [`caught_up`](Self::caught_up) for the store's position; none if it is not known.
    pub(crate) fn as_of(&self) -> Option<i64> {
        let stored = || {
            let bytes = self.store.meta(AS_OF).ok()??;
            Some(i64::from_be_bytes((&*bytes).try_into().ok()?))
        };
        self.as_of_ms.or_else(stored)
    }

    /// Starts a commit: [`next_dirty`](Self::next_dirty) then gives the rows that are dirty now. Rows
    /// that change from here on belong to the next commit.
    pub(crate) fn begin_commit(&mut self) {
        debug_assert!(self.committing.is_none(), "one commit at a time");
        let dirty = std::mem::take(&mut self.dirty);
        for place in &dirty {
            let row = self.rows.at_mut(*place);
            row.dirty = false;
            row.owed = None;
            if !row.unstored {
                row.unstored = true;
                self.unstored.push_back(*place);
            }
        }
        self.committing = Some((dirty, 0));
    }

    /// The next row for the changelog; the same one until [`advance`](Self::advance).
    ///
    /// # Errors
    ///
    /// The codec's, naming the key. The table then stays as it was.
    pub(crate) fn next_dirty(&mut self) -> Result<Option<(&[u8], Option<&[u8]>)>, BoxError> {
        let Some(place) = self.committing.as_ref().and_then(|(rows, next)| rows.get(*next)) else {
            return Ok(None);
        };
        let row = self.rows.at(*place);
        // A row that changed again since the commit began carries the value to commit along.
        let content = row.owed.as_deref().unwrap_or(&row.content);
        let value = encode(&self.codec, content, &mut self.buffer).map_err(|error| {
            format!("cannot encode the table value of key b\"{}\": {error}", row.key.escape_ascii())
        })?;
        self.rows.note_value_bytes(*place, value.map_or(0, <[u8]>::len));
        let row = self.rows.at(*place);
        let content = row.owed.as_deref().unwrap_or(&row.content);
        let value = match content {
            Content::Absent => None,
            Content::Encoded(bytes) => Some(&**bytes),
            Content::Decoded(_) => Some(&*self.buffer),
        };
        Ok(Some((&row.key, value)))
    }

    /// The row that [`next_dirty`](Self::next_dirty) gave is on its way to the changelog.
    pub(crate) fn advance(&mut self) {
        if let Some((_, next)) = &mut self.committing {
            *next += 1;
        }
    }

    /// The changelog holds all rows of the commit. `position` is the offset after the last of them;
    /// `None` if there were none.
    pub(crate) fn end_commit(&mut self, position: Option<i64>) {
        self.committing = None;
        if let Some(position) = position {
            self.fed_to(position);
        }
    }

    /// Writes about `rows_max` rows that the store lacks, and the position if it is reached. Returns
    /// whether there is more to write. Does nothing while a commit is under way.
    pub(crate) fn store_some(&mut self, rows_max: usize) -> Result<bool, BoxError> {
        if self.committing.is_some() {
            return Ok(false);
        }
        let mut left = rows_max.saturating_sub(self.store_fed(rows_max)?);
        loop {
            let more = !self.fed.is_empty() || !self.unstored.is_empty();
            if !self.fed.is_empty() || (left == 0 && more) {
                return Ok(true);
            }
            let count = left.min(BATCH_ROWS_MAX).min(self.unstored.len());
            self.store_batch(count)?;
            left -= count;
            if self.unstored.is_empty() {
                return Ok(false);
            }
        }
    }

    /// Writes the first `count` unstored rows and the position that is reached with them.
    fn store_batch(&mut self, count: usize) -> Result<(), BoxError> {
        self.writes.clear();
        for place in self.unstored.iter().take(count) {
            let row = self.rows.at(*place);
            let content = row.owed.as_deref().unwrap_or(&row.content);
            let value = encode(&self.codec, content, &mut self.buffer)?;
            self.writes.set(&row.key, value);
        }
        let stored_count = self.stored_count + count as u64;
        let reached = self.marks.iter().take_while(|mark| mark.stored_count <= stored_count);
        let (marks, position, as_of) = reached
            .fold((0, None, self.as_of_ms), |(n, _, as_of), mark| {
                (n + 1, Some(mark.position), mark.as_of_ms.or(as_of))
            });
        if let Some(position) = position {
            self.writes.set_position(position);
        }
        if let Some(as_of) = as_of {
            self.writes.set_meta(AS_OF, &as_of.to_be_bytes());
            self.as_of_ms = None;
        }
        if !self.writes.is_empty() {
            self.store.write(&self.writes)?;
        }
        // Only what was written is forgotten: after an error the rows are still unstored.
        self.marks.drain(..marks);
        self.stored_count = stored_count;
        for place in self.unstored.drain(..count) {
            let row = self.rows.at_mut(place);
            row.unstored = false;
            row.owed = None;
        }
        Ok(())
    }

    /// Drops everything that the store does not hold. The changelog is then to be read from
    /// [`Store::position`] on.
    pub(crate) fn forget(&mut self) {
        self.rows.clear();
        self.dirty.clear();
        self.committing = None;
        self.unstored.clear();
        self.stored_count = 0;
        self.fed.clear();
        self.fed_rows = 0;
        self.marks.clear();
        self.as_of_ms = None;
    }

    /// Writes what is unstored, and gives up the store, which other handles of the table may still
    /// try to reach: they are refused from here on. `path` is for their error.
    pub(crate) fn detach(&mut self, path: &Path) -> Result<(), BoxError> {
        self.committing = None;
        while self.store_some(usize::MAX)? {}
        let closed = Box::new(ClosedStore(path.to_owned()));
        let store = std::mem::replace(&mut self.store, closed);
        self.forget();
        Ok(store.close()?)
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }
}

fn encode<'a, V>(
    codec: &AnyCodec<V>,
    content: &'a Content<V>,
    buffer: &'a mut Vec<u8>,
) -> Result<Option<&'a [u8]>, BoxError> {
    match content {
        Content::Absent => Ok(None),
        Content::Encoded(bytes) => Ok(Some(bytes)),
        Content::Decoded(value) => {
            buffer.clear();
            codec.encode(value, buffer)?;
            Ok(Some(buffer))
        }
    }
}

#[cfg(test)]
mod tests;
