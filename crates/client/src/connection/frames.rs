//! Cuts a stream of bytes into frames (4-byte length, then as many bytes) without copying payloads.
//!
//! Small frames share one read buffer; it is used again once all slices of it are gone. As soon as the
//! length of a large frame is known, the rest of it is read straight into a buffer of that size: what is
//! copied is at most the first `FIRST_READ_BYTES`.

use bytes::{Buf, Bytes, BytesMut};

/// After a large frame the next read is this small, so that little of a following large frame is copied.
const FIRST_READ_BYTES: usize = 4 << 10;
/// From this size on a frame has a buffer of its own.
const LARGE_BYTES: usize = 32 << 10;
/// The length that precedes each frame.
const PREFIX_BYTES: usize = 4;

/// A length that no frame can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadLength(pub(crate) i32);

impl BadLength {
    /// Whether it is the begin of a TLS alert or handshake: type, then the version 3.0 to 3.4.
    pub(crate) fn is_tls(self) -> bool {
        let [kind, major, minor, _] = self.0.to_be_bytes();
        matches!(kind, 0x15 | 0x16) && major == 3 && minor <= 4
    }
}

/// The unread part of a stream.
#[derive(Debug)]
pub(crate) struct FrameReader {
    buffer: BytesMut,
    buffer_bytes: usize,
    frame_bytes_max: usize,
    after_large: bool,
}

impl FrameReader {
    pub(crate) fn new(buffer_bytes: usize, frame_bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), buffer_bytes, frame_bytes_max, after_large: false }
    }

    /// The buffer to read into next, with room for at least one byte.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        let have = self.buffer.len();
        let (least, reserve) = match self.frame_len() {
            // The length was checked when it came in.
            Ok(Some(frame)) if PREFIX_BYTES + frame >= LARGE_BYTES => {
                (PREFIX_BYTES + frame, PREFIX_BYTES + frame)
            }
            Ok(Some(frame)) => (PREFIX_BYTES + frame, self.buffer_bytes.max(LARGE_BYTES)),
            _ if have > 0 => (LARGE_BYTES.min(self.buffer_bytes), self.buffer_bytes),
            _ if self.after_large => (FIRST_READ_BYTES, FIRST_READ_BYTES),
            _ => (self.buffer_bytes / 4, self.buffer_bytes),
        };
        if self.buffer.capacity() < least {
            self.buffer.reserve(reserve - have);
        }
        &mut self.buffer
    }

    /// The next whole frame, without its length; none if more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, BadLength> {
        let Some(frame) = self.frame_len()? else { return Ok(None) };
        if self.buffer.len() < PREFIX_BYTES + frame {
            return Ok(None);
        }
        self.buffer.advance(PREFIX_BYTES);
        self.after_large = frame >= LARGE_BYTES;
        let bytes = self.buffer.split_to(frame).freeze();
        if self.buffer.is_empty() && self.after_large {
            // The frame owns the memory now.
            self.buffer = BytesMut::new();
        }
        Ok(Some(bytes))
    }

    /// Whether the stream stands between two frames.
    pub(crate) fn at_boundary(&self) -> bool {
        self.buffer.is_empty()
    }

    fn frame_len(&self) -> Result<Option<usize>, BadLength> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let len = i32::from_be_bytes(*prefix);
        match usize::try_from(len) {
            Ok(frame) if frame <= self.frame_bytes_max => Ok(Some(frame)),
            _ => Err(BadLength(len)),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    /// Feeds `stream` in pieces of `step` bytes, as a socket would, and gives the frames.
    fn frames(stream: &[u8], step: usize, buffer: usize) -> Result<Vec<Bytes>, BadLength> {
        let mut reader = FrameReader::new(buffer, 1 << 20);
        let (mut rest, mut out) = (stream, Vec::new());
        while !rest.is_empty() {
            let room = reader.room();
            let n = step.min(room.capacity() - room.len()).min(rest.len());
            assert!(n > 0, "no room");
            room.put_slice(&rest[..n]);
            rest = &rest[n..];
            while let Some(frame) = reader.next()? {
                out.push(frame);
            }
        }
        assert!(reader.at_boundary());
        Ok(out)
    }

    #[test]
    fn any_cut_gives_the_same_frames() {
        let sizes = [0usize, 1, 5, 4096, 40_000, 0, 100_000, 70_000, 3, 200_000];
        let mut stream = Vec::new();
        for (i, size) in sizes.iter().enumerate() {
            stream.put_i32(*size as i32);
            stream.resize(stream.len() + size, i as u8);
        }
        for step in [1, 3, 1000, 65_536, usize::MAX] {
            for buffer in [1024, 128 << 10] {
                let got = frames(&stream, step, buffer).unwrap();
                let lens: Vec<_> = got.iter().map(Bytes::len).collect();
                assert_eq!(lens, sizes, "step {step}");
                for (i, frame) in got.iter().enumerate() {
                    assert!(frame.iter().all(|b| *b == i as u8), "frame {i} holds other bytes");
                }
            }
        }
    }

    #[test]
    fn refuses_lengths_before_allocating() {
        for len in [-1, i32::MIN, (1 << 20) + 1, i32::MAX] {
            assert_eq!(frames(&len.to_be_bytes(), 1, 1024), Err(BadLength(len)));
        }
    }

    #[test]
    fn a_large_frame_has_exactly_its_memory() {
        let mut reader = FrameReader::new(128 << 10, 64 << 20);
        let size = 10 << 20;
        reader.room().put_i32(size);
        let room = reader.room();
        assert!(room.capacity() >= size as usize + 4);
        assert!(room.capacity() < size as usize + (1 << 20));
    }
}
