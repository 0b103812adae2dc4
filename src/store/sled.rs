//! The default store: sled, one database per table partition.
//!
//! Why one database each, not one tree each in a shared database: a partition that leaves is deleted
//! as a folder; a corrupt file costs one partition, not all; sled's folder lock then means exactly
//! "this partition is open", so that two processors may share a state directory as long as they own
//! different partitions; and workers do not contend for one log. The price, one log buffer each
//! (512 KiB), is bounded: no flusher thread runs, and the page cache is small because the table
//! above keeps its own cache of rows.
//!
//! What sled is bad at, and what is done about it: large batches cost gigabytes and stall readers, and
//! small ones cost a quarter more than single rows, so rows are written one by one; its durability is
//! not relied on, the changelog is the truth. Rows are written before the position, into one log, so
//! that what a crash leaves is a prefix. A row at a random place costs three times one in key order:
//! the engine fills empty stores by way of a log (`store/staged.rs`).

use std::{
    io,
    ops::Bound,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{Row, Slice, Store, Writes, memory::is_empty};
use crate::StoreError;

/// Version of the layout below, kept in the metadata.
const FORMAT: u32 = 1;

/// How long to wait for the lock of a database that may just have been closed, and how often to look.
const LOCK_WAIT: Duration = Duration::from_secs(1);
const LOCK_LOOK: Duration = Duration::from_millis(5);

/// The tree of the rows.
const ROWS: &str = "rows";
/// Metadata keys of our own; those of [`Writes::set_meta`] have a prefix that keeps them apart.
const FORMAT_KEY: &[u8] = b"format";
const POSITION_KEY: &[u8] = b"position";
const USER_PREFIX: &str = "user:";

/// A table partition in a sled database of its own.
pub struct SledStore {
    path: PathBuf,
    db: sled::Db,
    rows: sled::Tree,
    meta: sled::Tree,
    position: Option<i64>,
}

impl SledStore {
    /// Opens the store in the folder `path`, which is made if need be. `cache_bytes_max` bounds
    /// sled's page cache.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] if it is open elsewhere, [`StoreError::Corrupt`] and
    /// [`StoreError::Format`] if its files cannot be used, [`StoreError::Io`] otherwise.
    pub fn open(path: &Path, cache_bytes_max: u64) -> Result<Self, StoreError> {
        let fail = |error| failure(path, "opening", error);
        std::fs::create_dir_all(path).map_err(|error| fail(error.into()))?;
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(cache_bytes_max)
            .flush_every_ms(None)
            .mode(sled::Mode::HighThroughput);
        let db = open_unlocked(&config).map_err(fail)?;
        let rows = db.open_tree(ROWS).map_err(fail)?;
        let meta = db.open_tree("meta").map_err(fail)?;
        let mut store = Self { path: path.to_owned(), db, rows, meta, position: None };
        store.check_format()?;
        store.position = store.read_position()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let found = self.meta.get(FORMAT_KEY).map_err(|error| self.failure("reading", error))?;
        let format = FORMAT.to_be_bytes();
        match found {
            None if self.rows.is_empty() => {
                self.meta
                    .insert(FORMAT_KEY, &format)
                    .map_err(|error| self.failure("writing", error))?;
                Ok(())
            }
            Some(found) if found == format => Ok(()),
            other => {
                let found = match other.as_deref().map(<[u8; 4]>::try_from) {
                    Some(Ok(bytes)) => u32::from_be_bytes(bytes).to_string(),
                    Some(Err(_)) => "unreadable".to_owned(),
                    None => "none".to_owned(),
                };
                Err(StoreError::Format { path: self.path.clone(), found, expected: FORMAT })
            }
        }
    }

    fn read_position(&self) -> Result<Option<i64>, StoreError> {
        let bytes = self.meta.get(POSITION_KEY).map_err(|error| self.failure("reading", error))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let Ok(bytes) = <[u8; 8]>::try_from(&*bytes) else {
            let detail = format!("a position of {} bytes", bytes.len());
            return Err(StoreError::Corrupt { path: self.path.clone(), detail });
        };
        Ok(Some(i64::from_be_bytes(bytes)))
    }

    fn failure(&self, action: &'static str, error: sled::Error) -> StoreError {
        failure(&self.path, action, error)
    }

    /// Sets or deletes a row.
    pub(super) fn set(&self, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
        let set = match value {
            Some(value) => self.rows.insert(key, value),
            None => self.rows.remove(key),
        };
        set.map(drop).map_err(|error| self.failure("writing", error))
    }
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Slice>, StoreError> {
        let row = self.rows.get(key).map_err(|error| self.failure("reading", error))?;
        Ok(row.map(Slice))
    }

    fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        writes.rows().try_for_each(|(key, value)| self.set(key, value))?;
        let fail = |error| failure(&self.path, "writing", error);
        for (name, value) in writes.meta() {
            self.meta.insert(format!("{USER_PREFIX}{name}"), value.0.clone()).map_err(fail)?;
        }
        if let Some(position) = writes.position() {
            self.meta.insert(POSITION_KEY, &position.to_be_bytes()).map_err(fail)?;
            self.position = Some(position);
        }
        Ok(())
    }

    fn scan<'a>(
        &'a self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a> {
        if is_empty(range) {
            return Box::new(std::iter::empty());
        }
        Box::new(self.rows.range::<&[u8], _>(range).map(|row| match row {
            Ok((key, value)) => Ok((Slice(key), Slice(value))),
            Err(error) => Err(self.failure("iterating", error)),
        }))
    }

    fn position(&self) -> Option<i64> {
        self.position
    }

    fn meta(&self, name: &str) -> Result<Option<Slice>, StoreError> {
        let value = self.meta.get(format!("{USER_PREFIX}{name}"));
        Ok(value.map_err(|error| self.failure("reading", error))?.map(Slice))
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.db.flush().map(drop).map_err(|error| self.failure("flushing", error))
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        // The position goes first: rows without a position are read back, never trusted.
        self.meta.clear().map_err(|error| self.failure("clearing", error))?;
        self.position = None;
        if !self.rows.is_empty() {
            // Page by page, where `Tree::clear` removes row by row.
            let fail = |error| failure(&self.path, "clearing", error);
            self.db.drop_tree(ROWS).map_err(fail)?;
            self.rows = self.db.open_tree(ROWS).map_err(fail)?;
        }
        self.check_format()
    }

    fn close(mut self: Box<Self>) -> Result<(), StoreError> {
        self.flush()
    }
}

impl std::fmt::Debug for SledStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledStore")
            .field("path", &self.path)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// Opens a database, and waits a moment for one that was just closed here: sled's own threads may hold its files a little
/// longer.
fn open_unlocked(config: &sled::Config) -> Result<sled::Db, sled::Error> {
    let started = Instant::now();
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if is_lock(&error) && started.elapsed() < LOCK_WAIT => {
                std::thread::sleep(LOCK_LOOK);
            }
            opened => return opened,
        }
    }
}

fn failure(path: &Path, action: &'static str, error: sled::Error) -> StoreError {
    let path = path.to_owned();
    match error {
        sled::Error::Io(source) if is_lock(&source) => StoreError::Locked { path },
        sled::Error::Io(source) => StoreError::Io { path, action, source },
        sled::Error::Unsupported(what) => StoreError::Io {
            path,
            action,
            source: io::Error::new(io::ErrorKind::Unsupported, what),
        },
        error => StoreError::Corrupt { path, detail: error.to_string() },
    }
}

/// sled reports a folder lock that is held as an error of kind `Other` or `WouldBlock` that says so.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.to_string().contains("could not acquire lock")
}
