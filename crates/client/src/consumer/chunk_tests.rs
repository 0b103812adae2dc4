//! Chunks and cursors: both must show the same records.

use bytes::{Bytes, BytesMut};
use roka_protocol::{
    messages::fetch::AbortedTransaction,
    records::{
        BatchBuilder, BatchOptions, Compression, ControlBatch, ControlRecord, Decompressor,
        ProducerFields, RecordError, encode_control_batch, patch_base_offset, patch_leader_epoch,
    },
};

use super::{Chunk, Cursor, FetchError, Position, chunk::Span};
use crate::TopicPartition;

/// Batches one after the other, as a broker sends them.
#[derive(Default)]
struct Log {
    bytes: BytesMut,
}

impl Log {
    fn batch(self, base: i64, records: i64) -> Self {
        self.batch_of(base, records, ProducerFields::NONE, Compression::None)
    }

    fn batch_of(
        mut self,
        base: i64,
        records: i64,
        producer: ProducerFields,
        compression: Compression,
    ) -> Self {
        let mut builder = BatchBuilder::new(BatchOptions::with_compression(compression));
        for i in 0..records {
            let value = (base + i).to_string();
            builder.push(i, None, Some(value.as_bytes()), std::iter::empty()).unwrap();
        }
        let mut batch = builder.build(producer).unwrap().to_vec();
        patch_base_offset(&mut batch, base).unwrap();
        patch_leader_epoch(&mut batch, 4).unwrap();
        self.bytes.extend_from_slice(&batch);
        self
    }

    fn transactional(self, base: i64, records: i64, producer_id: i64) -> Self {
        let producer =
            ProducerFields { id: producer_id, epoch: 0, base_sequence: 0, transactional: true };
        self.batch_of(base, records, producer, Compression::Lz4)
    }

    fn marker(mut self, offset: i64, producer_id: i64, marker: ControlRecord) -> Self {
        let batch = ControlBatch {
            base_offset: offset,
            leader_epoch: 4,
            timestamp_ms: 0,
            producer_id,
            producer_epoch: 0,
        };
        self.bytes.extend_from_slice(&encode_control_batch(batch, marker).unwrap());
        self
    }

    /// The chunk of a response from `offset` on.
    fn chunk(self, offset: i64) -> Chunk {
        let records = self.bytes.freeze();
        let span = Span::of(&records);
        Chunk {
            partition: TopicPartition::new("t", 3),
            tag: 0,
            offset,
            next: span.next.unwrap_or(Position::at(offset)),
            high_watermark: 100,
            last_stable_offset: 100,
            log_start_offset: 0,
            records: records.slice(..span.bytes),
            aborted: Vec::new(),
            check_crcs: true,
            credit: None,
        }
    }
}

const ABORT: ControlRecord = ControlRecord::Abort { coordinator_epoch: 0 };
const COMMIT: ControlRecord = ControlRecord::Commit { coordinator_epoch: 0 };

/// The offsets that a reader sees, by both ways of reading.
fn seen(chunk: Chunk) -> Vec<i64> {
    let mut offsets = Vec::new();
    chunk
        .for_each(&mut Decompressor::new(), |record| {
            assert_eq!(record.value.unwrap(), record.offset.to_string().as_bytes());
            offsets.push(record.offset);
        })
        .unwrap();
    let mut cursor = Cursor::new(chunk);
    let mut by_cursor = Vec::new();
    loop {
        let peeked = cursor.peek().unwrap().map(|record| record.offset);
        let Some(record) = cursor.next().unwrap() else {
            assert_eq!(peeked, None);
            break;
        };
        assert_eq!(peeked, Some(record.offset));
        by_cursor.push(record.offset);
    }
    assert_eq!(offsets, by_cursor);
    offsets
}

#[test]
fn records_below_the_wanted_offset_are_passed_over() {
    let chunk = Log::default().batch(0, 5).batch(5, 5).chunk(7);
    assert_eq!(chunk.next(), Position { offset: 10, leader_epoch: Some(4) });
    assert_eq!(seen(chunk), [7, 8, 9]);
}

#[test]
fn a_compressed_batch_is_entered_in_its_middle() {
    let log = Log::default().batch_of(10, 5, ProducerFields::NONE, Compression::Zstd);
    assert_eq!(seen(log.batch(15, 2).chunk(13)), [13, 14, 15, 16]);
}

#[test]
fn gaps_of_compaction_do_not_hold_up_the_position() {
    // Everything of the second batch is compacted away but its end.
    let chunk = Log::default().batch(0, 2).batch(40, 1).chunk(2);
    assert_eq!(chunk.next().offset, 41);
    assert_eq!(seen(chunk), [40]);
}

#[test]
fn a_chunk_with_nothing_to_see_still_moves_the_position() {
    let chunk = Log::default().marker(5, 9, COMMIT).chunk(5);
    assert_eq!(chunk.next().offset, 6);
    assert_eq!(seen(chunk), [0; 0]);
}

#[test]
fn a_batch_that_is_cut_is_left_for_the_next_fetch() {
    let mut log = Log::default().batch(0, 3).batch(3, 3);
    let len = log.bytes.len();
    log.bytes.truncate(len - 1);
    let chunk = log.chunk(0);
    assert_eq!(chunk.next().offset, 3);
    assert_eq!(seen(chunk), [0, 1, 2]);
    let mut log = Log::default().batch(0, 3);
    log.bytes.truncate(30);
    assert_eq!(Span::of(&log.bytes), Span { next: None, bytes: 0, broken: false });
}

/// Two producers: 1 aborts its first transaction and commits its second, 2 commits.
fn transactions() -> Chunk {
    Log::default()
        .transactional(0, 2, 1)
        .transactional(2, 2, 2)
        .transactional(4, 1, 1)
        .marker(5, 1, ABORT)
        .transactional(6, 2, 1)
        .batch(8, 1)
        .marker(9, 2, COMMIT)
        .marker(10, 1, COMMIT)
        .chunk(0)
}

#[test]
fn read_uncommitted_sees_aborted_records_but_no_markers() {
    assert_eq!(seen(transactions()), [0, 1, 2, 3, 4, 6, 7, 8]);
}

#[test]
fn read_committed_does_not_see_aborted_records() {
    let mut chunk = transactions();
    chunk.aborted = vec![AbortedTransaction { producer_id: 1, first_offset: 0 }];
    assert_eq!(seen(chunk), [2, 3, 6, 7, 8]);
}

#[test]
fn the_list_of_aborted_transactions_may_be_unsorted_and_double() {
    let log = Log::default()
        .transactional(0, 1, 1)
        .marker(1, 1, ABORT)
        .transactional(2, 1, 2)
        .marker(3, 2, ABORT)
        .transactional(4, 1, 1)
        .marker(5, 1, ABORT)
        .marker(6, 1, ABORT)
        .transactional(7, 1, 1);
    let mut chunk = log.chunk(0);
    chunk.aborted = [(1, 4), (2, 2), (1, 0), (1, 0)]
        .map(|(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset })
        .to_vec();
    assert_eq!(seen(chunk), [7]);
}

/// The error of both ways of reading, and what was seen before it.
fn failed(chunk: Chunk) -> (Vec<i64>, FetchError) {
    let mut offsets = Vec::new();
    let error =
        chunk.for_each(&mut Decompressor::new(), |record| offsets.push(record.offset)).unwrap_err();
    let mut cursor = Cursor::new(chunk);
    for _ in &offsets {
        cursor.next().unwrap().unwrap();
    }
    assert_eq!(cursor.next().unwrap_err(), error);
    assert_eq!(cursor.next().unwrap(), None, "nothing after an error");
    (offsets, error)
}

#[test]
fn a_wrong_checksum_is_met_by_the_reader_and_names_where_to_go_on() {
    let mut log = Log::default().batch(0, 3).batch(3, 3);
    let last = log.bytes.len() - 1;
    log.bytes[last] ^= 1;
    let (seen, error) = failed(log.chunk(0));
    assert_eq!(seen, [0, 1, 2]);
    let FetchError::Corrupt { partition, offset: 3, error: RecordError::Crc { .. } } = error else {
        panic!("{error}")
    };
    assert_eq!(partition.to_string(), "t-3");
}

#[test]
fn checksums_can_be_left_out() {
    let mut log = Log::default().batch(0, 3);
    // In the timestamp of the last record.
    let last = log.bytes.len() - 6;
    log.bytes[last] ^= 1;
    let mut chunk = log.chunk(0);
    assert!(chunk.for_each(&mut Decompressor::new(), |_| ()).is_err());
    chunk.check_crcs = false;
    chunk.for_each(&mut Decompressor::new(), |_| ()).unwrap();
}

#[test]
fn bytes_that_are_no_batch_are_met_by_the_reader() {
    let mut log = Log::default().batch(0, 2);
    let whole = log.bytes.len();
    log.bytes.extend_from_slice(&[0xff; 64]);
    assert_eq!(Span::of(&log.bytes).bytes, whole + 64);
    assert!(Span::of(&log.bytes).broken);
    assert_eq!(Span::of(&log.bytes).next.unwrap().offset, 2);
    let (seen, error) = failed(log.chunk(0));
    assert_eq!(seen, [0, 1]);
    assert!(matches!(error, FetchError::Corrupt { offset: 2, .. }), "{error}");
}

#[test]
fn a_message_set_of_an_old_broker_is_read() {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for i in 0..3 {
        let value = i.to_string();
        builder.push(7, None, Some(value.as_bytes()), std::iter::empty()).unwrap();
    }
    let bytes: Bytes = builder.build_message_set_v1().unwrap();
    let log = Log { bytes: BytesMut::from(&bytes[..]) };
    let chunk = log.chunk(1);
    assert_eq!(chunk.next().offset, 3);
    assert_eq!(seen(chunk), [1, 2]);
}

#[test]
fn a_marker_that_comes_twice_ends_one_transaction() {
    let mut chunk = Log::default()
        .transactional(0, 2, 1)
        .marker(2, 1, ABORT)
        .marker(3, 1, ABORT)
        .marker(4, 9, ABORT)
        .transactional(5, 2, 1)
        .marker(7, 1, COMMIT)
        .transactional(8, 2, 1)
        .marker(10, 1, ABORT)
        .marker(11, 1, ABORT)
        .batch(12, 1)
        .chunk(0);
    chunk.aborted = [(1, 8), (1, 0)]
        .map(|(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset })
        .to_vec();
    assert_eq!(chunk.next().offset, 13);
    assert_eq!(seen(chunk), [5, 6, 12]);
}

#[test]
fn a_transaction_that_began_before_the_chunk_is_aborted_in_it() {
    // The reader begins in the midst of it; the broker names its first offset, which lies before.
    let mut chunk = Log::default()
        .transactional(10, 2, 1)
        .transactional(12, 1, 2)
        .marker(13, 1, ABORT)
        .transactional(14, 1, 1)
        .marker(15, 2, COMMIT)
        .chunk(11);
    chunk.aborted = vec![AbortedTransaction { producer_id: 1, first_offset: 3 }];
    assert_eq!(seen(chunk), [12, 14]);
}

#[test]
fn records_outside_of_transactions_are_never_hidden() {
    // The same producer id, but the batch is not of a transaction.
    let plain = ProducerFields { id: 1, epoch: 0, base_sequence: 0, transactional: false };
    let mut chunk = Log::default()
        .transactional(0, 1, 1)
        .batch_of(1, 1, plain, Compression::None)
        .marker(2, 1, ABORT)
        .chunk(0);
    chunk.aborted = vec![AbortedTransaction { producer_id: 1, first_offset: 0 }];
    assert_eq!(seen(chunk), [1]);
}
