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
