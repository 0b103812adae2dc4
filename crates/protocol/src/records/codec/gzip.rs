//! gzip (RFC 1952): its header and trailer by hand around raw deflate, so that the 300 KB of a
//! deflate state are set up once per thread and not once per batch.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::CodecError;

/// Magic, deflate, no flags, no time, no extra flags, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
const FLAG_HEADER_CRC: u8 = 2;
const FLAG_EXTRA: u8 = 4;
const FLAG_NAME: u8 = 8;
const FLAG_COMMENT: u8 = 16;
const TRAILER: usize = 8;
/// The least room to give to the codec for one step.
const STEP: usize = 8 * 1024;

#[derive(Default)]
pub(super) struct Compressor {
    /// The level belongs to the state, so a change of level makes a new one.
    state: Option<(i32, Compress)>,
}

impl Compressor {
    pub(super) fn compress(
        &mut self,
        level: i32,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        if self.state.as_ref().is_none_or(|(at, _)| *at != level) {
            self.state = Some((level, Compress::new(Compression::new(level as u32), false)));
        }
        let Some((_, deflate)) = &mut self.state else { return Err("no deflate state".to_owned()) };
        deflate.reset();
        out.extend_from_slice(&HEADER);
        let mut done = 0;
        loop {
            out.reserve((input.len() - done) / 4 + STEP);
            let before = deflate.total_in();
            let status = deflate
                .compress_vec(&input[done..], out, FlushCompress::Finish)
                .map_err(|error| error.to_string())?;
            done += (deflate.total_in() - before) as usize;
            if status == Status::StreamEnd {
                break;
            }
        }
        out.extend_from_slice(&crc32fast::hash(input).to_le_bytes());
        out.extend_from_slice(&(input.len() as u32).to_le_bytes());
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct Decompressor {
    state: Option<Decompress>,
}

impl Decompressor {
    /// Reads all members: gzip files may be joined, and Java's reader takes them as one.
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), CodecError> {
        let mut rest = input;
        loop {
            rest = self.member(header(rest)?, out, limit)?;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    fn member<'a>(
        &mut self,
        input: &'a [u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<&'a [u8], CodecError> {
        let inflate = self.state.get_or_insert_with(|| Decompress::new(false));
        inflate.reset(false);
        let start = out.len();
        let mut done = 0;
        loop {
            // One byte over the limit tells "just fits" from "too large".
            let room = limit.saturating_add(1) - out.len();
            out.reserve((input.len() - done).saturating_mul(3).max(STEP).min(room));
            let (read, written) = (inflate.total_in(), out.len());
            let status = inflate
                .decompress_vec(&input[done..], out, FlushDecompress::None)
                .map_err(|error| CodecError::corrupt(error.to_string()))?;
            let read = (inflate.total_in() - read) as usize;
            done += read;
            if out.len() > limit {
                return Err(CodecError::TooLarge);
            }
            if status == Status::StreamEnd {
                break;
            }
            // There is room for output, so no progress means that the input ended too early.
            if read == 0 && out.len() == written {
                return Err(CodecError::corrupt("stream is cut"));
            }
        }
        let (trailer, rest) = input[done..]
            .split_first_chunk::<TRAILER>()
            .ok_or_else(|| CodecError::corrupt("trailer is cut"))?;
        let [a, b, c, d, size @ ..] = *trailer;
        let content = &out[start..];
        if u32::from_le_bytes([a, b, c, d]) != crc32fast::hash(content)
            || u32::from_le_bytes(size) != content.len() as u32
        {
            return Err(CodecError::corrupt("checksum or size in the trailer does not match"));
        }
        Ok(rest)
    }
}

/// Checks and skips the header of a member.
fn header(input: &[u8]) -> Result<&[u8], CodecError> {
    let cut = || CodecError::corrupt("header is cut");
    let (fixed, mut rest) = input.split_first_chunk::<10>().ok_or_else(cut)?;
    if fixed[..3] != HEADER[..3] {
        return Err(CodecError::corrupt("no gzip magic"));
    }
    let flags = fixed[3];
    if flags & FLAG_EXTRA != 0 {
        let (length, tail) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
        rest = tail.get(usize::from(u16::from_le_bytes(*length))..).ok_or_else(cut)?;
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|byte| *byte == 0).ok_or_else(cut)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & FLAG_HEADER_CRC != 0 {
        rest = rest.get(2..).ok_or_else(cut)?;
    }
    Ok(rest)
}
