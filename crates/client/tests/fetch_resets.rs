//! Offsets that are not in the log: what the reset policies do, and that nothing is skipped silently.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod consuming;

use consuming::*;
use roka_client::{
    ApiKey, Client, ErrorCode,
    consumer::{
        FetchError, FetchEvent, FetchQueue, FetcherConfig, Position, Reset, ResetPolicy,
        ResetReason, Start,
    },
    protocol::messages::delete_records::{
        DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
    },
};

/// The log of partition 0 begins at that offset from now on.
async fn delete_before(client: &Client, offset: i64) {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
    let topic = DeleteRecordsTopic { name: TOPIC.into(), partitions };
    let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 5000 };
    let response = client.call_leader(TOPIC, 0, request).await.unwrap();
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
}

async fn next_reset(queue: &FetchQueue) -> Reset {
    match next(queue).await {
        FetchEvent::Reset(reset) => reset,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn starts_where_it_is_told() {
    let (_cluster, client) = cluster(1).await;
    for i in 0..10 {
        produce(&client, 0, i * 10..i * 10 + 10).await;
    }
    delete_before(&client, 15).await;
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    fetcher.assign(part(0), Start::Earliest, ResetPolicy::Fail, &queue, 0);
    assert_eq!(next_reset(&queue).await.to, 15);
    let chunk = next_chunk(&queue).await;
    assert_eq!((numbers(&chunk)[0], chunk.log_start_offset()), (15, 15));
    fetcher.seek(&part(0), Start::Latest);
    assert_eq!(next_reset(&queue).await.to, 100);
    // All records have the time 0, so there is none after it: the end.
    fetcher.seek(&part(0), Start::Timestamp(1));
    assert_eq!(next_reset(&queue).await.to, 100);
    fetcher.seek(&part(0), Start::Timestamp(0));
    assert_eq!(next_reset(&queue).await.to, 15);
}

#[tokio::test]
async fn an_offset_that_was_deleted_follows_the_policy() {
    for (policy, offset, to) in [
        (ResetPolicy::Earliest, 3, 40),
        (ResetPolicy::Latest, 3, 100),
        (ResetPolicy::Earliest, 1000, 40),
    ] {
        let (cluster, client) = cluster(1).await;
        for i in 0..10 {
            produce(&client, 0, i * 10..i * 10 + 10).await;
        }
        delete_before(&client, 40).await;
        let asked = cluster.requests(ApiKey::ListOffsets);
        let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
        let queue = fetcher.queue(1 << 20);
        fetcher.assign(part(0), Position::at(offset), policy, &queue, 9);
        let reset = next_reset(&queue).await;
        let reason = ResetReason::OutOfRange;
        let wanted = Reset { partition: part(0), tag: 9, from: Some(offset), to, reason };
        assert_eq!(reset, wanted);
        if policy == ResetPolicy::Earliest {
            assert_eq!(numbers(&next_chunk(&queue).await)[0], 40);
        }
        assert_eq!(cluster.requests(ApiKey::ListOffsets) - asked, 1);
    }
}

#[tokio::test]
async fn without_a_policy_only_that_partition_stops() {
    let (_cluster, client) = cluster(2).await;
    produce(&client, 0, 0..100).await;
    produce(&client, 1, 0..10).await;
    delete_before(&client, 40).await;
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    fetcher.assign(part(0), Position::at(3), ResetPolicy::Fail, &queue, 0);
    match next(&queue).await {
        FetchEvent::Failed { error: FetchError::OutOfRange { offset: 3, .. }, .. } => {}
        other => panic!("{other:?}"),
    }
    fetcher.assign(part(1), Position::at(0), ResetPolicy::Fail, &queue, 1);
    for i in 1..10 {
        assert_eq!(next_chunk(&queue).await.tag(), 1);
        produce(&client, 1, i * 10..i * 10 + 10).await;
    }
}

#[tokio::test]
async fn lookups_follow_the_leader() {
    let (cluster, client) = cluster(1).await;
    produce(&client, 0, 0..10).await;
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    for code in [ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::LEADER_NOT_AVAILABLE] {
        cluster.fail(ApiKey::ListOffsets, code, 3);
        fetcher.assign(part(0), Start::Latest, ResetPolicy::Fail, &queue, 0);
        assert_eq!(next_reset(&queue).await.to, 10);
    }
    let leader = cluster.leader(TOPIC, 0).unwrap().unwrap();
    let other = cluster.nodes().into_iter().find(|node| *node != leader).unwrap();
    cluster.move_leader(TOPIC, 0, other).unwrap();
    fetcher.seek(&part(0), Start::Earliest);
    assert_eq!(next_reset(&queue).await.to, 0);
}

#[tokio::test]
async fn old_brokers_look_up_offsets_too() {
    for versions in [0..=0, 1..=1, 2..=5, 0..=11] {
        let (cluster, client) = cluster(1).await;
        produce(&client, 0, 0..10).await;
        cluster.cap_versions(ApiKey::ListOffsets, versions);
        let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
        let queue = fetcher.queue(1 << 20);
        fetcher.assign(part(0), Start::Latest, ResetPolicy::Fail, &queue, 0);
        assert_eq!(next_reset(&queue).await.to, 10);
        fetcher.seek(&part(0), Start::Earliest);
        assert_eq!(next_reset(&queue).await.to, 0);
    }
}

#[tokio::test]
async fn a_position_that_is_told_with_its_epoch_is_compared_with_the_log() {
    for versions in [0..=18, 4..=11] {
        let (cluster, client) = cluster(1).await;
        cluster.cap_versions(ApiKey::Fetch, versions);
        produce(&client, 0, 0..10).await;
        let leader = cluster.leader(TOPIC, 0).unwrap().unwrap();
        let other = cluster.nodes().into_iter().find(|node| *node != leader).unwrap();
        cluster.move_leader(TOPIC, 0, other).unwrap();
        produce(&client, 0, 10..20).await;
        let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
        let queue = fetcher.queue(1 << 20);
        fetcher.assign(part(0), Position::at(0), ResetPolicy::Fail, &queue, 0);
        let mut chunks = vec![next_chunk(&queue).await];
        if chunks[0].next().offset < 20 {
            chunks.push(next_chunk(&queue).await);
        }
        let last = chunks.last().unwrap().next();
        let current = last.leader_epoch.expect("batches tell their epoch");
        let first = current - 1;
        // Right: the records of the first epoch end at 10.
        let right = Position { offset: 10, leader_epoch: Some(first) };
        fetcher.assign(part(0), right, ResetPolicy::Fail, &queue, 1);
        assert_eq!(numbers(&next_chunk(&queue).await)[0], 10);
        // Wrong: 15 was never of the first epoch in this log.
        let wrong = Position { offset: 15, leader_epoch: Some(first) };
        fetcher.assign(part(0), wrong, ResetPolicy::Fail, &queue, 2);
        match next(&queue).await {
            FetchEvent::Failed {
                tag: 2,
                error: FetchError::Truncated { offset: 15, epoch, agrees_to: 10, .. },
            } => assert_eq!(epoch, first),
            other => panic!("{other:?}"),
        }
        // With a policy it goes on where the logs part, and says so.
        fetcher.assign(part(0), wrong, ResetPolicy::Latest, &queue, 3);
        let reset = next_reset(&queue).await;
        assert_eq!((reset.from, reset.to), (Some(15), 10));
        assert_eq!(reset.reason, ResetReason::Truncated);
        assert_eq!(numbers(&next_chunk(&queue).await)[0], 10);
    }
}

#[tokio::test]
async fn a_topic_that_is_missing_stops_its_partition() {
    let (cluster, client) = cluster(1).await;
    let patience = std::time::Duration::from_millis(300);
    let config = FetcherConfig::default().missing_topic_timeout(patience);
    let fetcher = client.fetcher(config).unwrap();
    let queue = fetcher.queue(1 << 20);
    let missing = roka_client::TopicPartition::new("missing", 0);
    fetcher.assign(missing.clone(), Start::Earliest, ResetPolicy::Fail, &queue, 0);
    match next(&queue).await {
        FetchEvent::Failed { error: FetchError::TopicGone { partition, .. }, .. } => {
            assert_eq!(partition, missing);
        }
        other => panic!("{other:?}"),
    }
    // A partition that the topic does not have is missing too, until it is added.
    fetcher.assign(part(7), Start::Earliest, ResetPolicy::Fail, &queue, 0);
    assert!(matches!(
        next(&queue).await,
        FetchEvent::Failed { error: FetchError::TopicGone { .. }, .. }
    ));
    cluster.create_topic("missing", 1, 1).unwrap();
    fetcher.seek(&missing, Start::Earliest);
    assert_eq!(next_reset(&queue).await.partition, missing);
}

#[tokio::test]
async fn a_topic_made_anew_stops_its_partition_with_both_ids() {
    let (cluster, client) = cluster(1).await;
    produce(&client, 0, 0..10).await;
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    fetcher.assign(part(0), Position::at(0), ResetPolicy::Earliest, &queue, 0);
    assert_eq!(numbers(&next_chunk(&queue).await).len(), 10);
    client.admin().delete_topic(TOPIC).await.unwrap();
    cluster.create_topic(TOPIC, 1, 3).unwrap();
    let writer = consuming::client(&cluster);
    // Longer than the old one, so that the old position exists in it.
    produce(&writer, 0, 100..120).await;
    match next(&queue).await {
        FetchEvent::Failed { error: FetchError::TopicRecreated { partition, was, is }, .. } => {
            assert_eq!(partition, part(0));
            assert_ne!(was, is);
        }
        other => panic!("{other:?}"),
    }
    fetcher.seek(&part(0), Position::at(0));
    assert_eq!(numbers(&next_chunk(&queue).await), (100..120).collect::<Vec<_>>());
}
