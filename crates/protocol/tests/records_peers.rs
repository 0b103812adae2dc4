//! The `kafka-protocol` crate reads what we write and we read what it writes (v2, no codec; it
//! loses duplicate header keys and refuses keys that are not UTF-8, so there are none here).
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as peer;
use proptest::prelude::*;
use roka_protocol::records::{
    Batch, BatchBuilder, BatchOptions, Decompressor, Header, ProducerFields,
};

#[derive(Debug, Clone)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Owned {
    fn headers(&self) -> impl Iterator<Item = Header<'_>> + Clone {
        self.headers.iter().map(|(key, value)| (key.as_bytes(), value.as_deref()))
    }

    fn for_peer(&self, offset: i64) -> peer::Record {
        let owned = |bytes: &Option<Vec<u8>>| bytes.clone().map(Bytes::from);
        peer::Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: 9,
            producer_epoch: 1,
            timestamp_type: peer::TimestampType::Creation,
            offset,
            sequence: offset as i32,
            timestamp: self.timestamp,
            key: owned(&self.key),
            value: owned(&self.value),
            headers: self
                .headers
                .iter()
                .map(|(key, value)| (StrBytes::from_string(key.clone()), owned(value)))
                .collect::<IndexMap<_, _>>(),
        }
    }
}

prop_compose! {
    fn record()(
        // Their reader adds deltas unchecked.
        timestamp in 0..1i64 << 60,
        key in prop::option::of(prop::collection::vec(any::<u8>(), 0..100)),
        value in prop::option::of(prop::collection::vec(any::<u8>(), 0..2_000)),
        headers in prop::collection::btree_map(".{0,8}", prop::option::of(prop::collection::vec(any::<u8>(), 0..100)), 0..4),
    ) -> Owned {
        Owned { timestamp, key, value, headers: headers.into_iter().collect() }
    }
}

const PRODUCER: ProducerFields =
    ProducerFields { id: 9, epoch: 1, base_sequence: 0, transactional: false };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn they_read_what_we_write(records in prop::collection::vec(record(), 1..50)) {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for record in &records {
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            builder.push(record.timestamp, key, value, record.headers()).unwrap();
        }
        let mut bytes = builder.build(PRODUCER).unwrap();
        let set = peer::RecordBatchDecoder::decode(&mut bytes).unwrap();
        let wanted: Vec<_> =
            (0..).zip(&records).map(|(offset, record)| record.for_peer(offset)).collect();
        prop_assert_eq!(set.records, wanted);
    }

    #[test]
    fn we_read_what_they_write(records in prop::collection::vec(record(), 1..50)) {
        let theirs: Vec<_> =
            (0..).zip(&records).map(|(offset, record)| record.for_peer(offset)).collect();
        let mut bytes = BytesMut::new();
        let options = peer::RecordEncodeOptions { version: 2, compression: peer::Compression::None };
        peer::RecordBatchEncoder::encode(&mut bytes, &theirs, &options).unwrap();
        let batch = Batch::from_produce(&bytes.freeze()).unwrap();
        prop_assert_eq!(batch.count(), Some(records.len()));
        let newest = records.iter().map(|record| record.timestamp).max().unwrap();
        prop_assert_eq!(batch.max_timestamp(), newest);
        let mut decompressor = Decompressor::new();
        for (index, record) in batch.records(&mut decompressor).unwrap().enumerate() {
            let (record, wanted) = (record.unwrap(), &records[index]);
            prop_assert_eq!(record.offset, index as i64);
            prop_assert_eq!(record.timestamp_ms, wanted.timestamp);
            prop_assert_eq!(record.key, wanted.key.as_deref());
            prop_assert_eq!(record.value, wanted.value.as_deref());
            prop_assert!(record.headers.eq(wanted.headers()));
        }
    }
}
