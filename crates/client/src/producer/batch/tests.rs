use std::sync::Arc;

use roka_protocol::records::Header;

use super::super::receipt::{Completion, Receipt};
use super::*;

const HEADERS: [Header<'static>; 2] = [(b"h", Some(b"1")), (b"h", None)];

fn batch(compression: Compression, count: usize, headers: bool) -> Batch {
    let mut builder = BatchBuilder::new(BatchOptions::with_compression(compression));
    for i in 0..count {
        let (key, value) = (format!("key-{i}"), "v".repeat(50));
        let value = (i % 3 != 0).then_some(value.as_bytes());
        let headers = HEADERS.iter().copied().take(if headers { 2 } else { 0 });
        builder.push(1000 + i as i64, Some(key.as_bytes()), value, headers).unwrap();
    }
    let bytes = builder.size();
    Batch::new(builder, headers, bytes, Instant::now(), None)
}

fn fields(base_sequence: i32) -> ProducerFields {
    ProducerFields { id: 7, epoch: 2, base_sequence, transactional: false }
}

/// Timestamp, key, value, headers of each record, as text.
fn records(bytes: &Bytes) -> Vec<String> {
    let mut records = Vec::new();
    each_record(bytes, |_, timestamp, key, value, headers| {
        records.push(format!("{timestamp} {key:?} {value:?} {:?}", headers.collect::<Vec<_>>()));
        Ok(())
    })
    .unwrap();
    records
}

fn read(bytes: &Bytes) -> roka_protocol::records::Batch {
    let batch = Batches::new(bytes.clone()).next().unwrap().unwrap();
    batch.validate_crc().unwrap();
    batch
}

#[test]
fn a_repetition_is_byte_identical_and_a_new_sequence_keeps_the_records() {
    for compression in Compression::ALL {
        for early in [false, true] {
            let mut it = batch(compression, 20, true);
            let plain = records(
                &batch(Compression::None, 20, true).encode(Format::Batch(fields(0))).unwrap(),
            );
            if early {
                assert!(it.compress().is_some());
            }
            let first = it.encode(Format::Batch(fields(40))).unwrap();
            assert_eq!(it.encode(Format::Batch(fields(40))).unwrap(), first);
            assert_eq!((read(&first).producer_id(), read(&first).base_sequence()), (7, 40));

            let kept = first.clone();
            let renumbered = it.encode(Format::Batch(fields(0))).unwrap();
            assert_eq!(read(&renumbered).base_sequence(), 0);
            assert_eq!(
                read(&kept).base_sequence(),
                40,
                "what a socket still writes is not touched"
            );
            assert_eq!(records(&first), plain);
            assert_eq!(records(&renumbered), plain);
        }
    }
}

#[test]
fn the_format_follows_the_broker() {
    let mut it = batch(Compression::Gzip, 9, false);
    let v2 = it.encode(Format::Batch(ProducerFields::NONE)).unwrap();
    let v1 = it.encode(Format::MessageSet).unwrap();
    assert_eq!((read(&v2).magic(), read(&v1).magic()), (2, 1));
    let again = it.encode(Format::Batch(ProducerFields::NONE)).unwrap();
    assert_eq!(records(&again), records(&v2));
    assert!(
        batch(Compression::None, 1, true).encode(Format::MessageSet).is_err(),
        "no headers there"
    );
}

#[test]
fn a_split_keeps_order_memory_and_receipts() {
    for (compression, count) in
        [(Compression::None, 2), (Compression::None, 3), (Compression::Lz4, 100)]
    {
        let mut whole = batch(compression, count, true);
        let completion = Arc::new(Completion::new("t".into(), 0));
        whole.promise = Some(Promise::new(completion.clone(), count as u32));
        whole.generation = 4;
        let bytes = whole.bytes();
        let plain = records(&whole.encode(Format::Batch(fields(0))).unwrap());
        let mut parts = whole.split().unwrap();
        assert_eq!(parts[0].bytes() + parts[1].bytes(), bytes);
        assert_eq!(parts[0].count() + parts[1].count(), count as i32);
        assert!(parts.iter().all(|part| part.count() > 0 && part.generation == 4));
        let halves: Vec<_> = parts
            .iter_mut()
            .flat_map(|part| records(&part.encode(Format::Batch(fields(0))).unwrap()))
            .collect();
        assert_eq!(halves, plain);
        let [first, second] = parts;
        let at = first.count();
        second.finish(Ok(Written { base_offset: 70, append_time_ms: -1 }));
        let offset = |i| Receipt::new(completion.clone(), i as u32, 0).outcome();
        assert_eq!(offset(at).unwrap().unwrap().offset, Some(70));
        assert!(offset(at - 1).is_none());
        drop(first);
        assert!(offset(0).unwrap().is_err());
    }
}

#[test]
fn the_buffer_comes_back_when_nobody_writes_it_any_more() {
    let mut it = batch(Compression::None, 1000, false);
    let bytes = it.encode(Format::Batch(fields(0))).unwrap();
    let size = bytes.len();
    drop(bytes);
    let mut builder = it.finish(Ok(Written { base_offset: 0, append_time_ms: -1 })).unwrap();
    assert!(builder.is_empty());
    builder.push(0, None, None, []).unwrap();
    let again = builder.build(ProducerFields::NONE).unwrap();
    assert!(again.len() < size);
    assert!(Vec::from(again).capacity() >= size, "the same memory");
}
