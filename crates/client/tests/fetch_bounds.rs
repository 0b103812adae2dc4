//! Memory is bounded in bytes, and nobody starves for it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod consuming;

use std::time::Duration;

use consuming::*;
use roka_client::{
    ApiKey, TopicPartition,
    consumer::{Chunk, FetchEvent, FetcherConfig, Position, ResetPolicy, Start},
    records::Compression,
};

/// Each batch of 500 numbers is about 54 kB.
const BATCH: u64 = 500;

async fn fill(client: &roka_client::Client, partitions: i32, batches: u64) {
    for partition in 0..partitions {
        for batch in 0..batches {
            produce(client, partition, batch * BATCH..(batch + 1) * BATCH).await;
        }
    }
}

#[tokio::test]
async fn a_slow_reader_bounds_what_is_fetched() {
    let (_cluster, client) = cluster(6).await;
    fill(&client, 6, 20).await;
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    for partition in 0..6 {
        fetcher.assign(part(partition), Position::at(0), ResetPolicy::Fail, &queue, 0);
    }
    let mut most = 0;
    let mut read = 0;
    while read < 6 * 20 * BATCH {
        let chunk = next_chunk(&queue).await;
        // Slow: lets the fetcher do what it can before it reads on.
        let settled = queue.used_bytes();
        tokio::time::sleep(Duration::from_millis(2)).await;
        most = most.max(settled).max(queue.used_bytes());
        read += numbers(&chunk).len() as u64;
    }
    // 6 partitions share 1 MiB: two answers of 1/12 MiB each, and a batch that does not fit exactly.
    assert!(most > 100_000, "no prefetch: {most}");
    assert!(most <= (1 << 20) + 6 * 60_000, "{most} bytes for a queue of 1 MiB");
    assert_eq!(queue.used_bytes(), 0);
}

#[tokio::test]
async fn a_reader_that_stops_stops_the_fetching() {
    let (cluster, client) = cluster(2).await;
    fill(&client, 2, 40).await;
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(200_000);
    for partition in 0..2 {
        fetcher.assign(part(partition), Position::at(0), ResetPolicy::Fail, &queue, 0);
    }
    let held = next_chunk(&queue).await;
    // Settled: no Fetch for as long as several short polls.
    let mut asked = 0;
    until("quiet", || {
        let before = std::mem::replace(&mut asked, cluster.requests(ApiKey::Fetch));
        std::thread::sleep(Duration::from_millis(300));
        before == cluster.requests(ApiKey::Fetch)
    })
    .await;
    assert!(queue.used_bytes() <= 400_000, "{}", queue.used_bytes());
    drop(held);
    read_rest(&queue, 2, 40 * BATCH).await;
}

/// Reads until the last number of each partition came.
async fn read_rest(queue: &roka_client::consumer::FetchQueue, partitions: usize, count: u64) {
    let mut done = 0;
    while done < partitions {
        let chunk = next_chunk(queue).await;
        done += usize::from(chunk.next().offset == i64::try_from(count).unwrap());
    }
}

#[tokio::test]
async fn a_reader_that_waits_for_one_partition_gets_it_although_others_fill_the_queue() {
    let (_cluster, client) = cluster(4).await;
    fill(&client, 3, 20).await;
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(150_000);
    for partition in 0..4 {
        fetcher.assign(part(partition), Position::at(0), ResetPolicy::Fail, &queue, 0);
    }
    // Holds on to everything that is not of partition 3.
    let mut held: Vec<Chunk> = Vec::new();
    until("a full queue", || {
        if let Some(FetchEvent::Data(chunk)) = queue.try_recv() {
            held.push(chunk);
        }
        queue.used_bytes() >= queue.max_bytes()
    })
    .await;
    produce(&client, 3, 0..BATCH).await;
    loop {
        let chunk = next_chunk(&queue).await;
        if chunk.partition().partition == 3 {
            assert_eq!(numbers(&chunk)[0], 0);
            return;
        }
        held.push(chunk);
    }
}

#[tokio::test]
async fn a_batch_larger_than_all_bounds_is_read() {
    for versions in [0..=18, 0..=2] {
        let (cluster, client) = cluster(1).await;
        cluster.cap_versions(ApiKey::Fetch, versions);
        produce(&client, 0, 0..5000).await;
        produce(&client, 0, 5000..5010).await;
        let config = FetcherConfig::default().max_bytes(1000).partition_max_bytes(1000);
        let fetcher = client.fetcher(config).unwrap();
        let queue = fetcher.queue(1000);
        fetcher.assign(part(0), Position::at(0), ResetPolicy::Fail, &queue, 0);
        read_all(&queue, 1, 5010).await;
    }
}

#[tokio::test]
async fn partitions_of_one_broker_take_turns() {
    let (cluster, client) = cluster(8).await;
    let leader = cluster.leader(TOPIC, 0).unwrap().unwrap();
    for partition in 1..8 {
        cluster.move_leader(TOPIC, partition, leader).unwrap();
    }
    fill(&client, 8, 6).await;
    // Room for one batch per answer only.
    let config = FetcherConfig::default().max_bytes(60_000);
    let fetcher = client.fetcher(config).unwrap();
    let queue = fetcher.queue(16 << 20);
    for partition in 0..8 {
        fetcher.assign(part(partition), Position::at(0), ResetPolicy::Fail, &queue, 0);
    }
    let mut progress = [0u64; 8];
    while progress.iter().any(|read| *read < 6 * BATCH) {
        let chunk = next_chunk(&queue).await;
        let partition = usize::try_from(chunk.partition().partition).unwrap();
        progress[partition] += numbers(&chunk).len() as u64;
        let (least, most) = (progress.iter().min().unwrap(), progress.iter().max().unwrap());
        assert!(most - least <= 4 * BATCH, "{progress:?}");
    }
}

#[tokio::test]
async fn many_topics_and_an_idle_fetcher_ask_little() {
    let (cluster, client) = cluster(3).await;
    for i in 0..20 {
        cluster.create_topic(&format!("t{i}"), 3, 3).unwrap();
    }
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    for i in 0..20 {
        for partition in 0..3 {
            let partition = TopicPartition::new(format!("t{i}"), partition);
            fetcher.assign(partition, Start::Latest, ResetPolicy::Fail, &queue, 0);
        }
    }
    for _ in 0..60 {
        assert!(matches!(next(&queue).await, FetchEvent::Reset(_)));
    }
    assert!(cluster.requests(ApiKey::ListOffsets) <= 12, "lookups go together");
    assert!(client.counters().requests(ApiKey::Metadata) <= 12);
    produce_to(&client, "t13", 1, 0..10, Compression::None).await;
    assert_eq!(next_chunk(&queue).await.topic().as_ref(), "t13");
    assert!(cluster.requests(ApiKey::Fetch) < 60, "{}", cluster.requests(ApiKey::Fetch));
}
