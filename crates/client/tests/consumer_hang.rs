//! A broker that hangs with its connections open is not waited for, as soon as the cluster has replaced it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod consuming;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use consuming::{
    members::{Actor, GROUP, Ledger, config, spread},
    *,
};
use roka_client::{
    consumer::{FetcherConfig, Position, ResetPolicy},
    group::{GroupEvent, assignor::CooperativeSticky},
};

/// Far below the 30 s that a request may take.
const SOON: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_hung_leader_is_left_when_another_leads() {
    let (cluster, client) = cluster(1).await;
    let writer = consuming::client(&cluster);
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    fetcher.assign(part(0), Position::at(0), ResetPolicy::Fail, &queue, 0);
    produce(&writer, 0, 0..10).await;
    assert_eq!(next_chunk(&queue).await.next().offset, 10);
    let leader = cluster.leader(TOPIC, 0).unwrap().unwrap();
    let other = cluster.nodes().into_iter().find(|node| *node != leader).unwrap();
    cluster.hang(leader).unwrap();
    cluster.move_leader(TOPIC, 0, other).unwrap();
    let fresh = consuming::client(&cluster);
    produce(&fresh, 0, 10..20).await;
    let start = Instant::now();
    let chunk = next_chunk(&queue).await;
    assert_eq!(numbers(&chunk), (10..20).collect::<Vec<_>>());
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    // What the old one still says does not count.
    cluster.resume(leader).unwrap();
    produce(&fresh, 0, 20..30).await;
    assert_eq!(numbers(&next_chunk(&queue).await), (20..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_hung_coordinator_is_left_when_another_coordinates() {
    let (cluster, client) = cluster(6).await;
    let ledger = Ledger::default();
    let a = Actor::join(&cluster, config(), CooperativeSticky, 0, &ledger);
    spread(&[&a], &[6]).await;
    let group = client.group(config(), vec![Arc::new(CooperativeSticky)]).unwrap();
    spread(&[&a], &[3]).await;
    let mine = loop {
        match group.next_event().await.unwrap() {
            GroupEvent::Assigned { all, .. } if all.len() == 3 => break all,
            _ => {}
        }
    };
    let hung = cluster.coordinator(GROUP).unwrap();
    let other = cluster.nodes().into_iter().find(|node| Some(*node) != Some(hung)).unwrap();
    cluster.hang(hung).unwrap();
    cluster.move_coordinator(GROUP, other).unwrap();
    let start = Instant::now();
    group.commit([(mine[0].clone(), Position::at(7))]).await.unwrap();
    let committed = group.committed(&mine[..1]).await.unwrap();
    assert_eq!(committed[&mine[0]].as_ref().unwrap().position.offset, 7);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    // Membership goes on at the new one: somebody new gets a share, and nobody lost anything.
    let c = Actor::join(&cluster, config(), CooperativeSticky, 2, &ledger);
    let follow = tokio::spawn(async move {
        while let Some(event) = group.next_event().await {
            assert!(!matches!(event, GroupEvent::Lost { .. }), "{event:?}");
        }
    });
    spread(&[&a, &c], &[2, 2]).await;
    assert!(start.elapsed() < 2 * SOON, "{:?}", start.elapsed());
    assert!(a.story.lock().unwrap().lost.is_empty());
    follow.abort();
}
