//! Brokers join and leave, again and again: no task, no connection and no memory of theirs stays behind.
//!
//! `ROKA_BROKER_CYCLES` says how often, 100 if it is not set.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use roka_broker::Cluster;
use roka_client::producer::{ProducerConfig, RecordRef};
use roka_client::{Client, Config, TcpTransport};
use tokio::runtime::Handle;

/// Growth of memory that is not taken for a leak: allocators keep what they had once.
const SLACK_KIB: u64 = 32 << 10;

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    tasks: usize,
    files: usize,
    memory_kib: u64,
}

impl Held {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap();
        Self {
            tasks: Handle::current().metrics().num_alive_tasks(),
            files: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            memory_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
        }
    }
}

#[tokio::test]
async fn nothing_of_brokers_that_left_stays() {
    let cycles = std::env::var("ROKA_BROKER_CYCLES").ok();
    let cycles: i32 = cycles.map_or(100, |it| it.parse().unwrap());
    let cluster = Cluster::builder().nodes(1).start().await.unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    let config = Config::new(cluster.bootstrap());
    // On this runtime, so that its tasks can be counted.
    let client = Client::on_runtime(config, Arc::new(TcpTransport), Handle::current()).unwrap();
    let admin = client.admin();
    let producer = client.producer(ProducerConfig::default().linger(Duration::ZERO)).unwrap();
    let topic = producer.topic("t").await.unwrap();
    let write = async || {
        for p in 0..2 {
            topic.send(p, RecordRef::value(b"v")).await.unwrap();
        }
        producer.flush().await.unwrap();
    };
    let mut before = None;
    for cycle in 0..cycles {
        let node = 2 + cycle;
        cluster.add_node(node).unwrap();
        cluster.move_leader("t", 0, node).unwrap();
        write().await;
        // A listing asks every broker there is.
        assert!(admin.list_groups().await.is_ok());
        assert_eq!(client.metadata().brokers.len(), 2);
        if cycle % 2 == 0 {
            // It hands over before it goes; else the election comes when it is gone.
            cluster.move_leader("t", 0, 1).unwrap();
            write().await;
        }
        cluster.remove_node(node).unwrap();
        write().await;
        client.refresh_metadata().await.unwrap();
        if cycle == cycles / 10 {
            before = Some(Held::now());
        }
    }
    let before = before.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while Held::now().tasks > before.tasks || Held::now().files > before.files {
        assert!(Instant::now() < deadline, "{:?} after {before:?}", Held::now());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let after = Held::now();
    println!("{cycles} cycles: {before:?} after a tenth, {after:?} in the end");
    let grown = after.memory_kib.saturating_sub(before.memory_kib);
    assert!(grown < SLACK_KIB, "{grown} KiB more: {after:?} after {before:?}");
    let counters = client.counters();
    println!("{} connects, {} failed dials", counters.connects, counters.connect_failures);
}
