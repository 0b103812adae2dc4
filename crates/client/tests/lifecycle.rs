//! A client's thread and connections end with it, wherever its last clone is dropped.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use roka_broker::Cluster;
use roka_client::producer::ProducerConfig;
use roka_client::{Client, Config, Error};

/// The I/O threads of this process.
#[cfg(target_os = "linux")]
fn io_threads() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |it: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(it.unwrap().path().join("comm")).unwrap_or_default()
    };
    threads.map(name).filter(|name| name.trim() == "roka-io").count()
}

#[cfg(target_os = "linux")]
fn await_no_thread() {
    let deadline = Instant::now() + Duration::from_secs(10);
    while io_threads() > 0 {
        assert!(Instant::now() < deadline, "{} threads stay", io_threads());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// One test, because all of them count the threads of the process.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_end() {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    cluster.create_topic("t", 3, 1).unwrap();
    let start = || Client::new(Config::new(cluster.bootstrap())).unwrap();

    for _ in 0..50 {
        let client = start();
        client.refresh_metadata().await.unwrap();
        assert_eq!(io_threads(), 1);
        drop(client);
        // A thread that was joined can stand in the process table a moment longer.
        await_no_thread();
    }

    // What is made from it keeps it.
    let client = start();
    let producer = client.producer(ProducerConfig::default()).unwrap();
    drop(client);
    let topic = producer.topic("t").await.unwrap();
    assert_eq!(io_threads(), 1);
    drop(producer);
    drop(topic);
    await_no_thread();

    // Closed while a call is under way, which says so.
    let client = start();
    cluster.hang(1).unwrap();
    cluster.hang(2).unwrap();
    cluster.hang(3).unwrap();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.refresh_metadata().await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.close().await;
    assert!(matches!(call.await.unwrap(), Err(Error::Closed)));
    await_no_thread();
    client.close().await;
    for node in cluster.nodes() {
        cluster.resume(node).unwrap();
    }

    // An address that swallows everything does not hold up the end.
    let client = Client::new(Config::new("192.0.2.1:9092")).unwrap();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.refresh_metadata().await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begin = Instant::now();
    client.close().await;
    assert!(call.await.unwrap().is_err());
    drop(client);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    await_no_thread();
}
