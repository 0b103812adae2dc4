#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn open(path: &Path) -> StagedStore {
    StagedStore::open(path, 1 << 20).unwrap()
}

fn rows(store: &dyn Store) -> Rows {
    let all = store.scan((Bound::Unbounded, Bound::Unbounded));
    all.map(|row| row.unwrap()).map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// Writes `count` rows whose keys are in no order.
fn fill(store: &mut dyn Store, model: &mut Rows, count: u64) {
    let mut writes = Writes::new();
    for n in 0..count {
        let key = format!("key-{:05}", n * 7919 % 10_000).into_bytes();
        let value = format!("value {n}").into_bytes();
        writes.put(&key, &value);
        model.insert(key, value);
    }
    writes.set_meta("name", b"meta");
    writes.set_position(count as i64);
    store.write(&writes).unwrap();
}

#[test]
fn an_empty_store_that_expects_much_is_staged_and_moves() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.expect_rows(STAGE_ROWS_MIN - 1).unwrap();
    assert!(store.stage.is_none());
    store.expect_rows(STAGE_ROWS_MIN).unwrap();
    let mut model = Rows::new();
    fill(&mut store, &mut model, 3000);
    assert!(dir.path().join(FOLDER).exists());
    assert_eq!((store.position(), rows(&store)), (Some(3000), model.clone()));
    assert_eq!(store.sled.position(), None);
    while store.settle(100).unwrap() {}
    assert!(!dir.path().join(FOLDER).exists());
    assert_eq!((store.position(), rows(&store)), (Some(3000), model.clone()));
    assert_eq!(store.meta("name").unwrap().as_deref(), Some(&b"meta"[..]));
    // It has a position: sled takes what comes from now on.
    store.expect_rows(u64::MAX).unwrap();
    assert!(store.stage.is_none());
    Box::new(store).close().unwrap();
    assert_eq!(rows(&open(dir.path())), model);
}

#[test]
fn a_stage_that_is_too_large_moves_with_the_writes() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.expect_rows(STAGE_ROWS_MIN).unwrap();
    store.stage_rows_max = 1000;
    let mut model = Rows::new();
    for _ in 0..5 {
        fill(&mut store, &mut model, 300);
    }
    let mut writes = Writes::new();
    for n in 0..5000 {
        let key = format!("other-{n}").into_bytes();
        writes.clear();
        writes.put(&key, b"x");
        writes.set_position(n);
        store.write(&writes).unwrap();
        model.insert(key, b"x".to_vec());
    }
    assert!(store.stage.is_none(), "all rows have moved");
    assert_eq!((store.position(), rows(&store)), (Some(4999), model));
}

#[test]
fn a_crash_while_rows_move_loses_nothing_and_brings_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.expect_rows(STAGE_ROWS_MIN).unwrap();
    let mut model = Rows::new();
    fill(&mut store, &mut model, 500);
    assert!(store.settle(200).unwrap());
    let first = model.keys().next().unwrap().clone();
    // A row that has moved is deleted, but sled forgets that in the crash.
    let mut writes = Writes::new();
    writes.delete(&first);
    writes.set_position(501);
    store.write(&writes).unwrap();
    model.remove(&first);
    store.sled.set(&first, Some(b"old")).unwrap();
    drop(store);

    let mut store = open(dir.path());
    assert_eq!((store.position(), rows(&store)), (Some(501), model.clone()));
    while store.settle(100).unwrap() {}
    assert_eq!((store.position(), rows(&store)), (Some(501), model.clone()));
    drop(store);

    // Between the position in sled and the end of the stage.
    std::fs::create_dir_all(dir.path().join(FOLDER)).unwrap();
    std::fs::write(dir.path().join(FOLDER).join("0000000001.log"), b"rest").unwrap();
    let store = open(dir.path());
    assert!(store.stage.is_none() && !dir.path().join(FOLDER).exists());
    assert_eq!((store.position(), rows(&store)), (Some(501), model));
}

#[test]
fn rows_without_a_position_are_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let mut writes = Writes::new();
    writes.put(b"a", b"1");
    store.write(&writes).unwrap();
    Box::new(store).close().unwrap();
    assert_eq!(rows(&open(dir.path())), Rows::new());
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(u8, Option<u8>)>),
    Settle(usize),
    Reopen,
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec((0..40u8, prop::option::weighted(0.7, any::<u8>())), 1..20).prop_map(Step::Write),
        3 => (1..12usize).prop_map(Step::Settle),
        1 => Just(Step::Reopen),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn agrees_with_a_map(steps in prop::collection::vec(step(), 1..40), rows_max in 1..60usize) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        store.stage_rows_max = rows_max;
        store.expect_rows(STAGE_ROWS_MIN).unwrap();
        let mut model = Rows::new();
        let mut position = 0;
        for step in steps {
            match step {
                Step::Write(changes) => {
                    let mut writes = Writes::new();
                    for (key, value) in changes {
                        writes.set(&[key], value.as_ref().map(std::slice::from_ref));
                        match value {
                            Some(value) => model.insert(vec![key], vec![value]),
                            None => model.remove(&vec![key]),
                        };
                    }
                    position += 1;
                    writes.set_position(position);
                    store.write(&writes).unwrap();
                }
                Step::Settle(rows) => {
                    store.settle(rows).unwrap();
                }
                Step::Reopen if position > 0 => {
                    Box::new(store).close().unwrap();
                    store = open(dir.path());
                    store.stage_rows_max = rows_max;
                }
                Step::Reopen => {}
                Step::Clear => {
                    store.clear().unwrap();
                    model.clear();
                    position = 0;
                    store.expect_rows(STAGE_ROWS_MIN).unwrap();
                }
            }
            prop_assert_eq!(rows(&store), model.clone());
            prop_assert_eq!(store.position().unwrap_or(0), position);
        }
    }
}
