//! The table against a model that keeps every state as a whole map.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, ops::Bound};

use proptest::prelude::*;

use super::*;
use crate::{Codec, DecimalInt, MemoryStore, codec::AnyCodec};

type Map = BTreeMap<Vec<u8>, i64>;

fn table(cache_bytes_max: usize) -> RowTable<i64> {
    RowTable::new(Box::new(MemoryStore::new()), AnyCodec::Static(&DecimalInt), cache_bytes_max)
}

fn get(table: &mut RowTable<i64>, key: &[u8]) -> Option<i64> {
    let place = table.locate(key).unwrap();
    table.value_at(place).unwrap().copied()
}

fn commit(table: &mut RowTable<i64>, changelog: &mut Vec<(Vec<u8>, Option<i64>)>) {
    table.begin_commit();
    while let Some((key, value)) = table.next_dirty().unwrap() {
        let value = value.map(|value| DecimalInt.decode(value).unwrap());
        changelog.push((key.to_vec(), value));
        table.advance();
    }
    table.end_commit(Some(changelog.len() as i64));
}

fn stored(table: &RowTable<i64>) -> Map {
    let rows = table.store().scan((Bound::Unbounded, Bound::Unbounded));
    rows.map(|row| row.unwrap())
        .map(|(k, v)| (k.to_vec(), DecimalInt.decode(&v).unwrap()))
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    Get(u8),
    Set(u8, Option<i64>),
    Feed(u8, Option<i64>),
    Commit,
    /// A row changes between the start of a commit and its end.
    CommitAround(u8, Option<i64>),
    Store(usize),
    Page,
    /// The outcome of a commit is not known.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0_u8..12;
    let value = || proptest::option::of(0_i64..100);
    prop_oneof![
        3 => key().prop_map(Step::Get),
        8 => (key(), value()).prop_map(|(k, v)| Step::Set(k, v)),
        2 => (key(), value()).prop_map(|(k, v)| Step::Feed(k, v)),
        2 => Just(Step::Commit),
        1 => (key(), value()).prop_map(|(k, v)| Step::CommitAround(k, v)),
        3 => (0_usize..6).prop_map(Step::Store),
        1 => Just(Step::Page),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn agrees_with_a_map(
        steps in proptest::collection::vec(step(), 0..80),
        cache_bytes_max in prop_oneof![Just(0_usize), Just(600), Just(1 << 20)],
    ) {
        let mut table = table(cache_bytes_max);
        let mut changelog: Vec<(Vec<u8>, Option<i64>)> = vec![];
        let (mut now, mut committed) = (Map::new(), Map::new());
        let apply = |map: &mut Map, key: &[u8], value: Option<i64>| {
            match value {
                Some(value) => map.insert(key.to_vec(), value),
                None => map.remove(key),
            };
        };
        for step in steps {
            match step {
                Step::Get(key) => {
                    prop_assert_eq!(get(&mut table, &[key]), now.get(&[key][..]).copied());
                }
                Step::Set(key, value) => {
                    table.set(None, &[key], value);
                    apply(&mut now, &[key], value);
                }
                Step::Feed(key, value) if table.dirty.is_empty() => {
                    let bytes = value.map(|value| value.to_string());
                    table.feed(&[key], bytes.as_deref().map(str::as_bytes));
                    changelog.push((vec![key], value));
                    table.fed_to(changelog.len() as i64);
                    apply(&mut now, &[key], value);
                    committed = now.clone();
                }
                Step::Feed(..) => {}
                Step::Commit => {
                    commit(&mut table, &mut changelog);
                    committed = now.clone();
                }
                Step::CommitAround(key, value) => {
                    table.begin_commit();
                    committed = now.clone();
                    table.set(None, &[key], value);
                    apply(&mut now, &[key], value);
                    while let Some((key, value)) = table.next_dirty().unwrap() {
                        let value = value.map(|value| DecimalInt.decode(value).unwrap());
                        changelog.push((key.to_vec(), value));
                        table.advance();
                    }
                    prop_assert!(!table.store_some(10).unwrap(), "nothing is stored meanwhile");
                    table.end_commit(Some(changelog.len() as i64));
                }
                Step::Store(rows) => {
                    table.store_some(rows).unwrap();
                }
                Step::Page => {
                    let page = table.page((Bound::Unbounded, Bound::Unbounded), 100).unwrap();
                    let page: Map = page.iter().map(|(k, v)| (k.to_vec(), DecimalInt.decode(v).unwrap())).collect();
                    prop_assert_eq!(&page, &now);
                }
                Step::Crash => {
                    table.begin_commit();
                    table.forget();
                    let position = table.store().position().unwrap_or(0);
                    for (key, value) in &changelog[position as usize..] {
                        let bytes = value.map(|value| value.to_string());
                        table.feed(key, bytes.as_deref().map(str::as_bytes));
                    }
                    table.fed_to(changelog.len() as i64);
                    now = committed.clone();
                }
            }
            // The changelog is the truth: replayed from the store's position over the store it
            // gives the committed state, whatever is in memory.
            let mut replayed = stored(&table);
            let position = table.store().position().unwrap_or(0);
            for (key, value) in &changelog[position as usize..] {
                apply(&mut replayed, key, *value);
            }
            prop_assert_eq!(&replayed, &committed);
        }
        for key in 0..12 {
            prop_assert_eq!(get(&mut table, &[key]), now.get(&[key][..]).copied());
        }
        commit(&mut table, &mut changelog);
        while table.store_some(3).unwrap() {}
        prop_assert_eq!(stored(&table), now);
        prop_assert_eq!(table.store().position(), Some(changelog.len() as i64));
    }
}

#[test]
fn clean_rows_are_evicted_and_read_back() {
    let mut table = table(4_000);
    let mut changelog = vec![];
    for n in 0..1_000_i64 {
        table.set(None, &n.to_be_bytes(), Some(n));
        if n % 50 == 49 {
            commit(&mut table, &mut changelog);
            while table.store_some(256).unwrap() {}
        }
    }
    assert!(table.rows.bytes() < 20_000, "{} bytes", table.rows.bytes());
    for n in 0..1_000_i64 {
        assert_eq!(get(&mut table, &n.to_be_bytes()), Some(n));
    }
}

#[test]
fn a_row_that_changes_in_each_commit_is_stored_once() {
    let mut table = table(1 << 20);
    let mut changelog = vec![];
    for n in 0..10 {
        table.set(None, b"k", Some(n));
        table.set(None, b"k", Some(n + 1));
        commit(&mut table, &mut changelog);
    }
    assert_eq!(changelog.len(), 10, "one changelog record per commit, not per write");
    assert_eq!(table.unstored.len(), 1);
    table.set(None, b"k", Some(99));
    table.store_some(10).unwrap();
    assert_eq!(stored(&table), Map::from([(b"k".to_vec(), 10)]), "what is not committed stays out");
    assert_eq!(table.store().position(), Some(10));
}

#[test]
fn keys_of_every_length_are_told_apart() {
    let mut table = table(1 << 20);
    let keys: Vec<_> = (0..64).map(|n| vec![b'k'; n]).collect();
    for (n, key) in keys.iter().enumerate() {
        table.set(None, key, Some(n as i64));
    }
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(get(&mut table, key), Some(n as i64));
    }
}

struct Broken;

impl crate::Codec<i64> for Broken {
    fn encode(&self, value: &i64, into: &mut Vec<u8>) -> crate::Result {
        if *value < 0 { Err("negative".into()) } else { DecimalInt.encode(value, into) }
    }
    fn decode(&self, bytes: &[u8]) -> crate::Result<i64> {
        DecimalInt.decode(bytes)
    }
}

#[test]
fn a_value_that_cannot_be_encoded_names_its_key() {
    let mut table = RowTable::new(Box::new(MemoryStore::new()), AnyCodec::Static(&Broken), 1 << 20);
    table.set(None, b"bob", Some(-1));
    table.begin_commit();
    let error = table.next_dirty().unwrap_err();
    assert_eq!(error.to_string(), "cannot encode the table value of key b\"bob\": negative");
}
