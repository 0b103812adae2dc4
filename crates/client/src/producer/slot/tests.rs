use roka_protocol::records::{Batches, Compression, Decompressor, ProducerFields};

use super::super::ProducerConfig;
use super::super::batch::Format;
use super::*;

fn shared(config: ProducerConfig) -> Shared {
    config.validate().unwrap();
    Shared::new(config)
}

fn small() -> ProducerConfig {
    ProducerConfig::default()
        .batch_bytes_max(2048usize)
        .request_bytes_max(4096usize)
        .buffer_bytes_max(64usize << 10)
}

fn slot(shared: &Shared) -> Slot {
    Slot::new(5, "t".into(), 3, shared)
}

fn changed(shared: &Shared) -> Vec<u32> {
    let mut changed = Vec::new();
    shared.take_changed(&mut changed);
    changed
}

/// Takes everything; the values of the records of each batch, as text.
fn drain(slot: &Slot, shared: &Shared) -> Vec<Vec<String>> {
    let mut batches = VecDeque::new();
    slot.collect(shared, true, 0, &mut batches);
    batches.into_iter().map(|batch| finish(batch, shared)).collect()
}

fn finish(mut batch: Batch, shared: &Shared) -> Vec<String> {
    let bytes = batch.encode(Format::Batch(ProducerFields::NONE)).unwrap();
    let mut values = Vec::new();
    for batch in Batches::new(bytes) {
        for record in batch.unwrap().records(&mut Decompressor::default()).unwrap() {
            values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        }
    }
    shared.budget.give(batch.bytes());
    values
}

#[test]
fn batches_close_when_the_next_record_does_not_fit() {
    let shared = shared(small());
    let slot = slot(&shared);
    let values: Vec<_> = (0..100).map(|i| format!("{i:0100}")).collect();
    let closed =
        values.iter().filter(|v| slot.append(&shared, &RecordRef::value(v.as_bytes())).unwrap());
    assert_eq!(closed.count(), 5);
    let batches = drain(&slot, &shared);
    assert_eq!(batches.len(), 6);
    assert_eq!(batches.concat(), values);
    assert_eq!(shared.budget.used(), 0, "all memory came back");
}

#[test]
fn the_sender_is_told_once_until_it_has_looked() {
    let shared = shared(small());
    let slot = slot(&shared);
    let value = [b'v'; 1000];
    for _ in 0..5 {
        slot.append(&shared, &RecordRef::value(&value)).unwrap();
    }
    assert_eq!(changed(&shared), [5]);
    let mut batches = VecDeque::new();
    let found = slot.collect(&shared, false, 1, &mut batches);
    assert_eq!((batches.len(), found.new), (4, 4));
    assert!(found.opened.is_some(), "the fifth record's batch is open");
    slot.append(&shared, &RecordRef::value(&value)).unwrap();
    assert_eq!(changed(&shared), [5]);
}

#[test]
fn a_large_record_goes_alone_and_a_too_large_one_not_at_all() {
    let shared = shared(small());
    let slot = slot(&shared);
    slot.append(&shared, &RecordRef::value(b"a")).unwrap();
    slot.append(&shared, &RecordRef::value(&[b'b'; 3000])).unwrap();
    slot.append(&shared, &RecordRef::value(b"c")).unwrap();
    let error = slot.append(&shared, &RecordRef::value(&[b'd'; 4100])).unwrap_err();
    assert!(
        matches!(
            error,
            TrySendError::Failed(ProduceError::TooLarge { max: 4096, partition: 3, .. })
        ),
        "{error}"
    );
    let lengths: Vec<_> = drain(&slot, &shared).iter().map(|b| (b.len(), b[0].len())).collect();
    assert_eq!(lengths, [(1, 1), (1, 3000), (1, 1)]);
}

#[test]
fn full_memory_refuses_until_some_is_given_back() {
    let shared = shared(small());
    let slot = slot(&shared);
    let value = [b'v'; 1000];
    let (taken, why) =
        slot.append_all(&shared, std::iter::repeat_n(RecordRef::value(&value), 1000));
    assert!(matches!(why, Err(TrySendError::Full { max: 65536 })), "{why:?}");
    assert!((50..64).contains(&taken), "{taken}");
    assert!(shared.budget.used() <= 65536);
    let mut batches = VecDeque::new();
    slot.collect(&shared, false, 0, &mut batches);
    finish(batches.pop_front().unwrap(), &shared);
    slot.append(&shared, &RecordRef::value(&value)).unwrap();
    while let Some(batch) = batches.pop_front() {
        finish(batch, &shared);
    }
    drain(&slot, &shared);
    assert_eq!(shared.budget.used(), 0);
}

#[test]
fn a_batch_being_compressed_holds_its_place() {
    let shared = shared(small().compression(Compression::Lz4));
    shared.modern.store(true, Ordering::Relaxed);
    let slot = slot(&shared);
    let mut state = slot.lock();
    let mut jobs = Vec::new();
    for i in 0..40 {
        let value = format!("{i:0100}");
        let Ok((_, after)) = state.push(&shared, &RecordRef::value(value.as_bytes()), false) else {
            panic!("refused")
        };
        jobs.extend(after.compress);
    }
    drop(state);
    assert_eq!(jobs.len(), 2);
    let mut batches = VecDeque::new();
    let found = slot.collect(&shared, true, 7, &mut batches);
    assert_eq!(
        (batches.len(), found.new),
        (0, 3),
        "the first is not ready, the others wait for it"
    );
    for job in jobs.into_iter().rev() {
        slot.after(&shared, After { list: true, closed: true, compress: Some(job) });
    }
    let found = slot.collect(&shared, true, 9, &mut batches);
    assert_eq!((batches.len(), found.new), (3, 0));
    assert!(batches.iter().all(|batch| batch.generation == 7));
    let values: Vec<_> = batches.into_iter().flat_map(|batch| finish(batch, &shared)).collect();
    assert_eq!(values, (0..40).map(|i| format!("{i:0100}")).collect::<Vec<_>>());
    assert_eq!(shared.budget.used(), 0);
}

#[test]
fn timestamps_are_the_callers_or_now() {
    let shared = shared(small());
    let slot = slot(&shared);
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    slot.append(&shared, &RecordRef::value(b"a").timestamp_ms(42)).unwrap();
    slot.append(&shared, &RecordRef::value(b"b")).unwrap();
    let receipt = slot.append_with_receipt(&shared, &RecordRef::value(b"c")).unwrap();
    let mut batches = VecDeque::new();
    slot.collect(&shared, true, 0, &mut batches);
    let mut batch = batches.pop_front().unwrap();
    let bytes = batch.encode(Format::Batch(ProducerFields::NONE)).unwrap();
    let read = Batches::new(bytes).next().unwrap().unwrap();
    let mut decompressor = Decompressor::default();
    let stamps: Vec<_> =
        read.records(&mut decompressor).unwrap().map(|r| r.unwrap().timestamp_ms).collect();
    assert_eq!(stamps[0], 42);
    assert!(stamps[1] >= before && stamps[2] >= stamps[1]);
    drop(batch);
    assert!(receipt.outcome().unwrap().is_err(), "nobody will deliver it");
}

#[test]
fn an_ended_slot_takes_nothing() {
    let shared = shared(small());
    let slot = slot(&shared);
    slot.end();
    let error = slot.append(&shared, &RecordRef::value(b"a")).unwrap_err();
    assert!(error.to_string().contains("t/3"), "{error}");
}
