//! Transactions in a log against a model: whatever is compacted, rolled and opened again, a reader of committed records
//! ends with the newest committed value of every key, and never sees an aborted one.

use std::collections::BTreeMap;

use proptest::prelude::*;
use roka_protocol::records::{
    BatchBuilder, BatchOptions, Batches, ControlBatch, ControlRecord, Decompressor,
    Header as RecordHeader, ProducerFields, encode_control_batch,
};

use super::{compact::Rules, *};

const ROLLING: Rolling = Rolling { segment_bytes: 600, segment_ms: i64::MAX };
const RETENTION_MS: i64 = 50;
const PRODUCERS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Write(usize, Vec<u8>),
    /// Commits or aborts, with the producer's next epoch or its present one.
    End(usize, bool, bool),
    /// A record outside of any transaction.
    Plain(u8),
    Roll,
    Compact,
    Wait,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let keys = || prop::collection::vec(0u8..6, 1..4);
    let step = prop_oneof![
        8 => (0..PRODUCERS, keys()).prop_map(|(who, keys)| Step::Write(who, keys)),
        6 => (0..PRODUCERS, any::<bool>(), any::<bool>()).prop_map(|(a, b, c)| Step::End(a, b, c)),
        2 => (0u8..6).prop_map(Step::Plain),
        2 => Just(Step::Roll),
        3 => Just(Step::Compact),
        2 => Just(Step::Wait),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..80)
}

#[derive(Debug, Default, Clone)]
struct Writer {
    epoch: i16,
    sequence: i32,
    /// Offsets of the open transaction with their keys.
    open: Vec<(i64, u8)>,
}

/// A log, and what readers of committed records should find in it.
struct Rehearsal {
    log: Log,
    now_ms: i64,
    writers: Vec<Writer>,
    /// Keys by offset.
    committed: BTreeMap<i64, u8>,
}

impl Rehearsal {
    fn append(&mut self, batch: &Bytes) -> i64 {
        let stamp = Stamp { leader_epoch: 0, now_ms: self.now_ms, append_time: false };
        self.now_ms += 1;
        self.log.append(batch, stamp, ROLLING).unwrap()
    }

    /// A batch in which each record's value is its own offset.
    fn write(&mut self, fields: ProducerFields, keys: &[u8]) -> Vec<(i64, u8)> {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let offsets: Vec<(i64, u8)> = (self.log.end()..).zip(keys.iter().copied()).collect();
        for (offset, key) in &offsets {
            let none: [RecordHeader<'_>; 0] = [];
            let value = offset.to_be_bytes();
            builder.push(self.now_ms, Some(&[*key]), Some(&value), none).unwrap();
        }
        let batch = builder.build(fields).unwrap();
        assert_eq!(self.append(&batch), offsets[0].0);
        offsets
    }

    fn end(&mut self, who: usize, commits: bool, bumps: bool) {
        if bumps {
            self.writers[who].epoch += 1;
            self.writers[who].sequence = 0;
        }
        let coordinator_epoch = 0;
        let marker = if commits {
            ControlRecord::Commit { coordinator_epoch }
        } else {
            ControlRecord::Abort { coordinator_epoch }
        };
        let place = ControlBatch {
            base_offset: 0,
            leader_epoch: 0,
            timestamp_ms: self.now_ms,
            producer_id: who as i64,
            producer_epoch: self.writers[who].epoch,
        };
        self.append(&encode_control_batch(place, marker).unwrap());
        let records = std::mem::take(&mut self.writers[who].open);
        if commits {
            self.committed.extend(records);
        }
    }

    fn step(&mut self, step: Step, dir: &std::path::Path) {
        match step {
            Step::Write(who, keys) => {
                let Writer { epoch, sequence, .. } = self.writers[who];
                let (id, base_sequence) = (who as i64, sequence);
                let fields = ProducerFields { id, epoch, base_sequence, transactional: true };
                let written = self.write(fields, &keys);
                self.writers[who].sequence += keys.len() as i32;
                self.writers[who].open.extend(written);
            }
            Step::End(who, commits, bumps) => {
                if !self.writers[who].open.is_empty() {
                    self.end(who, commits, bumps);
                }
            }
            Step::Plain(key) => {
                let written = self.write(ProducerFields::NONE, &[key]);
                self.committed.extend(written);
            }
            Step::Roll => self.log.roll().unwrap(),
            Step::Compact => {
                let rules = Rules {
                    now_ms: self.now_ms,
                    delete_retention_ms: RETENTION_MS,
                    min_compaction_lag_ms: 0,
                };
                if let Some(compaction) = self.log.begin_compaction(rules) {
                    self.log.finish_compaction(compaction.run().unwrap()).unwrap();
                }
            }
            Step::Wait => self.now_ms += RETENTION_MS,
            Step::Reopen => self.log = Log::open(dir.to_owned(), 0, self.now_ms).unwrap(),
        }
    }

    /// Offsets and keys that a reader of committed records sees, as Kafka's consumers tell them from aborted ones.
    fn read(&mut self, from: i64) -> BTreeMap<i64, u8> {
        let stable = self.log.last_stable();
        let (mut offset, mut seen) = (from, BTreeMap::new());
        let mut decompressor = Decompressor::new();
        while offset < stable {
            let bytes = self.log.read(offset, stable, 300, true).unwrap();
            let Some(last) = header::batches(&bytes).last() else { break };
            let aborted = self.log.producers.aborted_in(offset, last.0.next_offset());
            let mut aborted: Vec<Aborted> = aborted.copied().collect();
            aborted.sort_by_key(|it| it.first_offset);
            let mut out: Vec<i64> = Vec::new();
            for batch in Batches::new(bytes) {
                let batch = batch.unwrap();
                batch.validate_crc().unwrap();
                let producer_id = batch.header().producer_id;
                aborted.retain(|it| {
                    let begun = it.first_offset < batch.next_offset();
                    out.extend(begun.then_some(it.producer_id));
                    !begun
                });
                offset = batch.next_offset();
                if batch.is_control() {
                    out.retain(|&id| id != producer_id);
                } else if !(batch.header().is_transactional() && out.contains(&producer_id)) {
                    for record in batch.records(&mut decompressor).unwrap() {
                        let record = record.unwrap();
                        assert_eq!(record.value, Some(&record.offset.to_be_bytes()[..]));
                        seen.insert(record.offset, record.key.unwrap()[0]);
                    }
                }
            }
        }
        seen.retain(|&offset, _| offset >= from);
        seen
    }

    fn check(&mut self) {
        let opened = self.writers.iter().filter_map(|it| it.open.first()).map(|it| it.0).min();
        let stable = opened.unwrap_or_else(|| self.log.end());
        assert_eq!(self.log.last_stable(), stable, "the last stable offset");
        let expected: BTreeMap<i64, u8> =
            self.committed.range(..stable).map(|(&offset, &key)| (offset, key)).collect();
        let newest = |records: &BTreeMap<i64, u8>| -> BTreeMap<u8, i64> {
            records.iter().map(|(&offset, &key)| (key, offset)).collect()
        };
        let seen = self.read(0);
        assert!(seen.iter().all(|(offset, key)| expected.get(offset) == Some(key)), "aborted");
        assert_eq!(newest(&seen), newest(&expected), "the newest of each key");
        // A reader may begin anywhere, in the middle of a transaction too.
        for from in [stable / 3, stable / 2] {
            let later = self.read(from);
            assert!(later.iter().eq(seen.range(from..)), "from {from}: {later:?}, not {seen:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn readers_of_committed_records_see_what_was_committed(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("log");
        let log = Log::create(Some(dir.clone())).unwrap();
        let writers = vec![Writer::default(); PRODUCERS];
        let committed = BTreeMap::new();
        let mut all = Rehearsal { log, now_ms: 1_000, writers, committed };
        for step in steps {
            all.step(step, &dir);
            all.check();
        }
    }
}
