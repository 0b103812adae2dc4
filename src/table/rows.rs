//! Rows in memory: a slab of them, an index by key, and a clock that evicts clean ones.

use crate::{
    index::{Index, KeyHasher},
    small_key::SmallKey,
};

/// Rows looked at per insertion while the cache is over its limit: bounds the cost of one insertion.
const EVICTION_STEPS_MAX: usize = 8;

/// A row's value.
pub(super) enum Content<V> {
    /// There is no such row.
    Absent,
    /// As bytes, not decoded yet.
    Encoded(Box<[u8]>),
    /// As callbacks see it.
    Decoded(V),
}

pub(super) struct Row<V> {
    pub(super) key: SmallKey,
    pub(super) content: Content<V>,
    /// What the store is owed, while `content` is newer and not committed.
    pub(super) owed: Option<Box<Content<V>>>,
    pub(super) dirty: bool,
    pub(super) unstored: bool,
    /// Read since the clock's hand last passed.
    touched: bool,
    in_use: bool,
    /// Bytes outside of this struct, as they were last counted; of a decoded value an estimate.
    heap_bytes: u32,
}

pub(super) struct Rows<V> {
    slab: Vec<Row<V>>,
    free: Vec<u32>,
    index: Index<u32>,
    hasher: KeyHasher,
    hand: usize,
    /// Heap bytes of all rows.
    heap_bytes: usize,
    bytes_max: usize,
}

impl<V> Rows<V> {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            slab: vec![],
            free: vec![],
            index: Index::new(),
            hasher: KeyHasher::default(),
            hand: 0,
            heap_bytes: 0,
            bytes_max,
        }
    }

    pub(super) fn hash(&self, key: &[u8]) -> u32 {
        self.hasher.hash(key)
    }

    pub(super) fn find(&mut self, hash: u32, key: &[u8]) -> Option<u32> {
        let place = self.index.find(hash, |place| *self.slab[place as usize].key == *key)?;
        self.slab[place as usize].touched = true;
        Some(place)
    }

    pub(super) fn is_at(&self, place: u32, key: &[u8]) -> bool {
        self.slab.get(place as usize).is_some_and(|row| row.in_use && *row.key == *key)
    }

    /// The row's place, made with no value if there is none.
    pub(super) fn find_or_insert(&mut self, key: &[u8]) -> u32 {
        let hash = self.hash(key);
        self.find(hash, key).unwrap_or_else(|| self.insert(hash, key, Content::Absent))
    }

    /// Adds a row that [`find`](Self::find) did not find. May evict others.
    pub(super) fn insert(&mut self, hash: u32, key: &[u8], content: Content<V>) -> u32 {
        self.evict_some();
        let key = SmallKey::from(key);
        let heap_bytes = key.heap_bytes() + content.heap_bytes();
        self.heap_bytes += heap_bytes;
        let row = Row {
            key,
            content,
            owed: None,
            dirty: false,
            unstored: false,
            touched: true,
            in_use: true,
            heap_bytes: heap_bytes as u32,
        };
        let place = if let Some(place) = self.free.pop() {
            self.slab[place as usize] = row;
            place
        } else {
            self.slab.push(row);
            (self.slab.len() - 1) as u32
        };
        self.index.insert(hash, place);
        place
    }

    /// Replaces a row's value and counts its bytes.
    pub(super) fn replace(&mut self, place: u32, content: Content<V>) {
        self.note_value_bytes(place, content.heap_bytes());
        self.slab[place as usize].content = content;
    }

    /// Notes how long a row's value is when it is encoded: what a decoded value takes beside its own
    /// size is about that.
    pub(super) fn note_value_bytes(&mut self, place: u32, bytes: usize) {
        let row = &mut self.slab[place as usize];
        let heap_bytes = row.key.heap_bytes() + bytes;
        self.heap_bytes = self.heap_bytes + heap_bytes - row.heap_bytes as usize;
        row.heap_bytes = heap_bytes as u32;
    }

    pub(super) fn at(&self, place: u32) -> &Row<V> {
        &self.slab[place as usize]
    }

    pub(super) fn at_mut(&mut self, place: u32) -> &mut Row<V> {
        &mut self.slab[place as usize]
    }

    /// All rows, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Row<V>> {
        self.slab.iter().filter(|row| row.in_use)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.bytes_max);
    }

    /// Bytes of memory that the rows take.
    pub(super) fn bytes(&self) -> usize {
        let used = self.slab.len() - self.free.len();
        used * size_of::<Row<V>>() + self.heap_bytes + self.index.bytes()
    }

    fn evict_some(&mut self) {
        for _ in 0..EVICTION_STEPS_MAX.min(self.slab.len()) {
            if self.bytes() <= self.bytes_max {
                return;
            }
            let place = self.hand;
            self.hand = (self.hand + 1) % self.slab.len();
            let row = &mut self.slab[place];
            if !row.in_use || row.dirty || row.unstored {
                continue;
            }
            if std::mem::take(&mut row.touched) {
                continue;
            }
            self.evict(place);
        }
    }

    fn evict(&mut self, place: usize) {
        let hash = self.hash(&self.slab[place].key);
        self.index.remove(hash, place as u32);
        let row = &mut self.slab[place];
        self.heap_bytes -= row.heap_bytes as usize;
        row.in_use = false;
        row.key = SmallKey::EMPTY;
        row.content = Content::Absent;
        self.free.push(place as u32);
    }
}

impl<V> Content<V> {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Encoded(bytes) => bytes.len(),
            Self::Absent | Self::Decoded(_) => 0,
        }
    }
}
