//! Zstandard in one call per batch: no window buffer, so memory is the output and nothing else.

use std::io::Cursor;

use zstd::zstd_safe::{CCtx, DCtx, compress_bound, get_error_name, get_frame_content_size};

use super::CodecError;

/// `ZSTD_error_dstSize_tooSmall` of `zstd_errors.h`; a result code is the negated error.
const OUTPUT_TOO_SMALL: usize = 70;
/// A block is at least a header of 3 bytes and one of content, and gives at most 128 KiB.
const BLOCK_MIN: usize = 4;
const BLOCK_CONTENT: usize = 128 * 1024;

#[derive(Default)]
pub(super) struct Compressor {
    context: Option<CCtx<'static>>,
}

impl Compressor {
    pub(super) fn compress(
        &mut self,
        level: i32,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let context = match &mut self.context {
            Some(context) => context,
            empty => empty.insert(CCtx::try_create().ok_or("out of memory")?),
        };
        out.reserve(compress_bound(input.len()));
        let start = out.len() as u64;
        let mut target = Cursor::new(out);
        target.set_position(start);
        context
            .compress(&mut target, input, level)
            .map_err(|code| get_error_name(code).to_owned())?;
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct Decompressor {
    context: Option<DCtx<'static>>,
}

impl Decompressor {
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), CodecError> {
        let context = match &mut self.context {
            Some(context) => context,
            empty => empty
                .insert(DCtx::try_create().ok_or_else(|| CodecError::corrupt("out of memory"))?),
        };
        // What this much input can give at most, by the format.
        let most = (input.len() / BLOCK_MIN + 1).saturating_mul(BLOCK_CONTENT);
        let claimed = get_frame_content_size(input).ok().flatten();
        if claimed.is_some_and(|n| n > limit as u64) {
            return Err(CodecError::TooLarge);
        }
        // Streaming writers (Java's among them) do not say the size: guess, then grow.
        let mut size = match claimed {
            Some(n) => n as usize,
            None => out.capacity().max(input.len().saturating_mul(4)),
        };
        let most = most.min(limit).max(1);
        loop {
            size = size.clamp(1, most);
            out.clear();
            out.reserve(size);
            let code = match context.decompress(out, input) {
                Ok(_) if out.len() > limit => return Err(CodecError::TooLarge),
                Ok(_) => return Ok(()),
                Err(code) => code,
            };
            out.clear();
            if code.wrapping_neg() != OUTPUT_TOO_SMALL {
                return Err(CodecError::corrupt(get_error_name(code)));
            }
            if size >= limit {
                return Err(CodecError::TooLarge);
            }
            if size >= most {
                return Err(CodecError::corrupt("more output than the input can hold"));
            }
            size = size.saturating_mul(4);
        }
    }
}
