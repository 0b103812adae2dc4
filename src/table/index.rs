//! From the hash of a key to the place of its row.
//!
//! Open addressing with linear probing; entries are 8 bytes, so that a lookup usually costs one
//! cache miss here and one at the row. The key itself is compared at the row, and only when all 32
//! bits of the hash agree. Deletion shifts later entries back: there are no tombstones.

/// No row lives at this place.
const EMPTY: u32 = u32::MAX;
const ENTRIES_MIN: usize = 16;

#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    place: u32,
}

const VACANT: Entry = Entry { hash: 0, place: EMPTY };

/// A multiset of (hash, place).
pub(super) struct Index {
    /// A power of two of them, at most three quarters in use.
    entries: Vec<Entry>,
    len: usize,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { entries: vec![VACANT; ENTRIES_MIN], len: 0 }
    }

    /// The first place under `hash` that `is_it` accepts.
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.entries.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let entry = self.entries[at];
            if entry.place == EMPTY {
                return None;
            }
            if entry.hash == hash && is_it(entry.place) {
                return Some(entry.place);
            }
            at = (at + 1) & mask;
        }
    }

    pub(super) fn insert(&mut self, hash: u32, place: u32) {
        if (self.len + 1) * 4 > self.entries.len() * 3 {
            self.grow();
        }
        self.len += 1;
        place_entry(&mut self.entries, Entry { hash, place });
    }

    pub(super) fn remove(&mut self, hash: u32, place: u32) {
        let mask = self.entries.len() - 1;
        let mut hole = hash as usize & mask;
        while self.entries[hole].place != place {
            if self.entries[hole].place == EMPTY {
                return;
            }
            hole = (hole + 1) & mask;
        }
        self.len -= 1;
        // Move back whatever probed past the hole, until a gap ends the run.
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let entry = self.entries[at];
            if entry.place == EMPTY {
                break;
            }
            let first = entry.hash as usize & mask;
            if (at.wrapping_sub(first) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = VACANT;
    }

    /// Bytes of memory in use.
    pub(super) fn bytes(&self) -> usize {
        self.entries.len() * size_of::<Entry>()
    }

    fn grow(&mut self) {
        let mut entries = vec![VACANT; self.entries.len() * 2];
        for entry in self.entries.iter().filter(|entry| entry.place != EMPTY) {
            place_entry(&mut entries, *entry);
        }
        self.entries = entries;
    }
}

fn place_entry(entries: &mut [Entry], entry: Entry) {
    let mask = entries.len() - 1;
    let mut at = entry.hash as usize & mask;
    while entries[at].place != EMPTY {
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
            let (mut index, mut model) = (Index::new(), HashMap::new());
            for (insert, place) in steps {
                if insert && model.insert(place, ()).is_none() {
                    index.insert(hash(place), place);
                } else if !insert && model.remove(&place).is_some() {
                    index.remove(hash(place), place);
                }
                prop_assert_eq!(index.len, model.len());
                for place in 0..64 {
                    let found = index.find(hash(place), |p| p == place).is_some();
                    prop_assert_eq!(found, model.contains_key(&place));
                }
            }
        }
    }
}
