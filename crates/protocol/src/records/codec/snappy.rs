//! Snappy, with the framing of Java's `SnappyOutputStream` (xerial) around it.
//!
//! Written: xerial, since it is what Java's producer writes and every reader knows (Java, librdkafka,
//! Sarama and so Goka, franz-go look for its magic first), and its chunks of 32 KiB bound what a
//! reader needs at once. Read: xerial and raw (Sarama's and librdkafka's producers write raw).

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::CodecError;

const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
/// Magic, version 1, oldest compatible version 1.
const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// The chunk size of `SnappyOutputStream`.
const CHUNK: usize = 32 * 1024;
/// Three bytes of input copy at most 64 bytes of output.
const MAX_RATIO: usize = 22;

pub(super) struct Compressor {
    encoder: Encoder,
}

impl Default for Compressor {
    fn default() -> Self {
        Self { encoder: Encoder::new() }
    }
}

impl Compressor {
    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(&HEADER);
        for chunk in input.chunks(CHUNK) {
            let at = out.len();
            out.resize(at + 4 + max_compress_len(chunk.len()), 0);
            let size = self
                .encoder
                .compress(chunk, &mut out[at + 4..])
                .map_err(|error| error.to_string())?;
            out[at..at + 4].copy_from_slice(&(size as u32).to_be_bytes());
            out.truncate(at + 4 + size);
        }
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct Decompressor {
    decoder: Decoder,
}

impl Decompressor {
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), CodecError> {
        let Some(mut rest) = input.strip_prefix(MAGIC) else {
            return self.chunk(input, out, limit);
        };
        // The two version numbers: no reader looks at them, since there never was another.
        rest = rest.get(8..).ok_or_else(|| CodecError::corrupt("header is cut"))?;
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let chunk = tail.get(..length).ok_or_else(|| CodecError::corrupt("chunk is cut"))?;
            self.chunk(chunk, out, limit)?;
            rest = &tail[length..];
        }
        if rest.is_empty() { Ok(()) } else { Err(CodecError::corrupt("chunk length is cut")) }
    }

    /// Appends one raw block.
    fn chunk(&mut self, input: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), CodecError> {
        let size = decompress_len(input).map_err(|error| CodecError::corrupt(error.to_string()))?;
        let at = out.len();
        if size > limit - at {
            return Err(CodecError::TooLarge);
        }
        if size > input.len().saturating_mul(MAX_RATIO) {
            return Err(CodecError::corrupt("more output than the input can hold"));
        }
        out.resize(at + size, 0);
        self.decoder
            .decompress(input, &mut out[at..])
            .map_err(|error| CodecError::corrupt(error.to_string()))?;
        Ok(())
    }
}
