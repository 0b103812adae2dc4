//! The LZ4 frame format, around the block codec.
//!
//! Written: independent blocks of 64 KiB without checksums, as Java's producer writes them; Java
//! cannot read linked blocks. Read: linked blocks too, checksums of blocks and content skipped (the
//! CRC of the batch covers them). The checksum of the frame's header is compared, except in v0
//! messages: there Kafka's own producers computed it over the magic as well (KAFKA-3160).

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, decompress_into_with_dict,
    get_maximum_output_size,
};

use super::CodecError;

const MAGIC: u32 = 0x184d_2204;
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
const BLOCK: usize = 64 * 1024;
/// Of a block's length: the block is stored as it is.
const STORED: u32 = 1 << 31;
/// How far back a linked block may point.
const WINDOW: usize = 64 * 1024;
/// One byte of input extends a match by at most 255 bytes of output.
const MAX_RATIO: usize = 255;

const FLAG_VERSION: u8 = 0b0100_0000;
const FLAG_VERSION_MASK: u8 = 0b1100_0000;
const FLAG_INDEPENDENT: u8 = 0b0010_0000;
const FLAG_BLOCK_CHECKSUM: u8 = 0b0001_0000;
const FLAG_CONTENT_SIZE: u8 = 0b0000_1000;
const FLAG_CONTENT_CHECKSUM: u8 = 0b0000_0100;
const FLAG_DICTIONARY: u8 = 0b0000_0001;

/// Magic, version 1 with independent blocks, 64 KiB blocks, checksum of the two bytes before.
const HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, FLAG_VERSION | FLAG_INDEPENDENT, 0x40, 0x82];
/// The same checksum as [`HEADER`]'s last byte, over the magic as well.
const OLD_CHECKSUM: u8 = 0x1a;

#[derive(Default)]
pub(super) struct Compressor {
    table: CompressTable,
}

impl Compressor {
    /// `checksum` is false to write the header's checksum as Kafka's producers of v0 messages did.
    pub(super) fn compress(
        &mut self,
        checksum: bool,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let [start @ .., right] = HEADER;
        out.extend_from_slice(&start);
        out.push(if checksum { right } else { OLD_CHECKSUM });
        for block in input.chunks(BLOCK) {
            let at = out.len();
            out.resize(at + 4 + get_maximum_output_size(block.len()), 0);
            let size = compress_into_with_table(block, &mut out[at + 4..], &mut self.table)
                .map_err(|error| error.to_string())?;
            let (word, size) = if size < block.len() {
                (size as u32, size)
            } else {
                out[at + 4..at + 4 + block.len()].copy_from_slice(block);
                (block.len() as u32 | STORED, block.len())
            };
            out[at..at + 4].copy_from_slice(&word.to_le_bytes());
            out.truncate(at + 4 + size);
        }
        out.extend_from_slice(&[0; 4]);
        Ok(())
    }
}

/// Reads all frames of the input; frames may be joined, and may be ones to skip.
pub(super) fn decompress(
    check: bool,
    input: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), CodecError> {
    let mut input = Input { rest: input };
    while !input.rest.is_empty() {
        let magic = input.u32()?;
        if magic & !0xf == SKIPPABLE_MAGIC {
            let length = input.u32()? as usize;
            input.take(length)?;
        } else if magic == MAGIC {
            frame(check, &mut input, out, limit)?;
        } else {
            return Err(CodecError::corrupt("no LZ4 frame magic"));
        }
    }
    Ok(())
}

struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| CodecError::corrupt("frame is cut"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, CodecError> {
        let (word, rest) = self
            .rest
            .split_first_chunk::<4>()
            .ok_or_else(|| CodecError::corrupt("frame is cut"))?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*word))
    }
}

fn frame(
    check: bool,
    input: &mut Input<'_>,
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), CodecError> {
    let descriptor = input.rest;
    let &[flags, sizes] = input.take(2)? else { return Err(CodecError::corrupt("frame is cut")) };
    if flags & FLAG_VERSION_MASK != FLAG_VERSION || flags & FLAG_DICTIONARY != 0 {
        return Err(CodecError::corrupt("unknown frame version, or a dictionary"));
    }
    let block_max = match sizes >> 4 & 7 {
        size @ 4..=7 => 1usize << (8 + 2 * size),
        _ => return Err(CodecError::corrupt("unknown block size")),
    };
    if flags & FLAG_CONTENT_SIZE != 0 {
        input.take(8)?;
    }
    let descriptor = &descriptor[..descriptor.len() - input.rest.len()];
    let checksum = input.take(1)?[0];
    if check && checksum != (xxh32_short(descriptor) >> 8) as u8 {
        return Err(CodecError::corrupt("checksum of the frame header does not match"));
    }
    let start = out.len();
    loop {
        let word = input.u32()?;
        if word == 0 {
            break;
        }
        let block = input.take((word & !STORED) as usize)?;
        if block.len() > block_max {
            return Err(CodecError::corrupt("block is over the size that the frame says"));
        }
        if flags & FLAG_BLOCK_CHECKSUM != 0 {
            input.take(4)?;
        }
        if word & STORED != 0 {
            if block.len() > limit - out.len() {
                return Err(CodecError::TooLarge);
            }
            out.extend_from_slice(block);
            continue;
        }
        let history = if flags & FLAG_INDEPENDENT == 0 { out.len() - start } else { 0 };
        unpack(block, block_max, history.min(WINDOW), out, limit)?;
    }
    if flags & FLAG_CONTENT_CHECKSUM != 0 {
        input.take(4)?;
    }
    Ok(())
}

/// Appends one compressed block, which may point back into the last `history` bytes of `out`.
fn unpack(
    block: &[u8],
    block_max: usize,
    history: usize,
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), CodecError> {
    let at = out.len();
    let room = limit - at;
    // One byte over the limit tells "just fits" from "too large".
    let size = block_max.min(block.len().saturating_mul(MAX_RATIO)).min(room.saturating_add(1));
    out.resize(at + size, 0);
    let (before, target) = out.split_at_mut(at);
    let result = if history == 0 {
        decompress_into(block, target)
    } else {
        decompress_into_with_dict(block, target, &before[at - history..])
    };
    match result {
        Ok(written) if written > room => Err(CodecError::TooLarge),
        Ok(written) => {
            out.truncate(at + written);
            Ok(())
        }
        Err(_) if size > room => Err(CodecError::TooLarge),
        Err(error) => Err(CodecError::corrupt(error.to_string())),
    }
}

/// xxHash32 with seed 0 of less than 16 bytes: all that a frame's header needs.
fn xxh32_short(data: &[u8]) -> u32 {
    const PRIMES: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];
    debug_assert!(data.len() < 16, "longer input needs the striped part of the hash");
    let mut hash = PRIMES[4].wrapping_add(data.len() as u32);
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIMES[2]));
        hash = hash.rotate_left(17).wrapping_mul(PRIMES[3]);
    }
    for byte in tail {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(PRIMES[4]));
        hash = hash.rotate_left(11).wrapping_mul(PRIMES[0]);
    }
    hash = (hash ^ hash >> 15).wrapping_mul(PRIMES[1]);
    hash = (hash ^ hash >> 13).wrapping_mul(PRIMES[2]);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_the_header_we_write() {
        assert_eq!((xxh32_short(&HEADER[4..6]) >> 8) as u8, HEADER[6]);
        assert_eq!((xxh32_short(&HEADER[..6]) >> 8) as u8, OLD_CHECKSUM);
        // From the xxHash specification.
        assert_eq!(xxh32_short(b""), 0x02cc_5d05);
        assert_eq!(xxh32_short(b"abc"), 0x32d1_53ff);
    }
}
