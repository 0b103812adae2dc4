//! What the engine does with a table, whatever its values are.

use std::path::Path;

use super::RowTable;
use crate::{BoxError, Store};

/// The engine's face of a [`RowTable`]; see there for each method.
pub(crate) trait TableOps {
    fn feed(&mut self, key: &[u8], value: Option<&[u8]>);
    fn fed_to(&mut self, position: i64);
    fn caught_up(&mut self, as_of_ms: i64);
    fn as_of(&self) -> Option<i64>;
    fn begin_commit(&mut self);
    fn next_dirty(&mut self) -> Result<Option<(&[u8], Option<&[u8]>)>, BoxError>;
    fn advance(&mut self);
    fn end_commit(&mut self, position: Option<i64>);
    fn store_some(&mut self, rows_max: usize) -> Result<bool, BoxError>;
    fn forget(&mut self);
    fn raw(&mut self, key: &[u8]) -> Result<Option<&[u8]>, BoxError>;
    fn store(&self) -> &dyn Store;
    fn store_mut(&mut self) -> &mut dyn Store;
    fn dirty_rows(&self) -> usize;
    fn unstored_rows(&self) -> usize;
    /// Writes what is unstored, flushes and closes the store. Dirty rows are dropped.
    fn close(self: Box<Self>) -> Result<(), BoxError>;
}

impl<V: 'static> TableOps for RowTable<V> {
    fn feed(&mut self, key: &[u8], value: Option<&[u8]>) {
        RowTable::feed(self, key, value);
    }

    fn fed_to(&mut self, position: i64) {
        RowTable::fed_to(self, position);
    }

    fn caught_up(&mut self, as_of_ms: i64) {
        RowTable::caught_up(self, as_of_ms);
    }

    fn as_of(&self) -> Option<i64> {
        RowTable::as_of(self)
    }

    fn begin_commit(&mut self) {
        RowTable::begin_commit(self);
    }

    fn next_dirty(&mut self) -> Result<Option<(&[u8], Option<&[u8]>)>, BoxError> {
        RowTable::next_dirty(self)
    }

    fn advance(&mut self) {
        RowTable::advance(self);
    }

    fn end_commit(&mut self, position: Option<i64>) {
        RowTable::end_commit(self, position);
    }

    fn store_some(&mut self, rows_max: usize) -> Result<bool, BoxError> {
        RowTable::store_some(self, rows_max)
    }

    fn forget(&mut self) {
        RowTable::forget(self);
    }

    fn raw(&mut self, key: &[u8]) -> Result<Option<&[u8]>, BoxError> {
        RowTable::raw(self, key)
    }

    fn store(&self) -> &dyn Store {
        &*self.store
    }

    fn store_mut(&mut self) -> &mut dyn Store {
        &mut *self.store
    }

    fn dirty_rows(&self) -> usize {
        self.dirty.len()
    }

    fn unstored_rows(&self) -> usize {
        self.unstored.len() + self.fed_rows
    }

    fn close(self: Box<Self>) -> Result<(), BoxError> {
        let mut table = self;
        table.detach(Path::new(""))
    }
}
