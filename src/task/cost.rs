//! What one record costs: `ROKA_COST=1 cargo test --release -p roka --lib cost -- --nocapture`. Without
//! the variable these run on few records and check the results only.

#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Instant};

use super::{Outcome, Processed, Task, TaskTables, Topology as _};
use crate::{MemoryStore, Store, record::Record};

const KEYS: u64 = 100_000;

fn records() -> u64 {
    if std::env::var_os("ROKA_COST").is_some() { 2_000_000 } else { 20_000 }
}

/// Keys as in the benchmark's workloads: skewed, `key-` and eight digits.
fn keys() -> Vec<[u8; 12]> {
    let splitmix = |x: u64| {
        let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    };
    let key = |i: u64| {
        let u = (splitmix(20_261_120 + i) >> 11) as f64 / (1_u64 << 53) as f64;
        let number = (u.powi(4) * KEYS as f64) as u64;
        format!("key-{number:08}").into_bytes().try_into().unwrap()
    };
    (0..records()).map(key).collect()
}

fn tables(joins: usize) -> TaskTables {
    let memory = || Box::new(MemoryStore::new()) as Box<dyn Store>;
    TaskTables {
        table: Some(memory()),
        joins: (0..joins).map(|_| memory()).collect(),
        lookups: vec![],
        cache_bytes_max: 64 << 20,
    }
}

/// Nanoseconds per record; commits every `commit_every` records. Gives the task and how many bytes
/// were emitted.
fn run(name: &str, mut task: Box<dyn Task>, commit_every: usize) -> (Box<dyn Task>, usize) {
    let keys = keys();
    let value = [b'v'; 100];
    let mut bytes = 0;
    for round in 0..2 {
        let (start, mut emitted, mut rows) = (Instant::now(), 0, 0);
        for (n, key) in keys.iter().enumerate() {
            let record = Record {
                topic: "in",
                partition: 0,
                offset: n as i64,
                timestamp_ms: 0,
                key: Some(key),
                value: Some(&value),
                headers: &[],
            };
            let outcome = match task.process(0, record, 0) {
                Processed::Done(outcome) => outcome,
                Processed::Waiting(_) => panic!("waits"),
            };
            assert!(matches!(outcome, Outcome::Apply));
            emitted += task
                .effects()
                .iter()
                .map(|emit| emit.value().map_or(0, <[u8]>::len))
                .sum::<usize>();
            task.apply(&record);
            if n % commit_every == commit_every - 1
                && let Some(table) = task.table()
            {
                table.begin_commit();
                while table.next_dirty().unwrap().is_some() {
                    rows += 1;
                    table.advance();
                }
                table.end_commit(Some(n as i64));
            }
        }
        let ns = start.elapsed().as_nanos() as f64 / keys.len() as f64;
        println!(
            "{name} round {round}: {ns:.0} ns/record, {rows} rows committed, {emitted} bytes emitted"
        );
        bytes += emitted;
    }
    (task, bytes)
}

/// The sum of all counts.
fn total(mut task: Box<dyn Task>) -> u64 {
    let table = task.table().unwrap();
    let mut keys = keys();
    keys.sort_unstable();
    keys.dedup();
    let count = |key: &[u8; 12]| {
        let row = table.raw(key).unwrap().unwrap();
        std::str::from_utf8(row).unwrap().parse::<u64>().unwrap()
    };
    keys.iter().map(count).sum()
}

#[test]
fn count() {
    let (task, _) = run("count", Arc::new(graphs::count()).task(tables(0)), 200_000);
    assert_eq!(total(task), 2 * records());
    let (task, _) = run("update", Arc::new(graphs::update()).task(tables(0)), 7_000);
    assert_eq!(total(task), 2 * records());
    let (_, emitted) = run("nothing", Arc::new(graphs::nothing()).task(tables(0)), 200_000);
    assert_eq!(emitted, 0);
}

#[test]
fn enrich() {
    let mut task = Arc::new(graphs::enrich()).task(tables(1));
    for n in 0..KEYS {
        task.join(0).unwrap().feed(format!("key-{n:08}").as_bytes(), Some(&[b'r'; 100]));
    }
    let (_, emitted) = run("enrich", task, usize::MAX);
    assert_eq!(emitted as u64, 2 * records() * 201);
}

mod graphs {
    use bytes::Bytes;

    use crate::{DecimalInt, Group, GroupGraph, Raw, Stateless, Stream, Table};

    const COUNT: Group<String, u64> = Group::of("count", &DecimalInt);
    const IN: Stream<String, ()> = Stream::of("in", &Raw);

    pub(super) fn count() -> GroupGraph<String, u64> {
        let mut graph = COUNT.graph();
        graph.input(IN, |ctx, ()| {
            let count = ctx.value()?.unwrap_or(0) + 1;
            ctx.set_value(&count)
        });
        graph
    }

    pub(super) fn update() -> GroupGraph<String, u64> {
        let mut graph = COUNT.graph();
        graph.input(IN, |ctx, ()| ctx.update(|count| *count += 1));
        graph
    }

    pub(super) fn nothing() -> GroupGraph<String, Stateless> {
        let mut graph = Group::<String>::stateless("nothing").graph();
        graph.input(IN, |_, ()| Ok(()));
        graph
    }

    pub(super) fn enrich() -> GroupGraph<String, Stateless> {
        let mut graph = Group::<String>::stateless("enrich").graph();
        let rows = graph.join(Table::<String, Bytes>::of("rows", &Raw));
        let out = graph.output(Stream::<String, Vec<u8>>::of("out", &Raw));
        graph.input(Stream::<String, Vec<u8>>::of("in", &Raw), move |ctx, mut event| {
            if let Some(row) = ctx.join(rows)? {
                event.push(b'|');
                event.extend_from_slice(&row);
                ctx.emit(out, ctx.key(), &event)?;
            }
            Ok(())
        });
        graph
    }
}
