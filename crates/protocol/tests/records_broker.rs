//! What brokers do with batches: check them, stamp them, rewrite them.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::Bytes;
use roka_protocol::records::{
    Batch, BatchBuilder, BatchHeader, BatchOptions, Batches, Compression, Decompressor, Header,
    MessageFormat, MessageSetBuilder, ProducerFields, RebuildBatch, RecordError, TimestampType,
    patch_base_offset, patch_leader_epoch, patch_max_timestamp, patch_producer,
};

const PRODUCER: ProducerFields =
    ProducerFields { id: 7, epoch: 1, base_sequence: i32::MAX - 1, transactional: true };

fn batch(compression: Compression, count: i64) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::with_compression(compression));
    let headers: [Header<'_>; 2] = [(b"h", Some(b"1")), (b"h", Some(b"2"))];
    for i in 0..count {
        let value = format!("value {i}");
        builder.push(1000 - i, Some(b"key"), Some(value.as_bytes()), headers).unwrap();
    }
    builder.build(PRODUCER).unwrap()
}

fn offsets_and_times(bytes: impl Into<Bytes>) -> Vec<(i64, i64)> {
    let mut decompressor = Decompressor::new();
    let mut all = Vec::new();
    for batch in Batches::new(bytes.into()) {
        let batch = batch.unwrap();
        batch.validate_crc().unwrap();
        for record in batch.records(&mut decompressor).unwrap() {
            let record = record.unwrap();
            all.push((record.offset, record.timestamp_ms));
        }
    }
    all
}

#[test]
fn stamps_leave_a_batch_valid() {
    for compression in Compression::ALL {
        let mut bytes = batch(compression, 3).to_vec();
        patch_base_offset(&mut bytes, 500).unwrap();
        patch_leader_epoch(&mut bytes, 4).unwrap();
        assert_eq!(offsets_and_times(bytes.clone()), [(500, 1000), (501, 999), (502, 998)]);
        patch_max_timestamp(&mut bytes, TimestampType::LogAppendTime, 7777).unwrap();
        assert_eq!(offsets_and_times(bytes.clone()), [(500, 7777), (501, 7777), (502, 7777)]);
        patch_max_timestamp(&mut bytes, TimestampType::CreateTime, 1000).unwrap();
        assert_eq!(offsets_and_times(bytes.clone()), [(500, 1000), (501, 999), (502, 998)]);
        patch_producer(&mut bytes, ProducerFields::NONE).unwrap();
        let header = BatchHeader::read(&bytes).unwrap().unwrap();
        assert_eq!((header.leader_epoch, header.producer_id), (4, -1));
        assert!(!header.is_transactional());
        assert_eq!(offsets_and_times(bytes).len(), 3);
    }
}

#[test]
fn stamps_of_messages() {
    for compression in [Compression::None, Compression::Lz4] {
        let mut set = MessageSetBuilder::new(MessageFormat::V1, compression).unwrap();
        for i in 0..2 {
            set.push(i, 1000, None, Some(b"v")).unwrap();
        }
        let mut stamped = Vec::new();
        for (batch, offset) in Batches::new(set.build().unwrap()).zip([51, 52]) {
            let mut bytes = batch.unwrap().bytes().to_vec();
            patch_base_offset(&mut bytes, offset).unwrap();
            patch_leader_epoch(&mut bytes, 4).unwrap();
            patch_max_timestamp(&mut bytes, TimestampType::LogAppendTime, 7777).unwrap();
            stamped.extend(offsets_and_times(bytes));
        }
        // Compressed it is one message, whose offset is that of the last inside.
        let first = if compression == Compression::None { 51 } else { 50 };
        assert_eq!(stamped, [(first, 7777), (first + 1, 7777)]);
    }
}

#[test]
fn a_batch_that_is_cut_is_not_stamped() {
    let bytes = batch(Compression::None, 1);
    for cut in 0..bytes.len() {
        let mut bytes = bytes[..cut].to_vec();
        assert!(patch_base_offset(&mut bytes, 1).is_err());
        assert!(patch_max_timestamp(&mut bytes, TimestampType::LogAppendTime, 1).is_err());
    }
}

#[test]
fn a_good_produce_request_is_taken() {
    for compression in Compression::ALL {
        let batch = Batch::from_produce(&batch(compression, 5)).unwrap();
        assert_eq!(batch.header().last_sequence(), Some(2), "sequences begin again at 0");
        let all = batch.check_records(&mut Decompressor::new(), true).unwrap();
        assert_eq!((all.count, all.max_timestamp, all.max_timestamp_offset), (5, 1000, 0));
    }
}

/// Changes a batch and makes its checksum right again.
fn with(change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut bytes = batch(Compression::None, 5).to_vec();
    change(&mut bytes);
    // Restamping what is there only computes the checksum again.
    if let Ok(Some(header)) = BatchHeader::read(&bytes) {
        patch_max_timestamp(&mut bytes, header.timestamp_type(), header.max_timestamp).unwrap();
    }
    bytes.into()
}

#[test]
fn a_bad_produce_request_is_refused() {
    let cases: [(&str, Bytes); 10] = [
        ("nothing", Bytes::new()),
        ("cut", batch(Compression::None, 1).slice(..70)),
        ("two batches", [batch(Compression::None, 1), batch(Compression::None, 1)].concat().into()),
        ("no records", BatchBuilder::new(BatchOptions::default()).build(PRODUCER).unwrap()),
        ("a control batch", with(|bytes| bytes[22] |= 0x20)),
        ("count 4 of 5", with(|bytes| bytes[60] = 4)),
        ("offsets 0 to 5 of 5", with(|bytes| bytes[26] = 5)),
        ("no sequence", with(|bytes| bytes[53..57].fill(0xff))),
        ("transactional without a producer", with(|bytes| bytes[43..51].fill(0xff))),
        ("an old format", {
            let mut set = MessageSetBuilder::new(MessageFormat::V1, Compression::None).unwrap();
            set.push(0, 0, None, None).unwrap();
            set.build().unwrap()
        }),
    ];
    for (what, bytes) in cases {
        let error = Batch::from_produce(&bytes).unwrap_err();
        assert!(matches!(error, RecordError::Invalid { .. }), "{what}: {error}");
    }
    let mut spoiled = batch(Compression::None, 1).to_vec();
    *spoiled.last_mut().unwrap() ^= 1;
    let error = Batch::from_produce(&spoiled.into()).unwrap_err();
    assert!(matches!(error, RecordError::Crc { offset: 0, .. }), "{error}");
}

#[test]
fn bad_records_of_a_produce_request_are_refused() {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.push(0, None, Some(b"v"), []).unwrap();
    let keyless = Batch::from_produce(&builder.build(ProducerFields::NONE).unwrap()).unwrap();
    let mut decompressor = Decompressor::new();
    assert!(keyless.check_records(&mut decompressor, false).is_ok());
    let error = keyless.check_records(&mut decompressor, true).unwrap_err();
    assert!(matches!(error, RecordError::Invalid { .. }), "{error}");

    // The offset delta of the first record: after its length, attributes and timestamp.
    let gap = with(|bytes| bytes[64] = 2);
    let gap = Batch::from_produce(&gap).unwrap();
    let error = gap.check_records(&mut decompressor, false).unwrap_err();
    assert!(matches!(error, RecordError::Invalid { .. }), "{error}");
}

#[test]
fn a_rewritten_batch_keeps_all_but_the_records_left_out() {
    for compression in Compression::ALL {
        let mut bytes = batch(compression, 10).to_vec();
        patch_base_offset(&mut bytes, 90).unwrap();
        let source = Batch::read(&bytes.into()).unwrap().unwrap();
        let mut decompressor = Decompressor::new();
        let mut rebuilt = RebuildBatch::new(&source).unwrap();
        for record in source.records(&mut decompressor).unwrap() {
            let record = record.unwrap();
            if matches!(record.offset, 92 | 95) {
                rebuilt.push(&record).unwrap();
                assert!(rebuilt.push(&record).is_err(), "twice");
            }
        }
        assert_eq!(rebuilt.len(), 2);
        let batch = Batch::read(&rebuilt.build().unwrap()).unwrap().unwrap();
        assert_eq!(offsets_and_times(batch.bytes().clone()), [(92, 998), (95, 995)]);
        assert_eq!((batch.base_offset(), batch.next_offset()), (90, 100));
        assert_eq!((batch.max_timestamp(), batch.compression()), (998, compression));
        assert_eq!(batch.base_sequence(), source.base_sequence());
        assert_eq!(batch.header().last_sequence(), source.header().last_sequence());
        let record = batch.records(&mut decompressor).unwrap().next().unwrap().unwrap();
        let headers: Vec<_> = record.headers.collect();
        assert_eq!(headers, [(&b"h"[..], Some(&b"1"[..])), (b"h", Some(b"2"))]);
    }
}

#[test]
fn a_rewritten_batch_keeps_its_append_time() {
    let mut bytes = batch(Compression::Zstd, 3).to_vec();
    patch_max_timestamp(&mut bytes, TimestampType::LogAppendTime, 7777).unwrap();
    let source = Batch::read(&bytes.into()).unwrap().unwrap();
    let mut decompressor = Decompressor::new();
    let mut rebuilt = RebuildBatch::new(&source).unwrap();
    let last = source.records(&mut decompressor).unwrap().last().unwrap().unwrap();
    rebuilt.push(&last).unwrap();
    assert_eq!(offsets_and_times(rebuilt.build().unwrap()), [(2, 7777)]);
}
