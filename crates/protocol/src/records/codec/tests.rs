use super::*;

fn packed(compression: Compression, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(compression, None, true, input, &mut out).unwrap();
    out
}

fn unpacked(compression: Compression, input: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    Codecs::default().decompress(compression, true, input, &mut out, limit)?;
    Ok(out)
}

#[test]
fn every_codec_gives_back_what_it_got() {
    for size in [0, 1, 11, 12, 13, 100, 32 * 1024, 65_535, 65_536, 65_537, 300_000] {
        let text: Vec<u8> = (0..size).map(|i: u32| (i % 251 * (i / 1000 + 1)) as u8).collect();
        let mut rng = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = (0..size).map(|_| rng.u8(..)).collect();
        for input in [text, noise] {
            for compression in Compression::ALL {
                let bytes = packed(compression, &input);
                let back = unpacked(compression, &bytes, input.len());
                assert!(back.as_ref() == Ok(&input), "{compression} {size}");
            }
        }
    }
}

#[test]
fn sizes_that_the_input_only_claims_are_not_believed() {
    // Raw snappy of 4 GiB in six bytes.
    let snappy = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    // A zstd frame that says 100 MiB, with an empty last block.
    let mut zstd = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    zstd.extend_from_slice(&(100u32 << 20).to_le_bytes());
    zstd.extend_from_slice(&[0x01, 0, 0]);
    // An LZ4 frame with blocks of up to 4 MiB, and a block of one byte.
    let lz4 = vec![0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    for (compression, input) in
        [(Compression::Snappy, snappy), (Compression::Zstd, zstd), (Compression::Lz4, lz4)]
    {
        let mut out = Vec::new();
        let limit = usize::MAX >> 1;
        let result = Codecs::default().decompress(compression, true, &input, &mut out, limit);
        let taken = out.capacity();
        assert!(taken <= 1 << 20, "{compression} took {taken} bytes for {result:?}");
        assert!(result.is_err() || compression == Compression::Lz4, "{compression}");
    }
}

#[test]
fn more_than_the_limit_is_too_large_and_the_limit_itself_is_not() {
    let input = vec![7; 100_000];
    for compression in &Compression::ALL[1..] {
        let bytes = packed(*compression, &input);
        assert_eq!(unpacked(*compression, &bytes, 100_000), Ok(input.clone()), "{compression}");
        for limit in [99_999, 70_000, 1, 0] {
            let refused = unpacked(*compression, &bytes, limit);
            assert_eq!(refused, Err(CodecError::TooLarge), "{compression} {limit}");
        }
    }
}

#[test]
fn what_other_writers_make_is_read() {
    let text = b"text text text text text text text text".to_vec();
    // Sarama's and librdkafka's snappy has no framing.
    let raw = snap::raw::Encoder::new().compress_vec(&text).unwrap();
    assert_eq!(unpacked(Compression::Snappy, &raw, 1000), Ok(text.clone()));
    // zstd without the size in its header, as streaming writers make it, and of several frames.
    let mut large = text.repeat(1000);
    let mut frames = ::zstd::stream::encode_all(&large[..], 1).unwrap();
    frames.extend(::zstd::stream::encode_all(&text[..], 19).unwrap());
    large.extend_from_slice(&text);
    assert_eq!(unpacked(Compression::Zstd, &frames, 1 << 20), Ok(large.clone()));
    // gzip with a name and a comment in its header, and of several members.
    let mut gzip = Vec::new();
    for part in [&large[..10], &large[10..]] {
        let mut writer = flate2::GzBuilder::new()
            .filename("name")
            .comment("comment")
            .extra(&b"extra"[..])
            .write(&mut gzip, flate2::Compression::best());
        std::io::Write::write_all(&mut writer, part).unwrap();
        writer.finish().unwrap();
    }
    assert_eq!(unpacked(Compression::Gzip, &gzip, 1 << 20), Ok(large.clone()));
}

#[test]
fn lz4_frames_of_all_kinds_are_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

    let mut rng = fastrand::Rng::with_seed(3);
    let noise: Vec<u8> = (0..70_000).map(|_| rng.u8(..)).collect();
    let input = [&noise[..], &vec![5; 200_000], &noise].concat();
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
            for extras in [false, true] {
                let info = FrameInfo::new()
                    .block_mode(mode)
                    .block_size(size)
                    .block_checksums(extras)
                    .content_checksum(extras)
                    .content_size(extras.then_some(input.len() as u64));
                let mut writer = FrameEncoder::with_frame_info(info, Vec::new());
                std::io::Write::write_all(&mut writer, &input).unwrap();
                let mut frames = writer.finish().unwrap();
                // A skippable frame may stand anywhere.
                frames.extend_from_slice(&[0x52, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
                let back = unpacked(Compression::Lz4, &frames, input.len());
                assert!(back.as_ref() == Ok(&input), "{mode:?} {size:?} {extras}");
            }
        }
    }
}

#[test]
fn our_lz4_frames_are_read_by_others() {
    let input = b"some text some text some text".repeat(10_000);
    let bytes = packed(Compression::Lz4, &input);
    let mut reader = lz4_flex::frame::FrameDecoder::new(&bytes[..]);
    let mut back = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut back).unwrap();
    assert!(back == input);
}

#[test]
fn the_checksum_of_an_lz4_header_counts_unless_told_otherwise() {
    let mut out = Vec::new();
    compress(Compression::Lz4, None, false, b"v0", &mut out).unwrap();
    assert!(unpacked(Compression::Lz4, &out, 100).is_err());
    let mut back = Vec::new();
    Codecs::default().decompress(Compression::Lz4, false, &out, &mut back, 100).unwrap();
    assert_eq!(back, b"v0");
}
