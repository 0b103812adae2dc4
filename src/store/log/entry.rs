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
        let bytes: [u8; ENTRY_HEAD] = bytes.get(..ENTRY_HEAD)?.try_into().ok()?;
        let [kind, a, b, c, d, e, f, g, h] = bytes;
        let kind = match kind {
            1 => Kind::Put,
            2 => Kind::Delete,
            3 => Kind::Meta,
            4 => Kind::Position,
            _ => return None,
        };
        let key_len = u32::from_le_bytes([a, b, c, d]);
        let value_len = u32::from_le_bytes([e, f, g, h]);
        Some(Self { kind, key_len, value_len })
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
    let [a, b, c, d, e, f, g, h] = bytes;
    let len = u32::from_le_bytes([a, b, c, d]) as usize;
    (len > 0).then_some((len, u32::from_le_bytes([e, f, g, h])))
}
