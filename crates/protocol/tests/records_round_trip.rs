//! What a builder writes, the iteration reads, for every codec and any records.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use roka_protocol::records::{
    BatchBuilder, BatchOptions, Batches, Compression, Decompressor, Header, ProducerFields,
};

/// A record that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Owned {
    fn headers(&self) -> impl Iterator<Item = Header<'_>> + Clone {
        self.headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }
}

fn build(records: &[Owned], compression: Compression, producer: ProducerFields) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::with_compression(compression));
    for (index, record) in records.iter().enumerate() {
        let bound = builder.estimated_size_with(
            record.key.as_deref(),
            record.value.as_deref(),
            record.headers(),
        );
        let at = builder
            .push(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                record.headers(),
            )
            .unwrap();
        assert_eq!(at, index);
        assert!(builder.size() <= bound);
    }
    builder.build(producer).unwrap()
}

fn read(bytes: Bytes) -> Vec<(i64, Owned)> {
    let mut decompressor = Decompressor::new();
    let mut all = Vec::new();
    for batch in Batches::new(bytes) {
        let batch = batch.unwrap();
        batch.validate_crc().unwrap();
        for record in batch.records(&mut decompressor).unwrap() {
            let record = record.unwrap();
            all.push((
                record.offset,
                Owned {
                    timestamp: record.timestamp_ms,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    headers: record
                        .headers
                        .map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)))
                        .collect(),
                },
            ));
        }
    }
    all
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        // What compresses.
        (any::<u8>(), 0..5000usize).prop_map(|(byte, size)| vec![byte; size]),
    ]
}

prop_compose! {
    fn record()(
        timestamp in any::<i64>(),
        key in prop::option::of(bytes()),
        value in prop::option::of(bytes()),
        headers in prop::collection::vec((bytes(), prop::option::of(bytes())), 0..4),
    ) -> Owned {
        Owned { timestamp, key, value, headers }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_records_come_back(records in prop::collection::vec(record(), 1..20)) {
        for compression in Compression::ALL {
            let back = read(build(&records, compression, ProducerFields::NONE));
            prop_assert_eq!(back.len(), records.len());
            for (index, (offset, record)) in back.into_iter().enumerate() {
                prop_assert_eq!(offset, index as i64);
                prop_assert_eq!(&record, &records[index]);
            }
        }
    }
}

#[test]
fn header_fields_come_back() {
    let record = Owned { timestamp: 5, key: None, value: None, headers: vec![] };
    let later = Owned { timestamp: 9, ..record.clone() };
    let producer =
        ProducerFields { id: 4711, epoch: 3, base_sequence: 2_000_000_000, transactional: true };
    let bytes = build(&[record.clone(), later, record], Compression::None, producer);
    let batch = Batches::new(bytes.clone()).next().unwrap().unwrap();
    assert_eq!(batch.bytes(), &bytes);
    assert_eq!((batch.base_offset(), batch.last_offset(), batch.next_offset()), (0, 2, 3));
    assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (5, 9));
    assert_eq!((batch.producer_id(), batch.producer_epoch()), (4711, 3));
    assert_eq!(batch.base_sequence(), 2_000_000_000);
    assert_eq!((batch.count(), batch.magic(), batch.leader_epoch()), (Some(3), 2, -1));
    assert!(batch.is_transactional() && !batch.is_control());
}

#[test]
fn a_batch_that_is_cut_ends_the_iteration_at_every_byte() {
    let record = Owned { timestamp: 1, key: None, value: Some(b"value".to_vec()), headers: vec![] };
    let batch = build(std::slice::from_ref(&record), Compression::None, ProducerFields::NONE);
    let mut two = BytesMut::from(&batch[..]);
    two.extend_from_slice(&batch);
    let two = two.freeze();
    for cut in batch.len()..two.len() {
        let mut batches = Batches::new(two.slice(..cut));
        assert!(batches.next().unwrap().is_ok());
        assert!(batches.next().is_none());
        assert_eq!(batches.rest().len(), cut - batch.len());
        let seen = cut - batch.len() >= 12;
        assert_eq!(batches.cut_size(), seen.then_some(batch.len()));
    }
    assert_eq!(Batches::new(two).count(), 2);
}

#[test]
fn message_sets_come_back() {
    use roka_protocol::records::{MessageFormat, MessageSetBuilder, TimestampType};

    for format in [MessageFormat::V0, MessageFormat::V1] {
        for compression in &Compression::ALL[..4] {
            for append_time in [false, true] {
                let kind = if append_time {
                    TimestampType::LogAppendTime
                } else {
                    TimestampType::CreateTime
                };
                let mut set =
                    MessageSetBuilder::new(format, *compression).unwrap().timestamp_type(kind);
                // As down-conversion of a compacted log has it: with gaps.
                for offset in [100, 101, 105, 200] {
                    set.push(offset, offset * 10, Some(b"k"), Some(b"value")).unwrap();
                }
                assert!(set.push(200, 0, None, None).is_err(), "offsets must rise");
                let back: Vec<_> = read(set.build().unwrap())
                    .into_iter()
                    .map(|(offset, record)| (offset, record.timestamp))
                    .collect();
                let wanted = [100, 101, 105, 200].map(|offset| {
                    let timestamp = match (format, append_time, compression) {
                        (MessageFormat::V0, ..) => -1,
                        // The time of the wrapper counts.
                        (_, true, codec) if *codec != Compression::None => 2000,
                        _ => offset * 10,
                    };
                    (offset, timestamp)
                });
                assert_eq!(back, wanted, "{format:?} {compression} {append_time}");
            }
        }
    }
}

#[test]
fn a_builder_gives_a_message_set_for_old_brokers() {
    for compression in &Compression::ALL[..4] {
        let mut builder = BatchBuilder::new(BatchOptions::with_compression(*compression));
        for i in 0..50i64 {
            builder.push(i * 7, Some(b"k"), (i != 3).then_some(b"v".as_slice()), []).unwrap();
        }
        let bytes = builder.build_message_set_v1().unwrap();
        assert!(builder.is_empty());
        let first = Batches::new(bytes.clone()).next().unwrap().unwrap();
        assert_eq!((first.magic(), first.compression()), (1, *compression));
        let back = read(bytes);
        assert_eq!(back.len(), 50);
        for (i, (offset, record)) in (0..).zip(back) {
            assert_eq!((offset, record.timestamp), (i, i * 7));
            assert_eq!(record.value.is_some(), i != 3);
        }
    }
}

#[test]
fn what_old_brokers_cannot_have_is_an_error_that_keeps_the_records() {
    use roka_protocol::records::RecordError;

    let mut builder = BatchBuilder::new(BatchOptions::default());
    let header: [Header<'_>; 1] = [(b"h", None)];
    builder.push(0, None, None, header).unwrap();
    let error = builder.build_message_set_v1().unwrap_err();
    assert_eq!(error.to_string(), "message format v1 has no headers; brokers since 0.11 have it");
    builder.set_compression(Compression::Zstd, None);
    let error = builder.build_message_set_v1().unwrap_err();
    assert!(matches!(error, RecordError::Unsupported { what: "zstd", .. }), "{error}");
    builder.set_compression(Compression::Gzip, Some(10));
    assert!(matches!(builder.build(ProducerFields::NONE), Err(RecordError::Level { .. })));
    builder.set_compression(Compression::Gzip, Some(9));
    let bytes = builder.build(ProducerFields::NONE).unwrap();
    assert_eq!(read(bytes)[0].1.headers, [(b"h".to_vec(), None)]);
}

#[test]
fn a_builder_is_used_again() {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let mut sizes = Vec::new();
    for round in 0..20i64 {
        for i in 0..=round % 7 * 50 {
            builder.push(round, None, Some(&i.to_be_bytes()), []).unwrap();
        }
        if round == 5 {
            builder.reset();
            builder.push(round, None, None, []).unwrap();
        }
        assert_eq!(builder.max_timestamp(), round);
        let size = builder.size();
        let bytes = builder.build(ProducerFields::NONE).unwrap();
        assert_eq!(bytes.len(), size);
        let kept = bytes.clone();
        sizes.push(read(bytes.clone()).len() as i64);
        // Somebody holds it on odd rounds, so that the memory cannot be taken.
        if round % 2 == 0 {
            drop(kept);
            builder.recycle(bytes);
        } else {
            builder.recycle(bytes);
            read(kept);
        }
    }
    let wanted = (0..20).map(|round| if round == 5 { 1 } else { round % 7 * 50 + 1 });
    assert_eq!(sizes, wanted.collect::<Vec<_>>());
}
