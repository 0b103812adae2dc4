//! The bytes of a log: blocks of entries.
//!
//! ```text
//! block   length of the entries u32, CRC-32 of the entries u32, entries
//! entry   kind u8, length of the key u32, length of the value u32, key, value
//! ```
//!
//! Numbers are little-endian. A block is applied whole or, where its end is missing or its checksum
//! is wrong, not at all.

/// Bytes before a block's entries.
pub(super) const BLOCK_HEAD: usize = 8;
/// Bytes before an entry's key.
pub(super) const ENTRY_HEAD: usize = 9;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A row: key and value.
    Put = 1,
    /// A deleted row: key.
    Delete = 2,
    /// Metadata: name and value.
    Meta = 3,
    /// The position: no key, 8 bytes.
    Position = 4,
}

/// The first bytes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) key_len: u32,
    pub(super) value_len: u32,
}

impl Head {
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let kind = match *bytes.first()? {
            1 => Kind::Put,
            2 => Kind::Delete,
            3 => Kind::Meta,
            4 => Kind::Position,
            _ => return None,
        };
        Some(Self { kind, key_len: number(bytes, 1)?, value_len: number(bytes, 5)? })
    }

    /// Bytes of the whole entry.
    pub(super) fn entry_len(&self) -> usize {
        ENTRY_HEAD + self.key_len as usize + self.value_len as usize
    }
}

/// An entry of a block that was read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) kind: Kind,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The entry at the start of `bytes`, and how long it is.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let head = Head::decode(bytes)?;
        let len = head.entry_len();
        let body = bytes.get(ENTRY_HEAD..len)?;
        let (key, value) = body.split_at(head.key_len as usize);
        Some((Self { kind: head.kind, key, value }, len))
    }
}

/// Appends an entry. Keys and values of 4 GiB and more do not come from Kafka.
pub(super) fn append(block: &mut Vec<u8>, kind: Kind, key: &[u8], value: &[u8]) {
    block.push(kind as u8);
    block.extend_from_slice(&(key.len() as u32).to_le_bytes());
    block.extend_from_slice(&(value.len() as u32).to_le_bytes());
    block.extend_from_slice(key);
    block.extend_from_slice(value);
}

/// Starts a block in an empty buffer.
pub(super) fn begin(block: &mut Vec<u8>) {
    block.clear();
    block.extend_from_slice(&[0; BLOCK_HEAD]);
}

/// Fills in the head of a block that [`begin`] started.
pub(super) fn finish(block: &mut [u8]) {
    let (head, entries) = block.split_at_mut(BLOCK_HEAD);
    let (len, crc) = head.split_at_mut(4);
    len.copy_from_slice(&(entries.len() as u32).to_le_bytes());
    crc.copy_from_slice(&crc32fast::hash(entries).to_le_bytes());
}

/// The length and the checksum of a block's entries. No length is no block: files may end in zeros
/// after a crash of the machine.
pub(super) fn block_head(bytes: [u8; BLOCK_HEAD]) -> Option<(usize, u32)> {
    let (len, crc) = (number(&bytes, 0)?, number(&bytes, 4)?);
    (len > 0).then_some((len as usize, crc))
}

/// The number at `at`.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
