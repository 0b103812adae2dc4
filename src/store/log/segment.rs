//! One file of the log.
//!
//! It begins with a head (magic, format, number) and continues with blocks. Only the last segment
//! grows; the others are read until they are cleaned away.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use super::entry::{self, BLOCK_HEAD};

pub(super) const FORMAT: u32 = 1;
/// Bytes before the first block.
pub(super) const SEGMENT_HEAD: u32 = 16;
const MAGIC: &[u8; 8] = b"rokalog\n";

pub(super) struct Segment {
    pub(super) number: u32,
    pub(super) len: u32,
    /// Whether everything in it survives a crash of the machine.
    pub(super) synced: bool,
    file: File,
}

/// What the head of a segment's file says.
pub(super) enum Opened {
    Ok(Segment),
    /// Not a segment, or cut within the head.
    Foreign,
    /// Of another format.
    Format(u32),
}

impl Segment {
    pub(super) fn create(folder: &Path, number: u32) -> io::Result<Self> {
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&FORMAT.to_le_bytes());
        head.extend_from_slice(&number.to_le_bytes());
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(path(folder, number))?;
        write_at(&file, &head, 0)?;
        Ok(Self { number, len: SEGMENT_HEAD, synced: false, file })
    }

    pub(super) fn open(folder: &Path, number: u32) -> io::Result<Opened> {
        let file = OpenOptions::new().read(true).write(true).open(path(folder, number))?;
        let len = u32::try_from(file.metadata()?.len());
        let mut head = [0; SEGMENT_HEAD as usize];
        let Ok(len) = len else { return Ok(Opened::Foreign) };
        if len < SEGMENT_HEAD {
            return Ok(Opened::Foreign);
        }
        read_at(&file, &mut head, 0)?;
        if &head[..8] != MAGIC || entry::number(&head, 12) != Some(number) {
            return Ok(Opened::Foreign);
        }
        Ok(match entry::number(&head, 8) {
            Some(FORMAT) => Opened::Ok(Self { number, len, synced: false, file }),
            other => Opened::Format(other.unwrap_or_default()),
        })
    }

    /// Appends a finished block. After an error the segment is as before.
    pub(super) fn append(&mut self, block: &[u8]) -> io::Result<u32> {
        let at = self.len;
        write_at(&self.file, block, at)?;
        self.len += block.len() as u32;
        self.synced = false;
        Ok(at)
    }

    pub(super) fn read(&self, into: &mut [u8], at: u32) -> io::Result<()> {
        read_at(&self.file, into, at)
    }

    /// The entries of the block at `at`, without its head; `None` if there is no whole block.
    pub(super) fn read_block(&self, at: u32, block: &mut Vec<u8>) -> io::Result<Option<()>> {
        let mut head = [0; BLOCK_HEAD];
        let left = self.len.saturating_sub(at) as usize;
        if left <= BLOCK_HEAD {
            return Ok(None);
        }
        self.read(&mut head, at)?;
        let Some((len, crc)) = entry::block_head(head).filter(|(len, _)| *len <= left - BLOCK_HEAD)
        else {
            return Ok(None);
        };
        block.resize(len, 0);
        self.read(block, at + BLOCK_HEAD as u32)?;
        Ok((crc32fast::hash(block) == crc).then_some(()))
    }

    /// Cuts off everything from `len` on.
    pub(super) fn truncate(&mut self, len: u32) -> io::Result<()> {
        self.file.set_len(u64::from(len))?;
        self.len = len;
        self.synced = false;
        Ok(())
    }

    pub(super) fn try_clone_file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        if !self.synced {
            self.file.sync_data()?;
            self.synced = true;
        }
        Ok(())
    }
}

pub(super) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:010}.log"))
}

/// The number of the segment that a file holds, by its name.
pub(super) fn number(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".log").filter(|digits| digits.len() == 10)?.parse().ok()
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], at: u32) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, u64::from(at))
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u32) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, u64::from(at))
}

#[cfg(not(unix))]
fn read_at(mut file: &File, into: &mut [u8], at: u32) -> io::Result<()> {
    use io::{Read, Seek};
    file.seek(io::SeekFrom::Start(u64::from(at)))?;
    file.read_exact(into)
}

#[cfg(not(unix))]
fn write_at(mut file: &File, bytes: &[u8], at: u32) -> io::Result<()> {
    use io::{Seek, Write};
    file.seek(io::SeekFrom::Start(u64::from(at)))?;
    file.write_all(bytes)
}
