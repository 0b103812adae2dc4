//! A log against a model: whatever is done to it, it gives what the model says, in memory and on disk.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use roka_protocol::records::{
    BatchBuilder, BatchOptions, Batches, Compression, Decompressor, Header as RecordHeader,
    ProducerFields,
};

use super::{compact::Rules, *};

const ROLLING: Rolling = Rolling { segment_bytes: 1500, segment_ms: i64::MAX };

#[derive(Debug, Clone)]
enum Step {
    /// Keys and value lengths; no length is a tombstone.
    Append(Vec<(u8, Option<u8>)>, bool),
    Read(u16, u16),
    FindTime(u16),
    DeleteBefore(u16),
    TruncateBack(u16),
    Roll,
    Compact,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = (0u8..12, prop::option::weighted(0.8, any::<u8>()));
    let append = || (prop::collection::vec(record.clone(), 1..20), any::<bool>());
    let step = prop_oneof![
        8 => append().prop_map(|(records, packed)| Step::Append(records, packed)),
        6 => (any::<u16>(), 1u16..4000).prop_map(|(at, max)| Step::Read(at, max)),
        2 => any::<u16>().prop_map(Step::FindTime),
        1 => any::<u16>().prop_map(Step::DeleteBefore),
        1 => any::<u16>().prop_map(Step::TruncateBack),
        1 => Just(Step::Roll),
        1 => Just(Step::Compact),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..60)
}

/// What a log should hold.
#[derive(Debug, Default)]
struct Model {
    /// Key, value length and timestamp by offset.
    records: BTreeMap<i64, (u8, Option<u8>, i64)>,
    start: i64,
    end: i64,
    /// Tombstones that a compaction has seen may go at the next one.
    seen_tombstones: Vec<i64>,
}

impl Model {
    /// All of the log but the active segment, which begins at `active`.
    fn compact(&mut self, active: i64) {
        let sealed = self.records.range(..active);
        let newest: HashMap<u8, i64> = sealed.map(|(&offset, it)| (it.0, offset)).collect();
        let seen = std::mem::take(&mut self.seen_tombstones);
        self.records.retain(|offset, (key, value, _)| {
            *offset >= active
                || (newest[key] == *offset && (value.is_some() || !seen.contains(offset)))
        });
        let tombstones = self.records.range(..active).filter(|(_, it)| it.1.is_none());
        self.seen_tombstones = tombstones.map(|(&offset, _)| offset).collect();
    }
}

fn batch(records: &[(u8, Option<u8>)], packed: bool, first_ms: i64) -> Bytes {
    let compression = if packed { Compression::Lz4 } else { Compression::None };
    let mut builder = BatchBuilder::new(BatchOptions::with_compression(compression));
    for ((key, length), at) in records.iter().zip(0..) {
        let value = length.map(|it| vec![*key; usize::from(it)]);
        let none: [RecordHeader<'_>; 0] = [];
        builder.push(first_ms + at, Some(&[*key]), value.as_deref(), none).unwrap();
    }
    builder.build(ProducerFields::NONE).unwrap()
}

type Seen = Vec<(i64, (u8, Option<u8>, i64))>;

fn decode(bytes: &Bytes) -> Seen {
    let mut decompressor = Decompressor::new();
    let mut all = Vec::new();
    for batch in Batches::new(bytes.clone()) {
        let batch = batch.unwrap();
        batch.validate_crc().unwrap();
        for record in batch.records(&mut decompressor).unwrap() {
            let record = record.unwrap();
            let length = record.value.map(|it| it.len() as u8);
            all.push((record.offset, (record.key.unwrap()[0], length, record.timestamp_ms)));
        }
    }
    all
}

/// Reads on from `offset` to the end, `max` bytes at a time.
fn read_all(log: &mut Log, mut offset: i64, max: usize) -> Seen {
    let mut all = Vec::new();
    while offset < log.end() {
        let bytes = log.read(offset, log.end(), max, true).unwrap();
        if bytes.is_empty() {
            break;
        }
        let batches: Vec<_> = header::batches(&bytes).map(|it| it.0).collect();
        let size: usize = batches.iter().map(|it| it.size).sum();
        assert_eq!(size, bytes.len(), "whole batches only");
        assert!(size <= max || batches.len() == 1, "{size} bytes, {max} allowed");
        all.extend(decode(&bytes).into_iter().filter(|it| it.0 >= offset));
        offset = batches.last().unwrap().next_offset();
    }
    all
}

fn check(steps: Vec<Step>, dir: Option<&std::path::Path>) {
    let mut log = Log::create(dir.map(Into::into)).unwrap();
    let mut model = Model::default();
    let mut now_ms = 1_000;
    for step in steps {
        match step {
            Step::Append(records, packed) => {
                let stamp = Stamp { leader_epoch: 0, now_ms, append_time: false };
                let base = log.append(&batch(&records, packed, now_ms), stamp, ROLLING).unwrap();
                assert_eq!(base, model.end);
                for (key, length) in records {
                    let at = now_ms + (model.end - base);
                    model.records.insert(model.end, (key, length, at));
                    model.end += 1;
                }
                now_ms += 100;
            }
            Step::Read(at, max) => {
                let from = model.start + i64::from(at) % (model.end - model.start + 1);
                let expected: Seen =
                    model.records.range(from..).map(|(&offset, it)| (offset, *it)).collect();
                assert_eq!(read_all(&mut log, from, max.into()), expected);
            }
            Step::FindTime(at) => {
                let timestamp = 1_000 + i64::from(at) % (now_ms - 990);
                let mut records = model.records.range(model.start..);
                let expected = records.find(|(_, it)| it.2 >= timestamp);
                let expected = expected.map(|(&offset, it)| (offset, it.2));
                assert_eq!(log.find_time(timestamp).unwrap(), expected);
            }
            Step::DeleteBefore(at) => {
                model.start += i64::from(at) % (model.end - model.start + 1);
                log.delete_before(model.start).unwrap();
                model.records = model.records.split_off(&model.start);
            }
            Step::TruncateBack(at) => {
                let offset = model.start + i64::from(at) % (model.end - model.start + 1);
                log.truncate_back(offset, now_ms).unwrap();
                // The batch that holds the offset goes as a whole.
                assert!((offset - 20..=offset).contains(&log.end()), "{} {offset}", log.end());
                model.end = log.end();
                model.start = model.start.min(model.end);
                model.records.split_off(&model.end);
                model.seen_tombstones.retain(|offset| *offset < model.end);
            }
            Step::Roll => log.roll().unwrap(),
            Step::Compact => {
                let active = log.active().base_offset;
                let rules = Rules { now_ms, delete_retention_ms: 0, min_compaction_lag_ms: 0 };
                if let Some(compaction) = log.begin_compaction(rules) {
                    // A batch before the log start may still hold records of before.
                    log.finish_compaction(compaction.run().unwrap()).unwrap();
                    model.compact(active);
                }
            }
            Step::Reopen => {
                if let Some(dir) = dir {
                    drop(log);
                    log = Log::open(dir.into(), model.start, now_ms).unwrap();
                }
            }
        }
        assert_eq!((log.start(), log.end()), (model.start, model.end));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_log_in_memory_gives_what_it_was_given(steps in steps()) {
        check(steps, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(25))]

    #[test]
    fn a_log_on_disk_gives_what_it_was_given(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        check(steps, Some(&dir.path().join("log")));
    }
}
