//! A fully replicated table, read by all workers: lookups and views.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::RowTable;
use crate::{BoxError, Codec, Hasher, Result, Store, codec::AnyCodec};

/// All partitions of a table. A key's partition is locked for the time of one read or write; a
/// callback's read never waits for another partition's.
pub(crate) struct SharedTable {
    partitions: Vec<Mutex<RowTable<Undecoded>>>,
    hasher: Hasher,
}

/// Rows here stay encoded.
#[derive(Debug)]
pub(crate) enum Undecoded {}

impl SharedTable {
    /// One store per partition, in order. There must be at least one.
    pub(crate) fn new(stores: Vec<Box<dyn Store>>, hasher: Hasher, cache_bytes_max: usize) -> Self {
        let share = cache_bytes_max / stores.len().max(1);
        let partitions = stores
            .into_iter()
            .map(|store| Mutex::new(RowTable::new(store, undecoded(), share)))
            .collect();
        Self { partitions, hasher }
    }

    /// Runs `read` on the row's bytes.
    pub(crate) fn read<T>(
        &self,
        key: &[u8],
        read: impl FnOnce(Option<&[u8]>) -> Result<T>,
    ) -> Result<T> {
        let partition = self.hasher.partition(key, self.partitions.len() as i32);
        read(self.partition(partition as usize).raw(key)?)
    }

    /// The rows of one partition, for feeding and storing.
    pub(crate) fn partition(&self, partition: usize) -> MutexGuard<'_, RowTable<Undecoded>> {
        // A reader that panicked left the rows whole: each change is complete before user code runs.
        self.partitions[partition].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Closes all stores. Whoever still holds the table is refused from here on.
    pub(crate) fn close(&self, path: &Path) -> Result<()> {
        (0..self.partitions.len()).try_for_each(|place| self.partition(place).detach(path))
    }
}

/// The codec of tables whose rows are not decoded here.
pub(crate) fn undecoded() -> AnyCodec<Undecoded> {
    AnyCodec::Static(&NoCodec)
}

struct NoCodec;

impl Codec<Undecoded> for NoCodec {
    fn encode(&self, value: &Undecoded, _: &mut Vec<u8>) -> Result {
        match *value {}
    }

    fn decode(&self, _: &[u8]) -> Result<Undecoded, BoxError> {
        Err("rows of this table are not decoded here".into())
    }
}
