//! Rows in key order. The index has no order: the first scan sorts all keys, and from then on writes
//! keep the sorted set up to date.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    ops::Bound,
};

use super::{BLOCK_HEAD, Entry, Kind, LogStore, Place, Row, SmallKey, segment::SEGMENT_HEAD};
use crate::{StoreError, store::memory::is_empty};

/// Keys taken from the sorted set at a time.
const KEYS_PER_STEP: usize = 256;

struct Scan<'a> {
    store: &'a LogStore,
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
    keys: VecDeque<SmallKey>,
}

pub(super) fn scan<'a>(
    store: &'a LogStore,
    range: (Bound<&[u8]>, Bound<&[u8]>),
) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a> {
    if is_empty(range) {
        return Box::new(std::iter::empty());
    }
    if let Err(error) =
        store.usable().and_then(|()| store.sort().map_err(store.failure("iterating")))
    {
        return Box::new(std::iter::once(Err(error)));
    }
    let (from, to) = (range.0.map(<[u8]>::to_vec), range.1.map(<[u8]>::to_vec));
    Box::new(Scan { store, from, to, keys: VecDeque::new() })
}

impl LogStore {
    /// Sorts all keys, if that was not done before.
    fn sort(&self) -> io::Result<()> {
        let mut order = self.order.borrow_mut();
        if order.is_some() {
            return Ok(());
        }
        let mut keys = Vec::with_capacity(self.index.len());
        let mut block = vec![];
        for segment in &self.segments {
            let mut at = SEGMENT_HEAD;
            while segment.read_block(at, &mut block)?.is_some() {
                let mut done = 0;
                while let Some((entry, len)) = Entry::decode(&block[done..]) {
                    let place =
                        Place { segment: segment.number, at: at + (BLOCK_HEAD + done) as u32 };
                    let hash = self.hasher.hash(entry.key);
                    if entry.kind == Kind::Put && self.index.places(hash).any(|live| live == place)
                    {
                        keys.push(SmallKey::from(entry.key));
                    }
                    done += len;
                }
                at += (BLOCK_HEAD + block.len()) as u32;
            }
        }
        keys.sort_unstable();
        *order = Some(keys.into_iter().collect::<BTreeSet<_>>());
        Ok(())
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(key) = self.keys.pop_front() {
                match self.store.value(&key) {
                    Ok(Some(value)) => return Some(Ok(((&*key).into(), value))),
                    Ok(None) => continue,
                    Err(error) => return Some(Err(self.store.failure("iterating")(error))),
                }
            }
            let (from, to) = (self.from.as_ref().map(|b| &**b), self.to.as_ref().map(|b| &**b));
            if is_empty((from, to)) {
                return None;
            }
            let order = self.store.order.borrow();
            let keys = order.as_ref()?.range::<[u8], _>((from, to)).take(KEYS_PER_STEP);
            self.keys.extend(keys.cloned());
            let last = self.keys.back()?;
            self.from = Bound::Excluded(last.to_vec());
        }
    }
}
