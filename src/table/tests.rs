//! The table against a model that keeps every state as a whole map.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, ops::Bound};

use proptest::prelude::*;

use super::*;
use crate::{Codec, DecimalInt, MemoryStore, codec::AnyCodec, store::Slice};

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
    drain(table, changelog);
    table.end_commit(Some(changelog.len() as i64));
}

fn drain(table: &mut RowTable<i64>, changelog: &mut Vec<(Vec<u8>, Option<i64>)>) {
    while let Some((key, value)) = table.next_dirty().unwrap() {
        let value = value.map(|value| DecimalInt.decode(value).unwrap());
        changelog.push((key.to_vec(), value));
        table.advance();
    }
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

/// The table beside whole maps: what callbacks see, what is committed, the changelog.
struct Model {
    table: RowTable<i64>,
    now: Map,
    committed: Map,
    changelog: Vec<(Vec<u8>, Option<i64>)>,
}

fn apply(map: &mut Map, key: &[u8], value: Option<i64>) {
    match value {
        Some(value) => map.insert(key.to_vec(), value),
        None => map.remove(key),
    };
}

fn feed(table: &mut RowTable<i64>, key: &[u8], value: Option<i64>) {
    let bytes = value.map(|value| value.to_string());
    table.feed(key, bytes.as_deref().map(str::as_bytes));
}

impl Model {
    fn set(&mut self, key: u8, value: Option<i64>) {
        self.table.set(None, &[key], value);
        apply(&mut self.now, &[key], value);
    }

    fn commit(&mut self) {
        commit(&mut self.table, &mut self.changelog);
        self.committed = self.now.clone();
    }

    fn commit_around(&mut self, key: u8, value: Option<i64>) {
        self.table.begin_commit();
        self.committed = self.now.clone();
        self.set(key, value);
        drain(&mut self.table, &mut self.changelog);
        assert!(!self.table.store_some(10).unwrap(), "nothing is stored meanwhile");
        self.table.end_commit(Some(self.changelog.len() as i64));
    }

    fn feed(&mut self, key: u8, value: Option<i64>) {
        // A table that is fed is not written by callbacks.
        if self.table.dirty.is_empty() {
            feed(&mut self.table, &[key], value);
            self.changelog.push((vec![key], value));
            self.table.fed_to(self.changelog.len() as i64);
            apply(&mut self.now, &[key], value);
            self.committed = self.now.clone();
        }
    }

    fn crash(&mut self) {
        self.table.begin_commit();
        self.table.forget();
        let position = self.table.store().position().unwrap_or(0);
        for (key, value) in &self.changelog[position as usize..] {
            feed(&mut self.table, key, *value);
        }
        self.table.fed_to(self.changelog.len() as i64);
        self.now = self.committed.clone();
    }

    fn page(&mut self) {
        let page = self.table.page((Bound::Unbounded, Bound::Unbounded), 100).unwrap();
        let decode =
            |(key, value): &(Slice, Slice)| (key.to_vec(), DecimalInt.decode(value).unwrap());
        assert_eq!(page.iter().map(decode).collect::<Map>(), self.now);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Get(key) => {
                assert_eq!(get(&mut self.table, &[key]), self.now.get(&[key][..]).copied());
            }
            Step::Set(key, value) => self.set(key, value),
            Step::Feed(key, value) => self.feed(key, value),
            Step::Commit => self.commit(),
            Step::CommitAround(key, value) => self.commit_around(key, value),
            Step::Store(rows) => drop(self.table.store_some(rows).unwrap()),
            Step::Page => self.page(),
            Step::Crash => self.crash(),
        }
        // The changelog is the truth: replayed from the store's position over the store it gives
        // the committed state, whatever is in memory.
        let mut replayed = stored(&self.table);
        let position = self.table.store().position().unwrap_or(0);
        for (key, value) in &self.changelog[position as usize..] {
            apply(&mut replayed, key, *value);
        }
        assert_eq!(replayed, self.committed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn agrees_with_a_map(
        steps in proptest::collection::vec(step(), 0..80),
        cache_bytes_max in prop_oneof![Just(0_usize), Just(600), Just(1 << 20)],
    ) {
        let table = table(cache_bytes_max);
        let (now, committed) = (Map::new(), Map::new());
        let mut model = Model { table, now, committed, changelog: vec![] };
        for step in &steps {
            model.step(step);
        }
        for key in 0..12 {
            model.step(&Step::Get(key));
        }
        model.commit();
        while model.table.store_some(3).unwrap() {}
        prop_assert_eq!(stored(&model.table), model.now);
        prop_assert_eq!(model.table.store().position(), Some(model.changelog.len() as i64));
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
