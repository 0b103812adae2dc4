//! A store that lives and dies with the process.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use super::{Row, Slice, Store, Writes};
use crate::StoreError;

/// Rows in an ordered map in memory. After a restart the table is read back from its changelog.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: BTreeMap<Slice, Slice>,
    meta: HashMap<String, Slice>,
    position: Option<i64>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Slice>, StoreError> {
        Ok(self.rows.get(key).cloned())
    }

    fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        for (key, value) in writes.rows() {
            match value {
                Some(value) => self.rows.insert(key.into(), value.into()),
                None => self.rows.remove(key),
            };
        }
        self.meta.extend(writes.meta().map(|(name, value)| (name.to_owned(), value.clone())));
        self.position = writes.position().or(self.position);
        Ok(())
    }

    fn scan<'a>(
        &'a self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a> {
        if is_empty(range) {
            return Box::new(std::iter::empty());
        }
        Box::new(
            self.rows.range::<[u8], _>(range).map(|(key, value)| Ok((key.clone(), value.clone()))),
        )
    }

    fn position(&self) -> Option<i64> {
        self.position
    }

    fn meta(&self, name: &str) -> Result<Option<Slice>, StoreError> {
        Ok(self.meta.get(name).cloned())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        *self = Self::new();
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// `BTreeMap::range` panics on a range that ends before it starts.
pub(super) fn is_empty(range: (Bound<&[u8]>, Bound<&[u8]>)) -> bool {
    use Bound::{Excluded, Included};
    match range {
        (Included(start), Included(end)) => start > end,
        (Included(start), Excluded(end)) | (Excluded(start), Included(end) | Excluded(end)) => {
            start >= end
        }
        _ => false,
    }
}
