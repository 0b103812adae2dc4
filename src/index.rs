//! From the hash of a key to the place of its row.
//!
//! Open addressing with linear probing; entries are small (8 bytes where a place has 4), so that a
//! lookup usually costs one cache miss here and one at the row. The key itself is compared at the
//! row, and only when all 32 bits of the hash agree. Deletion shifts later entries back: there are
//! no tombstones.

use std::hash::{BuildHasher, Hasher};

const ENTRIES_MIN: usize = 16;

/// Hashes keys, differently in each process: nobody can choose keys that collide.
#[derive(Default)]
pub(crate) struct KeyHasher(foldhash::fast::RandomState);

impl KeyHasher {
    pub(crate) fn hash(&self, key: &[u8]) -> u32 {
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        let hash = hasher.finish();
        (hash ^ (hash >> 32)) as u32
    }
}

/// Where a row is.
pub(crate) trait Place: Copy + PartialEq {
    /// A place where no row is.
    const NONE: Self;
}

impl Place for u32 {
    const NONE: Self = u32::MAX;
}

#[derive(Clone, Copy)]
struct Entry<P> {
    hash: u32,
    place: P,
}

impl<P: Place> Entry<P> {
    const VACANT: Self = Self { hash: 0, place: P::NONE };

    fn is_vacant(&self) -> bool {
        self.place == P::NONE
    }
}

/// A multiset of (hash, place).
pub(crate) struct Index<P> {
    /// A power of two of them, at most three quarters in use.
    entries: Vec<Entry<P>>,
    len: usize,
}

impl<P: Place> Index<P> {
    pub(crate) fn new() -> Self {
        Self { entries: vec![Entry::VACANT; ENTRIES_MIN], len: 0 }
    }

    /// The first place under `hash` that `is_it` accepts.
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(P) -> bool) -> Option<P> {
        self.places(hash).find(|place| is_it(*place))
    }

    /// All places under `hash`.
    pub(crate) fn places(&self, hash: u32) -> impl Iterator<Item = P> {
        let mask = self.entries.len() - 1;
        let mut at = hash as usize & mask;
        std::iter::from_fn(move || {
            let entry = self.entries[at];
            at = (at + 1) & mask;
            (!entry.is_vacant()).then_some(entry)
        })
        .filter(move |entry| entry.hash == hash)
        .map(|entry| entry.place)
    }

    pub(crate) fn insert(&mut self, hash: u32, place: P) {
        if (self.len + 1) * 4 > self.entries.len() * 3 {
            self.grow();
        }
        self.len += 1;
        place_entry(&mut self.entries, Entry { hash, place });
    }

    /// Moves the row at `from` to `to`. Returns whether there was one.
    pub(crate) fn replace(&mut self, hash: u32, from: P, to: P) -> bool {
        let Some(at) = self.entry(hash, from) else { return false };
        self.entries[at].place = to;
        true
    }

    /// Removes the row at `place`. Returns whether there was one.
    pub(crate) fn remove(&mut self, hash: u32, place: P) -> bool {
        let Some(mut hole) = self.entry(hash, place) else { return false };
        let mask = self.entries.len() - 1;
        self.len -= 1;
        // Move back whatever probed past the hole, until a gap ends the run.
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let entry = self.entries[at];
            if entry.is_vacant() {
                break;
            }
            let first = entry.hash as usize & mask;
            if (at.wrapping_sub(first) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = Entry::VACANT;
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory in use.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.len() * size_of::<Entry<P>>()
    }

    fn entry(&self, hash: u32, place: P) -> Option<usize> {
        let mask = self.entries.len() - 1;
        let mut at = hash as usize & mask;
        while self.entries[at].place != place {
            if self.entries[at].is_vacant() {
                return None;
            }
            at = (at + 1) & mask;
        }
        Some(at)
    }

    fn grow(&mut self) {
        let mut entries = vec![Entry::VACANT; self.entries.len() * 2];
        for entry in self.entries.iter().filter(|entry| !entry.is_vacant()) {
            place_entry(&mut entries, *entry);
        }
        self.entries = entries;
    }
}

fn place_entry<P: Place>(entries: &mut [Entry<P>], entry: Entry<P>) {
    let mask = entries.len() - 1;
    let mut at = entry.hash as usize & mask;
    while !entries[at].is_vacant() {
        at = (at + 1) & mask;
    }
    entries[at] = entry;
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few distinct hashes, so that runs collide and wrap.
        #[test]
        fn agrees_with_a_map(steps in proptest::collection::vec((any::<bool>(), 0_u32..64), 0..400)) {
            let hash = |place: u32| (place % 7).wrapping_mul(0x9e37_79b9) ^ (place % 3);
            let (mut index, mut model) = (Index::<u32>::new(), HashMap::new());
            for (insert, place) in steps {
                if insert && model.insert(place, place).is_none() {
                    index.insert(hash(place), place);
                } else if !insert && model.remove(&place).is_some() {
                    prop_assert!(index.remove(hash(place), place));
                }
                prop_assert_eq!(index.len(), model.len());
                for place in 0..64 {
                    let found = index.find(hash(place), |p| p == place).is_some();
                    prop_assert_eq!(found, model.contains_key(&place));
                }
            }
        }
    }
}
