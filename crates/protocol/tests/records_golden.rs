//! Batches written by Kafka's own classes (`golden/Golden.java`, kafka-clients 3.9.2): all formats,
//! codecs and timestamp types, markers, compaction. We read them, and where no codec is between,
//! we write the same bytes.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::Bytes;
use roka_protocol::records::{
    Batch, BatchBuilder, BatchOptions, Batches, Compression, ControlBatch, ControlRecord,
    Decompressor, Header, MessageFormat, MessageSetBuilder, ProducerFields, RebuildBatch,
    TimestampType, encode_control_batch, patch_base_offset, patch_leader_epoch,
    patch_max_timestamp,
};

const BASE: i64 = 1_700_000_000_000;
const APPENDED: i64 = 1_700_000_099_000;
const FIRST: i64 = 1000;

struct Expected {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Expected {
    fn new(timestamp: i64, key: Option<&str>, value: Option<&str>) -> Self {
        let owned = |text: &str| text.as_bytes().to_vec();
        Self { timestamp, key: key.map(owned), value: value.map(owned), headers: Vec::new() }
    }

    fn headers(&self) -> impl Iterator<Item = Header<'_>> + Clone {
        self.headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }
}

/// What `Golden.java` writes; message sets have no headers.
fn expected(with_headers: bool) -> Vec<Expected> {
    let mut all = vec![
        Expected::new(BASE, Some("key"), Some("value")),
        Expected::new(BASE + 500, None, Some("no key")),
        Expected::new(BASE - 1000, Some("tombstone"), None),
        Expected::new(BASE + 1, Some(""), Some("")),
    ];
    all[0].headers = vec![
        (b"a".to_vec(), Some(b"1".to_vec())),
        (b"a".to_vec(), None),
        (b"".to_vec(), Some(b"2".to_vec())),
        (b"b".to_vec(), Some(b"".to_vec())),
    ];
    for i in 4..40 {
        let (key, value) = (format!("key-{i}"), "value ".repeat(i % 12));
        let mut record = Expected::new(BASE + 100 * i as i64, Some(&key), Some(&value));
        record.headers = vec![(b"i".to_vec(), Some(i.to_string().into_bytes()))];
        all.push(record);
    }
    if !with_headers {
        for record in &mut all {
            record.headers.clear();
        }
    }
    all
}

fn golden(name: &str) -> Bytes {
    let path = format!("{}/tests/golden/{name}.bin", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap().into()
}

/// Compares every record with the expected one; `timestamp` overrules theirs.
fn check(name: &str, offsets: impl Fn(usize) -> bool, timestamp: impl Fn(i64) -> i64) {
    let mut wanted: Vec<_> = expected(name.starts_with("v2")).into_iter().enumerate().collect();
    wanted.retain(|(index, _)| offsets(*index));
    let mut wanted = wanted.into_iter();
    let mut decompressor = Decompressor::new();
    let mut next = FIRST;
    for batch in Batches::new(golden(name)) {
        let batch = batch.unwrap();
        batch.validate_crc().unwrap();
        for record in batch.records(&mut decompressor).unwrap() {
            let record = record.unwrap();
            let (index, expected) = wanted.next().unwrap();
            assert_eq!(record.offset, FIRST + index as i64, "{name}");
            assert_eq!(record.timestamp_ms, timestamp(expected.timestamp), "{name} {index}");
            assert_eq!(record.key, expected.key.as_deref(), "{name} {index}");
            assert_eq!(record.value, expected.value.as_deref(), "{name} {index}");
            assert!(record.headers.eq(expected.headers()), "{name} {index}");
        }
        next = batch.next_offset();
    }
    assert_eq!(wanted.count(), 0, "{name}: records are missing");
    assert_eq!(next, FIRST + 40, "{name}: the place after it");
}

#[test]
fn all_formats_and_codecs_of_java_are_read() {
    for codec in Compression::ALL {
        check(&format!("v2-{codec}"), |_| true, |timestamp| timestamp);
        if codec != Compression::Zstd {
            check(&format!("v1-{codec}"), |_| true, |timestamp| timestamp);
            // The LZ4 frame in v0 has the wrong checksum that Kafka's producers wrote.
            check(&format!("v0-{codec}"), |_| true, |_| -1);
        }
    }
}

#[test]
fn append_time_counts_for_all_records() {
    for name in ["v1-gzip-append", "v2-none-append"] {
        check(name, |_| true, |_| APPENDED);
        let batch = Batch::read(&golden(name)).unwrap().unwrap();
        assert_eq!(batch.timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(batch.max_timestamp(), APPENDED);
    }
}

#[test]
fn header_of_a_transactional_batch() {
    let batch = Batch::read(&golden("v2-lz4-txn")).unwrap().unwrap();
    assert!(batch.is_transactional() && !batch.is_control());
    assert_eq!((batch.producer_id(), batch.producer_epoch(), batch.base_sequence()), (4711, 3, 77));
    assert_eq!((batch.base_offset(), batch.last_offset(), batch.leader_epoch()), (1000, 1039, 9));
    assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (BASE, BASE + 3900));
    assert_eq!((batch.count(), batch.compression()), (Some(40), Compression::Lz4));
    assert_eq!(batch.header().last_sequence(), Some(116));
}

#[test]
fn compaction_leaves_gaps_and_the_place_after_them() {
    check("v2-compacted", |index| (FIRST + index as i64) % 3 == 0, |timestamp| timestamp);
    check("v2-emptied", |_| false, |timestamp| timestamp);
    let emptied = Batch::read(&golden("v2-emptied")).unwrap().unwrap();
    assert_eq!((emptied.count(), emptied.next_offset()), (Some(0), 1040));
    assert_eq!(emptied.header().last_sequence(), Some(116));
}

/// The batch as a broker would have it: with base offset and epoch of the golden files.
fn appended(batch: &Bytes) -> Vec<u8> {
    let mut batch = batch.to_vec();
    patch_base_offset(&mut batch, FIRST).unwrap();
    patch_leader_epoch(&mut batch, 9).unwrap();
    batch
}

fn build(compression: Compression, producer: ProducerFields) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::with_compression(compression));
    for record in expected(true) {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder.push(record.timestamp, key, value, record.headers()).unwrap();
    }
    builder.build(producer).unwrap()
}

#[test]
fn our_batches_are_the_bytes_java_writes() {
    let mut batch = appended(&build(Compression::None, ProducerFields::NONE));
    assert_eq!(batch, golden("v2-none"));
    patch_max_timestamp(&mut batch, TimestampType::LogAppendTime, APPENDED).unwrap();
    assert_eq!(batch, golden("v2-none-append"));
}

#[test]
fn our_message_sets_are_the_bytes_java_writes() {
    for (format, name) in [(MessageFormat::V0, "v0-none"), (MessageFormat::V1, "v1-none")] {
        let mut set = MessageSetBuilder::new(format, Compression::None).unwrap();
        for (offset, record) in (FIRST..).zip(expected(false)) {
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            set.push(offset, record.timestamp, key, value).unwrap();
        }
        assert_eq!(set.build().unwrap(), golden(name), "{name}");
    }
}

#[test]
fn our_markers_are_the_bytes_java_writes() {
    let batch = ControlBatch {
        base_offset: 500,
        leader_epoch: 9,
        timestamp_ms: BASE,
        producer_id: 4711,
        producer_epoch: 3,
    };
    for (name, marker) in [
        ("v2-abort", ControlRecord::Abort { coordinator_epoch: 12 }),
        ("v2-commit", ControlRecord::Commit { coordinator_epoch: 12 }),
    ] {
        let bytes = golden(name);
        assert_eq!(encode_control_batch(batch, marker).unwrap(), bytes, "{name}");
        let batch = Batch::read(&bytes).unwrap().unwrap();
        assert!(batch.is_control() && batch.is_transactional());
        let mut decompressor = Decompressor::new();
        let record = batch.records(&mut decompressor).unwrap().next().unwrap().unwrap();
        assert_eq!(ControlRecord::decode(&record), Ok(marker));
    }
}

#[test]
fn our_compaction_gives_the_bytes_of_javas() {
    let producer = ProducerFields { id: 4711, epoch: 3, base_sequence: 77, transactional: true };
    let source = appended(&build(Compression::None, producer));
    let source = Batch::read(&source.into()).unwrap().unwrap();
    let mut decompressor = Decompressor::new();
    for (name, every) in [("v2-compacted", Some(3)), ("v2-emptied", None)] {
        let mut rebuilt = RebuildBatch::new(&source).unwrap();
        if every.is_some() {
            // What is kept has tombstones; the cleaner of `Golden.java` runs in 1970.
            rebuilt.set_delete_horizon(0).unwrap();
        }
        for record in source.records(&mut decompressor).unwrap() {
            let record = record.unwrap();
            if every.is_some_and(|every| record.offset % every == 0) {
                rebuilt.push(&record).unwrap();
            }
        }
        assert_eq!(rebuilt.build().unwrap(), golden(name), "{name}");
    }
}
