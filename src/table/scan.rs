//! Reading rows in key order, over memory and store together.

use std::{cmp::Ordering, ops::Bound};

use super::{RowTable, encode};
use crate::{BoxError, store::Slice};

/// A row as it is now: what is not committed yet included.
pub(crate) type Row = (Slice, Slice);

impl<V: 'static> RowTable<V> {
    /// Up to `rows_max` rows after `after` (or from the start of `range`), in key order.
    ///
    /// Costs time in proportion to the dirty and unstored rows: a caller that reads many pages first
    /// stores what it can.
    pub(crate) fn page(
        &mut self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        rows_max: usize,
    ) -> Result<Vec<Row>, BoxError> {
        self.store_fed(usize::MAX)?;
        let mut newer = vec![];
        for row in self.rows.iter() {
            if (row.dirty || row.unstored) && contains(range, &row.key) {
                let value = encode(&self.codec, &row.content, &mut self.buffer)?;
                newer.push((Slice::from(&*row.key), value.map(Slice::from)));
            }
        }
        newer.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut newer = newer.into_iter().peekable();
        let mut stored = self.store.scan(range).peekable();
        let mut page = vec![];
        while page.len() < rows_max {
            let order = match (newer.peek(), stored.peek()) {
                (None, None) => break,
                (_, Some(Err(_))) | (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some((new, _)), Some(Ok((old, _)))) => new.cmp(old),
            };
            if order == Ordering::Equal {
                stored.next();
            }
            if order.is_le() {
                if let Some((key, Some(value))) = newer.next() {
                    page.push((key, value));
                }
            } else if let Some(row) = stored.next() {
                page.push(row?);
            }
        }
        Ok(page)
    }
}

fn contains((from, to): (Bound<&[u8]>, Bound<&[u8]>), key: &[u8]) -> bool {
    (match from {
        Bound::Included(from) => key >= from,
        Bound::Excluded(from) => key > from,
        Bound::Unbounded => true,
    }) && match to {
        Bound::Included(to) => key <= to,
        Bound::Excluded(to) => key < to,
        Bound::Unbounded => true,
    }
}
