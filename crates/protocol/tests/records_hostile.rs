//! Records from a hostile or broken peer: cut, spoiled, and bombs. Nothing panics, nothing takes
//! memory that the bytes do not justify.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::Bytes;
use roka_protocol::records::{
    Batch, BatchBuilder, BatchOptions, Batches, Compression, Decompressor, HEADER_SIZE, Header,
    MessageFormat, MessageSetBuilder, ProducerFields, RebuildBatch, RecordError,
};

const LENGTH: usize = 8;
const MAGIC: usize = 16;
const ATTRIBUTES: usize = 21;
const COUNT: usize = 57;

fn batch(compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::with_compression(compression));
    let headers: [Header<'_>; 3] = [(b"a", Some(b"1")), (b"a", None), (b"\xff\xfe", Some(b""))];
    for i in 0..20i64 {
        let value = vec![i as u8; i as usize * 7];
        builder.push(i * 100, Some(b"key"), Some(&value), headers).unwrap();
        builder.push(i * 100, None, None, []).unwrap();
    }
    builder.build(ProducerFields::NONE).unwrap()
}

fn message_set(format: MessageFormat, compression: Compression) -> Bytes {
    let mut set = MessageSetBuilder::new(format, compression).unwrap();
    for i in 0..20i64 {
        set.push(i, i * 100, Some(b"key"), Some(&vec![i as u8; i as usize * 7])).unwrap();
    }
    set.build().unwrap()
}

/// All formats and codecs.
fn corpus() -> Vec<Bytes> {
    let mut all: Vec<_> = Compression::ALL.into_iter().map(batch).collect();
    for compression in &Compression::ALL[..4] {
        all.push(message_set(MessageFormat::V0, *compression));
        all.push(message_set(MessageFormat::V1, *compression));
    }
    all
}

/// A v2 batch around these bytes, as a peer could send it: lengths right, checksum not looked at.
fn around(records: &[u8], compression: Compression, count: i32) -> Bytes {
    let mut bytes = batch(Compression::None)[..HEADER_SIZE].to_vec();
    bytes[LENGTH..LENGTH + 4]
        .copy_from_slice(&((HEADER_SIZE - 12 + records.len()) as i32).to_be_bytes());
    bytes[ATTRIBUTES + 1] = compression.id();
    bytes[COUNT..].copy_from_slice(&count.to_be_bytes());
    bytes.extend_from_slice(records);
    bytes.into()
}

/// Reads all there is, in every way there is; the number of records and the errors.
fn read(bytes: &Bytes, decompressor: &mut Decompressor) -> (usize, Vec<RecordError>) {
    let (mut count, mut errors) = (0, Vec::new());
    for batch in Batches::new(bytes.clone()) {
        match batch.and_then(|batch| read_batch(&batch, decompressor)) {
            Ok(records) => count += records,
            Err(error) => errors.push(error),
        }
    }
    for error in &errors {
        assert!(!error.to_string().is_empty());
        assert!(error.offset().is_some(), "{error}");
    }
    (count, errors)
}

fn read_batch(batch: &Batch, decompressor: &mut Decompressor) -> Result<usize, RecordError> {
    let _ = batch.validate_crc();
    assert!(batch.next_offset() >= batch.base_offset());
    let mut rebuilt = RebuildBatch::new(batch).ok();
    let mut count = 0;
    let mut records = batch.records(decompressor)?;
    for record in records.by_ref() {
        let record = record?;
        count += 1;
        assert_eq!(record.headers.len(), record.headers.count());
        if let Some(rebuilt) = &mut rebuilt {
            let _ = rebuilt.push(&record);
        }
    }
    assert!(records.next().is_none());
    if let Some(rebuilt) = rebuilt {
        rebuilt.build().unwrap();
    }
    // The walk that can pause gives the same number.
    let mut walk = batch.open(decompressor)?;
    let mut walked = 0;
    while let Some(record) = batch.next_record(decompressor, &mut walk) {
        record?;
        walked += 1;
    }
    assert_eq!(walked, count);
    let _ = batch.check_records(decompressor, false);
    Ok(count)
}

#[test]
fn records_that_are_cut_are_an_error_at_every_byte() {
    let whole = batch(Compression::None);
    let records = &whole[HEADER_SIZE..];
    for cut in 0..records.len() {
        let bytes = around(&records[..cut], Compression::None, 40);
        let (_, errors) = read(&bytes, &mut Decompressor::new());
        let corrupt = matches!(errors[..], [RecordError::Corrupt { offset: 0, .. }]);
        assert!(corrupt, "cut at {cut}: {errors:?}");
    }
}

#[test]
fn compressed_records_that_are_cut_are_an_error_at_every_byte() {
    let mut decompressor = Decompressor::new();
    for compression in &Compression::ALL[1..] {
        let whole = batch(*compression);
        let packed = &whole[HEADER_SIZE..];
        for cut in 0..packed.len() {
            let bytes = around(&packed[..cut], *compression, 40);
            let (_, errors) = read(&bytes, &mut decompressor);
            assert_eq!(errors.len(), 1, "{compression} cut at {cut}");
        }
    }
}

#[test]
fn a_message_set_that_is_cut_ends_silently() {
    let whole = message_set(MessageFormat::V1, Compression::None);
    let mut decompressor = Decompressor::new();
    let mut seen = 0;
    for cut in 0..=whole.len() {
        let (count, errors) = read(&whole.slice(..cut), &mut decompressor);
        assert!(errors.is_empty() && count >= seen, "cut at {cut}: {errors:?}");
        seen = count;
    }
    assert_eq!(seen, 20);
}

#[test]
fn a_spoiled_byte_shows_in_the_checksum() {
    for bytes in corpus() {
        if Batches::new(bytes.clone()).count() > 1 {
            continue;
        }
        // A spoiled length makes the batch look cut, which is none's fault.
        for at in MAGIC..bytes.len() {
            let mut spoiled = bytes.to_vec();
            spoiled[at] ^= 0x10;
            let seen = Batches::new(spoiled.into()).all(|batch| match batch {
                Ok(batch) => batch.validate_crc().is_ok(),
                Err(_) => false,
            });
            assert!(!seen, "byte {at} of {}", bytes.len());
        }
    }
}

#[test]
fn random_damage_never_panics() {
    let corpus = corpus();
    let mut rng = fastrand::Rng::with_seed(42);
    let mut decompressor = Decompressor::with_limit(1 << 20);
    let mut refused = 0;
    for round in 0..10_000 {
        let mut bytes = corpus[round % corpus.len()].to_vec();
        for _ in 0..rng.usize(1..8) {
            let at = rng.usize(..bytes.len());
            match rng.u8(..5) {
                0 => bytes[at] = rng.u8(..),
                1 => bytes[at] ^= 1 << rng.u8(..8),
                2 => bytes[at] = *rng.choice(&[0, 1, 0x7f, 0x80, 0xff]).unwrap(),
                3 => bytes.truncate(at.max(1)),
                _ => {
                    let byte = rng.u8(..);
                    bytes.insert(at, byte);
                }
            }
        }
        refused += usize::from(!read(&bytes.into(), &mut decompressor).1.is_empty());
    }
    assert!(refused > 1_500, "only {refused}: the damage does not reach the readers");
}

#[test]
fn random_records_never_panic() {
    let mut rng = fastrand::Rng::with_seed(43);
    let mut decompressor = Decompressor::with_limit(1 << 20);
    for _ in 0..20_000 {
        let records: Vec<u8> = (0..rng.usize(..64))
            .map(|_| if rng.bool() { rng.u8(..16) } else { rng.u8(..) })
            .collect();
        let count = rng.i32(-1..6);
        let compression = *rng.choice(&Compression::ALL).unwrap();
        read(&around(&records, compression, count), &mut decompressor);
    }
}

#[test]
fn counts_beyond_the_bytes_are_refused() {
    for count in [i32::MIN, -1, 1, i32::MAX] {
        let bytes = around(&[], Compression::None, count);
        let (_, errors) = read(&bytes, &mut Decompressor::new());
        assert!(matches!(errors[..], [RecordError::Corrupt { .. }]), "{count}: {errors:?}");
    }
    // One record: length, attributes, deltas, null key and value, then a header count of 2^31 - 1.
    let record = [22, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f];
    let (count, errors) = read(&around(&record, Compression::None, 1), &mut Decompressor::new());
    assert!(count == 0 && matches!(errors[..], [RecordError::Corrupt { .. }]), "{errors:?}");
}

#[test]
fn bytes_after_the_last_record_are_refused() {
    let whole = batch(Compression::None);
    let bytes = around(&whole[HEADER_SIZE..], Compression::None, 39);
    let (_, errors) = read(&bytes, &mut Decompressor::new());
    assert!(matches!(errors[..], [RecordError::Corrupt { .. }]), "{errors:?}");
}

#[test]
fn unknown_formats_and_codecs_are_named() {
    let mut bytes = batch(Compression::None).to_vec();
    bytes[ATTRIBUTES + 1] = 5;
    let (_, errors) = read(&bytes.clone().into(), &mut Decompressor::new());
    assert_eq!(errors, [RecordError::UnknownCompression { offset: 0, id: 5 }]);
    bytes[MAGIC] = 3;
    let (_, errors) = read(&bytes.into(), &mut Decompressor::new());
    assert_eq!(errors, [RecordError::Magic { offset: 0, magic: 3 }]);
}

/// The batch of 8 MiB of zeros in one record, which packs to a few kilobytes.
fn bomb(compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::with_compression(compression));
    builder.push(0, None, Some(&vec![0; 8 << 20]), []).unwrap();
    builder.build(ProducerFields::NONE).unwrap()
}

#[test]
fn bombs_stop_at_the_limit() {
    let limit = 1 << 20;
    for compression in &Compression::ALL[1..] {
        let bytes = bomb(*compression);
        let mut small = Decompressor::with_limit(limit);
        let (_, errors) = read(&bytes, &mut small);
        let wanted =
            RecordError::DecompressedTooLarge { offset: 0, compression: *compression, limit };
        assert_eq!(errors, [wanted]);
        // With room it is a batch like others, also for the same decompressor after an error.
        let (count, errors) = read(&bytes, &mut Decompressor::new());
        assert_eq!((count, errors), (1, vec![]), "{compression}");
        assert_eq!(read(&batch(*compression), &mut small).0, 40, "{compression}");
    }
}
