//! Changes to a store.

use std::ops::Range;

use super::Slice;

/// Changes to a store, applied together by [`Store::write`](super::Store::write). Its memory is one
/// buffer, which is meant to be used again.
#[derive(Debug, Default)]
pub struct Writes {
    bytes: Vec<u8>,
    rows: Vec<RowAt>,
    position: Option<i64>,
    meta: Vec<(String, Slice)>,
}

#[derive(Debug)]
struct RowAt {
    key: Range<usize>,
    value: Option<Range<usize>>,
}

impl Writes {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a row.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.set(key, Some(value));
    }

    /// Deletes a row.
    pub fn delete(&mut self, key: &[u8]) {
        self.set(key, None);
    }

    /// Sets a row, or deletes it where there is no value.
    pub fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        let key = self.append(key);
        let value = value.map(|value| self.append(value));
        self.rows.push(RowAt { key, value });
    }

    /// Sets private metadata, which no row can touch.
    pub fn set_meta(&mut self, name: impl Into<String>, value: &[u8]) {
        self.meta.push((name.into(), value.into()));
    }

    /// Sets the position that is reached once the rows are applied. Without this it stays as it is.
    pub fn set_position(&mut self, position: i64) {
        self.position = Some(position);
    }

    /// The rows in the order of application; `None` deletes.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<&[u8]>)> {
        self.rows.iter().map(|row| {
            (&self.bytes[row.key.clone()], row.value.clone().map(|value| &self.bytes[value]))
        })
    }

    /// Private metadata to set.
    pub fn meta(&self) -> impl Iterator<Item = (&str, &Slice)> {
        self.meta.iter().map(|(name, value)| (&**name, value))
    }

    /// See [`set_position`](Self::set_position).
    pub fn position(&self) -> Option<i64> {
        self.position
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.meta.is_empty() && self.position.is_none()
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the changes, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
        self.position = None;
        self.meta.clear();
    }

    fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}
