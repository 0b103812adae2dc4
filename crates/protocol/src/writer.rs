//! The bytes of a message as they grow.
//!
//! Large byte fields (records above all) are spliced: the message becomes a list of parts, and the
//! field is one of them, shared and not copied.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{Error, Fault, Wire};

/// Byte fields from this size on are shared, smaller ones are copied.
const SPLICE_MIN: usize = 4096;

/// A message being written in one version.
#[derive(Debug, Default)]
pub struct Writer {
    parts: Vec<Bytes>,
    buf: BytesMut,
    version: i16,
    flexible: bool,
}

impl Writer {
    /// An empty message of the version.
    pub fn new(version: i16, flexible: bool) -> Self {
        Self { version, flexible, ..Self::default() }
    }

    /// The version that is written.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether lengths are compact and structs end in tagged fields (KIP-482).
    pub fn flexible(&self) -> bool {
        self.flexible
    }

    /// Changes between the plain and the compact encoding, as a header and its body may differ.
    pub fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    /// Where plain bytes are appended.
    pub fn buf(&mut self) -> &mut BytesMut {
        &mut self.buf
    }

    /// The bytes written so far.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum::<usize>() + self.buf.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message in the parts it was written in.
    pub fn into_parts(mut self) -> Vec<Bytes> {
        self.cut();
        self.parts
    }

    /// The message in one piece; copies when it holds spliced fields.
    pub fn into_bytes(self) -> Bytes {
        join(self.into_parts())
    }

    /// Overwrites the first bytes, for which room was left.
    pub(crate) fn set_front<const N: usize>(&mut self, bytes: [u8; N]) {
        match self.parts.first_mut() {
            None => self.buf[..N].copy_from_slice(&bytes),
            Some(first) => {
                // Shared with what follows it, so it is copied: it is what precedes the records.
                let mut copy = BytesMut::from(&first[..]);
                copy[..N].copy_from_slice(&bytes);
                *first = copy.freeze();
            }
        }
    }

    fn cut(&mut self) {
        if !self.buf.is_empty() {
            self.parts.push(self.buf.split().freeze());
        }
    }

    /// Appends bytes without a length, by reference when they are many.
    pub fn splice(&mut self, bytes: &Bytes) {
        if bytes.len() < SPLICE_MIN {
            self.buf.put_slice(bytes);
        } else {
            self.cut();
            self.parts.push(bytes.clone());
        }
    }

    /// An unsigned varint.
    pub fn unsigned(&mut self, mut n: u32) {
        while n >= 0x80 {
            self.buf.put_u8(n as u8 | 0x80);
            n >>= 7;
        }
        self.buf.put_u8(n as u8);
    }

    fn compact(&mut self, n: Option<usize>) -> Result<(), Error> {
        let n = n.unwrap_or(usize::MAX);
        // Null is 0 and every length is one more than it is; Java reads them as signed.
        let raw = n.wrapping_add(1);
        if raw > i32::MAX as usize {
            return Err(Fault::TooLong(n).into());
        }
        self.unsigned(raw as u32);
        Ok(())
    }

    /// The length of bytes or of an array; `None` is null.
    pub fn length(&mut self, n: Option<usize>) -> Result<(), Error> {
        if self.flexible {
            return self.compact(n);
        }
        let plain = n.map_or(Ok(-1), i32::try_from);
        self.buf.put_i32(plain.map_err(|_| Fault::TooLong(n.unwrap_or_default()))?);
        Ok(())
    }

    /// The length of a string; `None` is null.
    pub fn short_length(&mut self, n: Option<usize>) -> Result<(), Error> {
        let plain = n.map_or(Ok(-1), i16::try_from);
        // Java refuses longer strings in both encodings.
        let plain = plain.map_err(|_| Fault::TooLong(n.unwrap_or_default()))?;
        if self.flexible {
            return self.compact(n);
        }
        self.buf.put_i16(plain);
        Ok(())
    }

    /// One tagged field: its bytes are measured by writing them aside.
    pub fn tag(&mut self, tag: u32, value: &impl Wire) -> Result<(), Error> {
        let mut inner = Self::new(self.version, self.flexible);
        value.write(&mut inner)?;
        self.unsigned(tag);
        let len = inner.len();
        self.unsigned(u32::try_from(len).map_err(|_| Fault::TooLong(len))?);
        if inner.parts.is_empty() {
            self.buf.put_slice(&inner.buf);
        } else {
            for part in &inner.into_parts() {
                self.splice(part);
            }
        }
        Ok(())
    }
}

/// One piece of many; without a copy when there is but one.
pub(crate) fn join(mut parts: Vec<Bytes>) -> Bytes {
    if parts.len() < 2 {
        return parts.pop().unwrap_or_default();
    }
    let mut all = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
    for part in &parts {
        all.put_slice(part);
    }
    all.freeze()
}
