//! Local stores: what a table partition keeps on this machine.
//!
//! Rules of every store:
//! - The changelog in Kafka is the truth; a store is a copy that may lag behind, never run ahead.
//! - [`Store::position`] is the changelog offset up to which the store is complete: the next one to
//!   read. Rows of one [`Writes`] become durable no later than its position, so a crash leaves a
//!   store that is repaired by reading forward from its position.
//! - Metadata has a key space of its own: no user key can touch it.
//! - Iteration is in the byte order of keys.

mod closed;
mod log;
mod memory;
mod sled;
mod slice;
mod staged;
mod writes;

use std::ops::Bound;

pub(crate) use self::{closed::ClosedStore, staged::StagedStore};
pub use self::{log::LogStore, memory::MemoryStore, sled::SledStore, slice::Slice, writes::Writes};
use crate::StoreError;

/// One row as iteration gives it: key and value.
pub(crate) type Row = (Slice, Slice);

/// The local copy of one table partition. See the module's rules.
///
/// A store is used by one thread at a time and may move between threads.
pub trait Store: Send {
    /// The row's value, or `None`.
    fn get(&self, key: &[u8]) -> Result<Option<Slice>, StoreError>;

    /// Applies rows in order, then metadata, then the position.
    fn write(&mut self, writes: &Writes) -> Result<(), StoreError>;

    /// The rows whose keys lie between the bounds, in key order.
    fn scan<'a>(
        &'a self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a>;

    /// The next changelog offset to read; `None` for a store that has none yet.
    fn position(&self) -> Option<i64>;

    /// Private metadata written with [`Writes::set_meta`].
    fn meta(&self, name: &str) -> Result<Option<Slice>, StoreError>;

    /// Makes everything written so far survive a crash of the machine.
    fn flush(&mut self) -> Result<(), StoreError>;

    /// Forgets all rows, metadata and the position.
    fn clear(&mut self) -> Result<(), StoreError>;

    /// About so many rows are going to be written to an empty store. A store for which that makes a difference may
    /// prepare for it.
    ///
    /// # Errors
    ///
    /// As those of [`write`](Self::write).
    fn expect_rows(&mut self, rows: u64) -> Result<(), StoreError> {
        let _ = rows;
        Ok(())
    }

    /// Does about as much as writing so many rows costs of what was put off until there is time. Returns whether
    /// there is more. Nothing is wrong with a store that is not given the time.
    ///
    /// # Errors
    ///
    /// As those of [`write`](Self::write).
    fn settle(&mut self, rows_max: usize) -> Result<bool, StoreError> {
        let _ = rows_max;
        Ok(false)
    }

    /// Flushes and releases the store, so that another process may open it.
    fn close(self: Box<Self>) -> Result<(), StoreError>;
}

/// The bounds of all keys that start with `prefix`.
///
/// The upper bound is the prefix with its last byte below 255 raised by one; a prefix of nothing
/// but 255 has none.
pub(crate) fn prefix_bounds(prefix: &[u8]) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return (Bound::Included(prefix.to_vec()), Bound::Excluded(end));
        }
    }
    (Bound::Included(prefix.to_vec()), Bound::Unbounded)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod cost;
