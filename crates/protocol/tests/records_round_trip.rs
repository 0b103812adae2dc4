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
