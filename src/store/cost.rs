//! What rows cost in a store: `ROKA_COST=1 cargo test --release -p roka --lib cost -- --nocapture`. Without
//! the variable this runs on few rows and checks the results only.

#![allow(clippy::unwrap_used)]

use std::time::Instant;

use super::*;

fn measure(
    name: &str,
    mut store: Box<dyn Store>,
    rows: u64,
    batch: usize,
    key: impl Fn(u64) -> u64,
) {
    let start = Instant::now();
    let mut writes = Writes::new();
    let value = [b'r'; 100];
    let write = |store: &mut dyn Store, writes: &mut Writes| {
        store.write(writes).unwrap();
        writes.clear();
    };
    for n in 0..rows {
        writes.put(format!("key-{:08}", key(n)).as_bytes(), &value);
        if writes.len() == batch {
            write(&mut *store, &mut writes);
        }
    }
    write(&mut *store, &mut writes);
    let wrote = start.elapsed();
    store.flush().unwrap();
    let flushed = start.elapsed().saturating_sub(wrote);
    let start = Instant::now();
    let reads = rows;
    for n in 0..reads {
        let key = format!("key-{:08}", key(n * 7919 % rows));
        assert!(store.get(key.as_bytes()).unwrap().is_some());
    }
    let read = start.elapsed();
    println!(
        "{name} {rows} rows by {batch}: write {:.0} ns/row, flush {flushed:?}, read {:.0} ns/row, rss {} MB",
        wrote.as_nanos() as f64 / rows as f64,
        read.as_nanos() as f64 / reads as f64,
        rss_mb(),
    );
}

/// 0 where the system does not tell.
fn rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).map_or(0, |kb| kb.parse::<u64>().unwrap() / 1024)
}

#[test]
fn rows() {
    let scatter = |n: u64| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % 100_000_000;
    let rows = if std::env::var_os("ROKA_COST").is_some() { 300_000 } else { 1_000 };
    for cache in [8, 64] {
        for (order, key) in [("scattered", &scatter as &dyn Fn(u64) -> u64), ("in order", &|n| n)] {
            let dir = tempfile::tempdir().unwrap();
            let store = SledStore::open(dir.path(), cache << 20).unwrap();
            measure(&format!("sled {cache} MB {order}"), Box::new(store), rows, 256, key);
        }
    }
    for rows in [rows, rows * 7] {
        let dir = tempfile::tempdir().unwrap();
        let store = LogStore::open(dir.path()).unwrap();
        measure("log scattered", Box::new(store), rows, 256, scatter);
        let start = Instant::now();
        let store = LogStore::open(dir.path()).unwrap();
        println!("  opened in {:?}", start.elapsed());
        measure("log again", Box::new(store), rows, 256, scatter);
    }
    measure("memory", Box::new(MemoryStore::new()), rows, 256, scatter);
}
