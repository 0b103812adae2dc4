//! Owned keys: short ones inline, so that looking one up touches no second place in memory.

use std::{borrow::Borrow, cmp::Ordering, ops::Deref};

/// Keys up to this many bytes are held inline; the value makes [`SmallKey`] 24 bytes.
const INLINE_BYTES_MAX: usize = 22;

/// An owned key. Ordered by its bytes.
#[derive(Clone)]
pub(crate) enum SmallKey {
    Inline { len: u8, bytes: [u8; INLINE_BYTES_MAX] },
    Heap(Box<[u8]>),
}

impl SmallKey {
    pub(crate) const EMPTY: Self = Self::Inline { len: 0, bytes: [0; INLINE_BYTES_MAX] };

    /// Bytes held outside of the key itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline { .. } => 0,
            Self::Heap(bytes) => bytes.len(),
        }
    }
}

impl From<&[u8]> for SmallKey {
    fn from(key: &[u8]) -> Self {
        let mut bytes = [0; INLINE_BYTES_MAX];
        match bytes.get_mut(..key.len()) {
            Some(inline) => {
                inline.copy_from_slice(key);
                Self::Inline { len: key.len() as u8, bytes }
            }
            None => Self::Heap(key.into()),
        }
    }
}

impl Deref for SmallKey {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for SmallKey {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for SmallKey {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SmallKey {}

impl PartialOrd for SmallKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SmallKey {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}
