//! A sled store that is filled by way of a log: what the engine uses where [`SledStore`] is asked for.
//!
//! Why: sled takes some ten microseconds for a row at a random place and a third of that for rows in key order, and a
//! table that is read back from its changelog comes in no order at all. So an empty store that expects many rows takes
//! them into a [`LogStore`] beside it, which costs less than a microsecond per row, and is complete when that is. Later,
//! a few rows at a time and in key order, they move to sled, and the log is deleted.
//!
//! Rules:
//! - While there is a stage, it is the store: it has all rows and the position. Sled has neither; what is in
//!   it is a beginning of the rows in key order, and is worth nothing without the stage.
//! - Writes to keys that have moved go to both.
//! - Sled gets the position when all rows have moved and are on disk; only then is the stage deleted. A crash before
//!   that makes the move begin again, one after it leaves a stage that is deleted by the next opening.
//! - A stage has at most [`STAGE_ROWS_MAX`] rows, which bounds its index in memory: where more come, it moves with the
//!   writes, faster than they come.

use std::{
    ops::Bound,
    path::{Path, PathBuf},
};

use super::{LogStore, Row, SledStore, Slice, Store, Writes};
use crate::StoreError;

/// The stage's folder in sled's.
const FOLDER: &str = "stage";
/// Fewer rows than this go to sled at once.
const STAGE_ROWS_MIN: u64 = 10_000;
/// With more rows than this the stage moves, whether or not there is time.
const STAGE_ROWS_MAX: usize = 1 << 20;
/// Rows that move for each row that is written to a stage that is too large.
const MOVES_PER_WRITE: usize = 4;

/// A table partition in sled, or on its way there.
pub(crate) struct StagedStore {
    sled: SledStore,
    stage: Option<Stage>,
    path: PathBuf,
    stage_rows_max: usize,
}

struct Stage {
    log: LogStore,
    /// Keys up to here have moved.
    moved: Option<Vec<u8>>,
}

impl StagedStore {
    /// Opens the store in the folder `path`, which is made if need be. `cache_bytes_max` bounds sled's page cache.
    ///
    /// # Errors
    ///
    /// As those of [`SledStore::open`].
    pub(crate) fn open(path: &Path, cache_bytes_max: u64) -> Result<Self, StoreError> {
        // Sled's lock is the lock of both.
        let mut sled = SledStore::open(path, cache_bytes_max)?;
        let path = path.join(FOLDER);
        let mut stage = None;
        if path.exists() {
            if sled.position().is_none() {
                stage = Some(Stage { log: LogStore::open(&path)?, moved: None });
            } else {
                delete(&path)?;
            }
        }
        if sled.position().is_none() {
            // Rows without a position: from here on it is not known which of them were deleted.
            sled.clear()?;
        }
        Ok(Self { sled, stage, path, stage_rows_max: STAGE_ROWS_MAX })
    }

    fn store(&self) -> &dyn Store {
        match &self.stage {
            Some(stage) => &stage.log,
            None => &self.sled,
        }
    }

    /// Moves up to `rows_max` rows. Returns whether there are more.
    fn move_some(&mut self, rows_max: usize) -> Result<bool, StoreError> {
        let Some(stage) = &mut self.stage else { return Ok(false) };
        let from = match &stage.moved {
            Some(moved) => Bound::Excluded(&**moved),
            None => Bound::Unbounded,
        };
        let mut last = None;
        let mut count = 0;
        for row in stage.log.scan((from, Bound::Unbounded)).take(rows_max) {
            let (key, value) = row?;
            self.sled.set(&key, Some(&value))?;
            last = Some(key);
            count += 1;
        }
        if let Some(last) = last {
            stage.moved = Some(last.to_vec());
        }
        if count == rows_max {
            return Ok(true);
        }
        let mut rest = Writes::new();
        for (name, value) in stage.log.all_meta() {
            rest.set_meta(name, value);
        }
        if let Some(position) = stage.log.position() {
            self.sled.flush()?;
            rest.set_position(position);
        }
        self.sled.write(&rest)?;
        self.sled.flush()?;
        self.stage = None;
        delete(&self.path)?;
        Ok(false)
    }
}

impl Store for StagedStore {
    fn get(&self, key: &[u8]) -> Result<Option<Slice>, StoreError> {
        self.store().get(key)
    }

    fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        let Some(stage) = &mut self.stage else { return self.sled.write(writes) };
        stage.log.write(writes)?;
        if let Some(moved) = &stage.moved {
            for (key, value) in writes.rows().filter(|(key, _)| *key <= &**moved) {
                self.sled.set(key, value)?;
            }
        }
        if stage.log.rows() > self.stage_rows_max {
            self.move_some(MOVES_PER_WRITE * writes.len().max(1))?;
        }
        Ok(())
    }

    fn scan<'a>(
        &'a self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a> {
        self.store().scan(range)
    }

    fn position(&self) -> Option<i64> {
        self.store().position()
    }

    fn meta(&self, name: &str) -> Result<Option<Slice>, StoreError> {
        self.store().meta(name)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        match &mut self.stage {
            Some(stage) => stage.log.flush(),
            None => self.sled.flush(),
        }
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        if let Some(stage) = self.stage.take() {
            drop(stage);
            delete(&self.path)?;
        }
        self.sled.clear()
    }

    fn expect_rows(&mut self, rows: u64) -> Result<(), StoreError> {
        if rows >= STAGE_ROWS_MIN && self.stage.is_none() && self.sled.position().is_none() {
            self.sled.clear()?;
            self.stage = Some(Stage { log: LogStore::open(&self.path)?, moved: None });
        }
        Ok(())
    }

    fn settle(&mut self, rows_max: usize) -> Result<bool, StoreError> {
        self.move_some(rows_max)
    }

    fn close(self: Box<Self>) -> Result<(), StoreError> {
        if let Some(stage) = self.stage {
            Box::new(stage.log).close()?;
        }
        Box::new(self.sled).close()
    }
}

fn delete(path: &Path) -> Result<(), StoreError> {
    std::fs::remove_dir_all(path).map_err(|source| StoreError::Io {
        path: path.to_owned(),
        action: "deleting a stage",
        source,
    })
}

#[cfg(test)]
mod tests;
