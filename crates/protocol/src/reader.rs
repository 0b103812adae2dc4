//! The bytes of a message as they are taken off the front.
//!
//! Every length is checked against what is left before anything is allocated or skipped.

use bytes::{Buf, Bytes};

use crate::{Error, Fault, Wire};

/// A message being read in one version.
#[derive(Debug)]
pub struct Reader {
    /// What is left.
    pub buf: Bytes,
    version: i16,
    flexible: bool,
}

impl Reader {
    /// The start of a message of the version.
    pub fn new(buf: Bytes, version: i16, flexible: bool) -> Self {
        Self { buf, version, flexible }
    }

    /// The version that is read.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether lengths are compact and structs end in tagged fields (KIP-482).
    pub fn flexible(&self) -> bool {
        self.flexible
    }

    /// An unsigned varint.
    pub fn unsigned(&mut self) -> Result<u32, Error> {
        let mut n = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = u8::read(self)?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(n).map_err(|_| Fault::Length(n as i64).into());
            }
        }
        Err(Fault::Length(n as i64).into())
    }

    /// The length of bytes or of an array; `None` is null.
    pub fn length(&mut self) -> Result<Option<usize>, Error> {
        let n = if self.flexible { self.compact()? } else { i64::from(i32::read(self)?) };
        self.checked(n)
    }

    /// The length of a string; `None` is null.
    pub fn short_length(&mut self) -> Result<Option<usize>, Error> {
        let n = if self.flexible { self.compact()? } else { i64::from(i16::read(self)?) };
        // Java refuses longer strings in the compact encoding too.
        if n > i64::from(i16::MAX) {
            return Err(Fault::Length(n).into());
        }
        self.checked(n)
    }

    fn compact(&mut self) -> Result<i64, Error> {
        Ok(i64::from(self.unsigned()?) - 1)
    }

    fn checked(&self, n: i64) -> Result<Option<usize>, Error> {
        if n == -1 {
            return Ok(None);
        }
        // Nothing on the wire is smaller than a byte, so no length exceeds what is left.
        let len = usize::try_from(n).ok().filter(|&len| len <= self.buf.len());
        len.map(Some).ok_or(Fault::Length(n).into())
    }

    /// The tagged fields: `known` reads the tags it knows and says so, the others are skipped.
    pub fn tags(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        for _ in 0..self.unsigned()? {
            let (tag, size) = (self.unsigned()?, self.unsigned()? as usize);
            if size > self.buf.len() {
                return Err(Fault::Truncated.into());
            }
            // A tag's value sees its own bytes only.
            let rest = self.buf.split_off(size);
            let mut own = Self::new(std::mem::replace(&mut self.buf, rest), self.version, true);
            if known(tag, &mut own)? && own.buf.has_remaining() {
                return Err(Fault::Length(size as i64).into());
            }
        }
        Ok(())
    }
}
