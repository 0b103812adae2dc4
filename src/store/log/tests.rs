//! What only a log does: cleaning, torn ends, damage.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs, thread,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::*;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn small(path: &Path) -> LogStore {
    open::open(path, 4 << 10).unwrap()
}

fn rows(store: &LogStore) -> Map {
    let rows = store.scan((Bound::Unbounded, Bound::Unbounded));
    rows.map(|row| row.unwrap()).map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// Rows with keys of few, values that tell rounds apart, some deleted.
fn round(n: u64, keys: u64, model: &mut Map) -> Writes {
    let mut writes = Writes::new();
    for i in 0..10 {
        let key = format!("key-{}", (n * 7 + i * 3) % keys).into_bytes();
        if (n + i).is_multiple_of(11) {
            model.remove(&key);
            writes.delete(&key);
        } else {
            let value = format!("value of round {n}, {i}").into_bytes();
            writes.put(&key, &value);
            model.insert(key, value);
        }
    }
    writes.set_position(n as i64 + 1);
    writes
}

#[test]
fn cleaning_keeps_rows_and_gives_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = small(dir.path());
    let mut model = Map::new();
    let mut meta = Writes::new();
    meta.set_meta("who", b"me");
    store.write(&meta).unwrap();
    for n in 0..2_000 {
        store.write(&round(n, 50, &mut model)).unwrap();
    }
    assert_eq!(rows(&store), model);
    // The disk may lag behind; it is waited for when there is something to write.
    let deadline = Instant::now() + Duration::from_secs(60);
    while store.bytes() > 40 << 10 {
        assert!(Instant::now() < deadline, "{} bytes", store.bytes());
        meta.set_position(2_000);
        store.write(&meta).unwrap();
        thread::sleep(Duration::from_millis(1));
    }
    assert!(store.segments[0].number > 10, "old segments are gone");
    drop(store);
    let store = small(dir.path());
    assert_eq!(rows(&store), model);
    assert_eq!(store.position(), Some(2_000));
    assert_eq!(store.meta("who").unwrap().as_deref(), Some(&b"me"[..]));
}

#[test]
fn a_deleted_row_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = small(dir.path());
    let mut writes = Writes::new();
    writes.put(b"gone", b"1");
    store.write(&writes).unwrap();
    let mut model = Map::new();
    for n in 0..100 {
        store.write(&round(n, 400, &mut model)).unwrap();
    }
    writes.clear();
    writes.delete(b"gone");
    store.write(&writes).unwrap();
    for n in 100..600 {
        store.write(&round(n, 400, &mut model)).unwrap();
        if n % 100 == 0 {
            drop(store);
            store = small(dir.path());
            assert_eq!(store.get(b"gone").unwrap(), None);
        }
    }
    assert_eq!(rows(&store), model);
}

/// Wherever the end is cut off, what opens is the state after some earlier write, position included.
#[test]
fn a_torn_end_leaves_an_earlier_state() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = LogStore::open(dir.path()).unwrap();
    let mut model = Map::new();
    let mut states = BTreeMap::from([(None, model.clone())]);
    for n in 0..8 {
        store.write(&round(n, 30, &mut model)).unwrap();
        states.insert(store.position(), model.clone());
    }
    drop(store);
    let file = segment::path(dir.path(), 1);
    let whole = fs::read(&file).unwrap();
    for len in 0..whole.len() {
        for zeros in [0, 40] {
            let mut torn = whole[..len].to_vec();
            torn.extend(vec![0; zeros]);
            fs::write(&file, torn).unwrap();
            match LogStore::open(dir.path()) {
                Ok(mut store) => {
                    assert_eq!(rows(&store), states[&store.position()], "cut at {len}");
                    let mut writes = Writes::new();
                    writes.put(b"after", b"1");
                    store.write(&writes).unwrap();
                    drop(store);
                    let store = LogStore::open(dir.path()).unwrap();
                    assert!(store.get(b"after").unwrap().is_some(), "cut at {len}");
                }
                Err(error) => panic!("cut at {len}: {error}"),
            }
            for other in 2..4 {
                let _ = fs::remove_file(segment::path(dir.path(), other));
            }
        }
    }
}

#[test]
fn a_flipped_bit_is_never_read_as_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = LogStore::open(dir.path()).unwrap();
    let mut model = Map::new();
    let mut states = BTreeMap::from([(None, model.clone())]);
    for n in 0..4 {
        store.write(&round(n, 30, &mut model)).unwrap();
        states.insert(store.position(), model.clone());
    }
    drop(store);
    let file = segment::path(dir.path(), 1);
    let whole = fs::read(&file).unwrap();
    for byte in 0..whole.len() {
        let mut spoiled = whole.clone();
        spoiled[byte] ^= 1 << (byte % 8);
        fs::write(&file, spoiled).unwrap();
        match LogStore::open(dir.path()) {
            Ok(store) => assert_eq!(rows(&store), states[&store.position()], "byte {byte}"),
            Err(StoreError::Format { .. }) => assert!((8..12).contains(&byte), "byte {byte}"),
            Err(error) => panic!("byte {byte}: {error}"),
        }
        for other in 2..4 {
            let _ = fs::remove_file(segment::path(dir.path(), other));
        }
    }
}

/// Once rows were moved, an earlier state is not to be had: then damage is an error, not a loss.
#[test]
fn damage_below_the_synced_mark_is_corruption() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = small(dir.path());
    let mut model = Map::new();
    for n in 0..2_000 {
        store.write(&round(n, 50, &mut model)).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while !dir.path().join("synced").exists() {
        assert!(Instant::now() < deadline, "nothing is cleaned");
        store.write(&round(1, 50, &mut model)).unwrap();
    }
    let first = store.segments[0].number;
    drop(store);
    let file = segment::path(dir.path(), first);
    let mut bytes = fs::read(&file).unwrap();
    bytes[100] ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = open::open(dir.path(), 4 << 10).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("delete this folder"), "{error}");
}

#[test]
fn rows_of_every_length_are_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = LogStore::open(dir.path()).unwrap();
    let lens = [0, 1, 490, 500, 512, 600, 10_000, 3 << 20];
    let mut writes = Writes::new();
    for len in lens {
        writes.put(format!("key of {len}").as_bytes(), &vec![len as u8; len]);
        writes.put(&vec![b'k'; len], b"long key");
    }
    store.write(&writes).unwrap();
    for len in lens {
        let value = store.get(format!("key of {len}").as_bytes()).unwrap();
        assert_eq!(value.as_deref(), Some(&*vec![len as u8; len]));
        assert!(store.get(&vec![b'k'; len]).unwrap().is_some());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Writes, scans between them, crashes that keep what was written, in segments so small that
    /// cleaning never rests.
    #[test]
    fn agrees_with_a_map(
        steps in proptest::collection::vec(
            (proptest::collection::vec((0_u16..40, any::<Option<u8>>(), 0_usize..80), 0..30), any::<bool>(), any::<bool>()),
            0..60,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open::open(dir.path(), 1 << 10).unwrap();
        let mut model = Map::new();
        for (n, (changes, scan, reopen)) in steps.iter().enumerate() {
            let mut writes = Writes::new();
            for (key, value, len) in changes {
                let key = key.to_be_bytes();
                let value = value.map(|value| vec![value; *len]);
                writes.set(&key, value.as_deref());
                match value {
                    Some(value) => model.insert(key.to_vec(), value),
                    None => model.remove(&key[..]),
                };
            }
            writes.set_position(n as i64);
            store.write(&writes).unwrap();
            if *scan {
                prop_assert_eq!(&rows(&store), &model);
            }
            if *reopen {
                drop(store);
                store = open::open(dir.path(), 1 << 10).unwrap();
                prop_assert_eq!(store.position(), Some(n as i64));
            }
            for key in 0_u16..40 {
                let value = store.get(&key.to_be_bytes()).unwrap();
                prop_assert_eq!(value.as_deref(), model.get(&key.to_be_bytes()[..]).map(|v| &**v));
            }
        }
        let live: u64 = model.iter().map(|(k, v)| (ENTRY_HEAD + k.len() + v.len()) as u64).sum();
        prop_assert_eq!(store.live_bytes, live);
        prop_assert_eq!(rows(&store), model);
    }
}
