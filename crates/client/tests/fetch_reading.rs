//! A fetcher reads what is there, follows leaders, and keeps to its bounds.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod consuming;

use std::time::{Duration, Instant};

use consuming::*;
use roka_client::{
    ApiKey, ErrorCode,
    consumer::{FetchError, FetchEvent, FetcherConfig, Position, ResetPolicy, ResetReason, Start},
    records::Compression,
};

#[tokio::test]
async fn reads_all_partitions_in_order() {
    let (_cluster, client) = cluster(6).await;
    for partition in 0..6 {
        produce(&client, partition, 0..100).await;
        produce(&client, partition, 100..250).await;
    }
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    for partition in 0..6 {
        fetcher.assign(part(partition), Position::at(0), ResetPolicy::Fail, &queue, 0);
    }
    read_all(&queue, 6, 250).await;
}

#[tokio::test]
async fn reads_what_comes_while_it_waits() {
    let (cluster, client) = cluster(1).await;
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    fetcher.assign(part(0), Start::Earliest, ResetPolicy::Fail, &queue, 7);
    let FetchEvent::Reset(reset) = next(&queue).await else { panic!() };
    assert_eq!((reset.from, reset.to, reset.reason), (None, 0, ResetReason::Start));
    for i in 0..20 {
        produce(&client, 0, i..i + 1).await;
        let chunk = next_chunk(&queue).await;
        assert_eq!((numbers(&chunk), chunk.tag()), (vec![i], 7));
        assert_eq!(chunk.high_watermark(), i64::try_from(i + 1).unwrap());
    }
    // One Fetch per record, and a few for the beginning: no polling.
    assert!(cluster.requests(ApiKey::Fetch) < 30, "{}", cluster.requests(ApiKey::Fetch));
}

#[tokio::test]
async fn reads_compressed_batches_and_old_message_formats() {
    for versions in [4..=18, 4..=11, 2..=3, 0..=3] {
        let (cluster, client) = cluster(1).await;
        cluster.cap_versions(ApiKey::Fetch, versions.clone());
        for (i, compression) in (0..).zip(Compression::ALL) {
            // Batches of zstd are refused to old versions, as by Kafka.
            if *versions.end() >= 10 || compression != Compression::Zstd {
                produce_to(&client, TOPIC, 0, i * 50..i * 50 + 50, compression).await;
            }
        }
        let batches = if *versions.end() >= 10 { 5 } else { 4 };
        let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
        let queue = fetcher.queue(1 << 20);
        fetcher.assign(part(0), Position::at(0), ResetPolicy::Fail, &queue, 0);
        read_all(&queue, 1, batches * 50).await;
    }
}

/// Moves the leader around while records come, and checks that all of them arrive once.
async fn across_leader_moves(hints: bool) -> (u64, u64) {
    let (cluster, client) = cluster(2).await;
    cluster.leader_hints(hints);
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    for partition in 0..2 {
        fetcher.assign(part(partition), Position::at(0), ResetPolicy::Fail, &queue, 0);
    }
    let writer = consuming::client(&cluster);
    let reader = tokio::spawn(async move {
        read_all(&queue, 2, 300).await;
    });
    let before = client.counters().requests(ApiKey::Metadata);
    for i in 0..30 {
        for partition in 0..2 {
            produce(&writer, partition, i * 10..i * 10 + 10).await;
        }
        if i % 5 == 4 {
            let leader = cluster.leader(TOPIC, 0).unwrap().unwrap();
            let next = cluster.nodes().into_iter().find(|node| *node != leader).unwrap();
            cluster.move_leader(TOPIC, 0, next).unwrap();
        }
    }
    reader.await.unwrap();
    let asked = client.counters().requests(ApiKey::Metadata) - before;
    (asked, client.counters().requests(ApiKey::Fetch))
}

#[tokio::test]
async fn follows_leaders_without_loss_or_duplicates() {
    let (asked, fetches) = across_leader_moves(false).await;
    assert!(asked <= 14, "{asked} metadata requests for 6 moves");
    assert!(fetches < 300, "{fetches}");
}

#[tokio::test]
async fn follows_hints_without_asking_for_metadata() {
    let (asked, _) = across_leader_moves(true).await;
    // The first is for the topic.
    assert!(asked <= 2, "{asked} metadata requests");
}

#[tokio::test]
async fn goes_on_when_a_broker_stops_and_when_it_comes_back() {
    let (cluster, client) = cluster(3).await;
    let writer = consuming::client(&cluster);
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    for partition in 0..3 {
        fetcher.assign(part(partition), Position::at(0), ResetPolicy::Fail, &queue, 0);
    }
    let reader = tokio::spawn(async move { read_all(&queue, 3, 400).await });
    for round in 0..4 {
        let node = cluster.nodes().get(round).copied();
        if let Some(node) = node {
            cluster.kill(node).unwrap();
        }
        let first = u64::try_from(round).unwrap() * 100;
        for partition in 0..3 {
            produce(&writer, partition, first..first + 100).await;
        }
        if let Some(node) = node {
            cluster.start(node).unwrap();
        }
    }
    reader.await.unwrap();
}

#[tokio::test]
async fn a_leaderless_partition_is_waited_for_without_a_storm() {
    let (cluster, client) = cluster(2).await;
    let writer = consuming::client(&cluster);
    produce(&writer, 0, 0..10).await;
    produce(&writer, 1, 0..10).await;
    cluster.leaderless(TOPIC, 0).unwrap();
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    for partition in 0..2 {
        fetcher.assign(part(partition), Position::at(0), ResetPolicy::Fail, &queue, 0);
    }
    // The other goes on meanwhile.
    assert_eq!(next_chunk(&queue).await.partition().partition, 1);
    let before = client.counters().requests(ApiKey::Metadata);
    let start = Instant::now();
    until("some refreshes", || client.counters().requests(ApiKey::Metadata) >= before + 3).await;
    assert!(start.elapsed() >= Duration::from_millis(200), "asked three times in {start:?}");
    cluster.elect(TOPIC, 0).unwrap();
    let chunk = next_chunk(&queue).await;
    assert_eq!((chunk.partition().partition, numbers(&chunk)), (0, (0..10).collect()));
}

#[tokio::test]
async fn every_kind_of_refusal_that_passes_is_waited_out() {
    let (cluster, client) = cluster(1).await;
    produce(&client, 0, 0..10).await;
    for code in [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::FENCED_LEADER_EPOCH,
        ErrorCode::UNKNOWN_LEADER_EPOCH,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::UNKNOWN_TOPIC_ID,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::OFFSET_NOT_AVAILABLE,
        ErrorCode::UNKNOWN_SERVER_ERROR,
        ErrorCode::REPLICA_NOT_AVAILABLE,
    ] {
        cluster.fail(ApiKey::Fetch, code, 2);
        cluster.fail(ApiKey::ListOffsets, code, 2);
        let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
        let queue = fetcher.queue(1 << 20);
        fetcher.assign(part(0), Start::Earliest, ResetPolicy::Fail, &queue, 0);
        read_all(&queue, 1, 10).await;
        cluster.clear_faults();
    }
}

#[tokio::test]
async fn connections_that_break_are_made_again() {
    let (cluster, client) = cluster(1).await;
    let writer = consuming::client(&cluster);
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    fetcher.assign(part(0), Position::at(0), ResetPolicy::Fail, &queue, 0);
    let reader = tokio::spawn(async move { read_all(&queue, 1, 200).await });
    for i in 0..20 {
        produce(&writer, 0, i * 10..i * 10 + 10).await;
        match i % 4 {
            0 => cluster.inject(roka_broker::Fault::cut_after(20).on(ApiKey::Fetch)),
            2 => cluster.inject(roka_broker::Fault::disconnect().on(ApiKey::Fetch)),
            _ => {}
        }
    }
    reader.await.unwrap();
}

#[tokio::test]
async fn a_seek_drops_what_was_fetched_before() {
    let (_cluster, client) = cluster(1).await;
    for i in 0..10 {
        produce(&client, 0, i * 10..i * 10 + 10).await;
    }
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    fetcher.assign(part(0), Position::at(0), ResetPolicy::Fail, &queue, 0);
    assert_eq!(numbers(&next_chunk(&queue).await)[0], 0);
    for offset in [55, 3, 99, 0, 42] {
        fetcher.seek(&part(0), Position::at(offset));
        let chunk = next_chunk(&queue).await;
        assert_eq!(numbers(&chunk)[0], u64::try_from(offset).unwrap());
    }
    fetcher.unassign(&part(0));
    assert!(queue.try_recv().is_none());
    // Assigned again, nothing of before comes.
    fetcher.assign(part(0), Position::at(77), ResetPolicy::Fail, &queue, 1);
    let chunk = next_chunk(&queue).await;
    assert_eq!((numbers(&chunk)[0], chunk.tag()), (77, 1));
}

#[tokio::test]
async fn a_paused_partition_gives_nothing_until_it_is_resumed() {
    let (_cluster, client) = cluster(2).await;
    let config = FetcherConfig::default().max_wait(Duration::from_secs(30));
    let fetcher = client.fetcher(config).unwrap();
    let queue = fetcher.queue(1 << 20);
    fetcher.assign(part(0), Position::at(0), ResetPolicy::Fail, &queue, 0);
    fetcher.assign(part(1), Position::at(0), ResetPolicy::Fail, &queue, 0);
    fetcher.pause(&part(0));
    produce(&client, 0, 0..10).await;
    for i in 0..10 {
        produce(&client, 1, i * 10..i * 10 + 10).await;
        let chunk = next_chunk(&queue).await;
        // One answer may have been on its way when it was paused.
        if chunk.partition().partition == 0 {
            assert_eq!(i, 0, "paused, but read");
            return;
        }
    }
    fetcher.resume(&part(0));
    let start = Instant::now();
    assert_eq!(next_chunk(&queue).await.partition().partition, 0);
    assert!(start.elapsed() < Duration::from_secs(15), "waited for a long poll");
}

#[tokio::test]
async fn a_new_partition_does_not_wait_for_the_long_poll_of_another() {
    let (cluster, client) = cluster(3).await;
    let leader = cluster.leader(TOPIC, 0).unwrap().unwrap();
    cluster.move_leader(TOPIC, 1, leader).unwrap();
    produce(&client, 1, 0..10).await;
    let config = FetcherConfig::default().max_wait(Duration::from_secs(30));
    let fetcher = client.fetcher(config).unwrap();
    let queue = fetcher.queue(1 << 20);
    fetcher.assign(part(0), Position::at(0), ResetPolicy::Fail, &queue, 0);
    until("a fetch", || client.counters().requests(ApiKey::Fetch) > 0).await;
    let start = Instant::now();
    fetcher.assign(part(1), Position::at(0), ResetPolicy::Fail, &queue, 0);
    assert_eq!(next_chunk(&queue).await.partition().partition, 1);
    // Far below the long poll. That the request is one beside it is shown with virtual time, in the engine's tests.
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_queue_ends_with_the_fetcher() {
    let (_cluster, client) = cluster(1).await;
    produce(&client, 0, 0..10).await;
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let (queue, idle) = (fetcher.queue(1 << 20), fetcher.queue(1 << 20));
    fetcher.assign(part(0), Position::at(0), ResetPolicy::Fail, &queue, 0);
    next_chunk(&queue).await;
    drop(fetcher);
    for queue in [queue, idle] {
        let end = tokio::time::timeout(PATIENCE, async { while queue.recv().await.is_some() {} });
        end.await.expect("the queue never ended");
    }
    // Also when the client goes first.
    let other = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = other.queue(1);
    client.close().await;
    assert!(tokio::time::timeout(PATIENCE, queue.recv()).await.expect("no end").is_none());
}

#[tokio::test]
async fn errors_name_partition_and_offset() {
    let (_cluster, client) = cluster(2).await;
    produce(&client, 0, 0..10).await;
    produce(&client, 1, 0..10).await;
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    fetcher.assign(part(0), Position::at(99), ResetPolicy::Fail, &queue, 3);
    let FetchEvent::Failed { tag: 3, error } = next(&queue).await else { panic!() };
    let FetchError::OutOfRange { partition, offset: 99, .. } = &error else { panic!("{error}") };
    assert_eq!(partition, &part(0));
    assert!(error.to_string().contains("numbers-0: offset 99"), "{error}");
    // The other partitions go on, and this one after a seek.
    fetcher.assign(part(1), Position::at(0), ResetPolicy::Fail, &queue, 4);
    assert_eq!(next_chunk(&queue).await.tag(), 4);
    fetcher.seek(&part(0), Position::at(5));
    assert_eq!(numbers(&next_chunk(&queue).await), [5, 6, 7, 8, 9]);
}
