//! What is left of a store that was closed while others could still reach it.

use std::{ops::Bound, path::PathBuf};

use super::{Row, Slice, Store, Writes};
use crate::StoreError;

/// Refuses everything.
pub(crate) struct ClosedStore(pub(crate) PathBuf);

impl ClosedStore {
    fn refuse<T>(&self) -> Result<T, StoreError> {
        Err(StoreError::Closed { path: self.0.clone() })
    }
}

impl Store for ClosedStore {
    fn get(&self, _: &[u8]) -> Result<Option<Slice>, StoreError> {
        self.refuse()
    }

    fn write(&mut self, _: &Writes) -> Result<(), StoreError> {
        self.refuse()
    }

    fn scan<'a>(
        &'a self,
        _: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a> {
        Box::new(std::iter::once(self.refuse()))
    }

    fn position(&self) -> Option<i64> {
        None
    }

    fn meta(&self, _: &str) -> Result<Option<Slice>, StoreError> {
        self.refuse()
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.refuse()
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        self.refuse()
    }

    fn close(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}
