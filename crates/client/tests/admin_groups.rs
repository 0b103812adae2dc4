//! Groups and their offsets, also while coordinators move and die.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use roka_broker::Cluster;
use roka_client::admin::CommittedOffset;
use roka_client::{Admin, ApiKey, Client, Config, ErrorCode, TopicPartition};

async fn start() -> (Cluster, Client, Admin) {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    cluster.create_topic("t", 3, 3).unwrap();
    let client = Client::new(Config::new(cluster.bootstrap())).unwrap();
    let admin = client.admin();
    (cluster, client, admin)
}

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn offset(offset: i64) -> CommittedOffset {
    CommittedOffset { metadata: Some("note".into()), ..CommittedOffset::new(offset) }
}

#[tokio::test]
async fn offsets_are_set_listed_and_deleted() {
    let (_cluster, _client, admin) = start().await;
    assert!(admin.list_group_offsets("g").await.unwrap().is_empty());
    let results = admin.alter_group_offsets("g", &[(at(0), offset(5)), (at(2), offset(7))]).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");

    let all = admin.list_group_offsets("g").await.unwrap();
    let all: Vec<_> = all.into_iter().map(|it| (it.partition, it.committed.unwrap())).collect();
    assert_eq!(all, [(at(0), Some(offset(5))), (at(2), Some(offset(7)))]);
    let some = admin.list_group_offsets_of("g", &[at(2), at(1)]).await.unwrap();
    let some: Vec<_> = some.into_iter().map(|it| it.committed.unwrap()).collect();
    assert_eq!(some, [Some(offset(7)), None]);

    let results = admin.delete_group_offsets("g", &[at(0)]).await;
    assert!(results[0].is_ok(), "{results:?}");
    assert_eq!(admin.list_group_offsets("g").await.unwrap().len(), 1);
}

#[tokio::test]
async fn groups_are_listed_described_and_deleted() {
    let (_cluster, _client, admin) = start().await;
    for group in ["a", "b", "c", "d"] {
        admin.alter_group_offsets(group, &[(at(0), offset(1))]).await.pop().unwrap().unwrap();
    }
    let listed = admin.list_groups().await.unwrap();
    assert_eq!(listed.iter().map(|it| &*it.group).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    for it in &listed {
        assert_eq!(admin.refresh_coordinator(&it.group).await.unwrap(), it.coordinator);
    }
    let described = admin.describe_groups(&["a", "nosuch"]).await;
    assert_eq!(described[0].as_ref().unwrap().state, "Empty");
    assert_eq!(described[1].as_ref().unwrap().state, "Dead");
    let deleted = admin.delete_groups(&["a", "nosuch", "c"]).await;
    assert!(deleted[0].is_ok() && deleted[2].is_ok(), "{deleted:?}");
    let error = deleted[1].as_ref().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::GROUP_ID_NOT_FOUND), "{error}");
    assert_eq!(admin.list_groups().await.unwrap().len(), 2);
}

/// Scenario S2 (IBM/sarama#3051): the coordinator was cached by a first call, then it is gone.
#[tokio::test]
async fn a_dead_coordinator_is_replaced() {
    let (cluster, client, admin) = start().await;
    admin.alter_group_offsets("g", &[(at(0), offset(5))]).await.pop().unwrap().unwrap();
    let coordinator = admin.refresh_coordinator("g").await.unwrap();
    let lookups = client.counters().coordinator_lookups;
    cluster.kill(coordinator.0).unwrap();
    let begin = Instant::now();
    let offsets = admin.list_group_offsets("g").await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(offsets[0].committed.as_ref().unwrap(), &Some(offset(5)));
    assert!(client.counters().coordinator_lookups <= lookups + 2, "{:?}", client.counters());
    assert_ne!(admin.refresh_coordinator("g").await.unwrap(), coordinator);
}

#[tokio::test]
async fn coordinator_errors_are_waited_out() {
    let (cluster, client, admin) = start().await;
    admin.alter_group_offsets("g", &[(at(0), offset(5))]).await.pop().unwrap().unwrap();
    let lookups = client.counters().coordinator_lookups;
    cluster.fail(ApiKey::OffsetFetch, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, 3);
    assert_eq!(admin.list_group_offsets("g").await.unwrap().len(), 1);
    assert_eq!(client.counters().coordinator_lookups, lookups, "loading is no reason to look up");
    cluster.fail(ApiKey::OffsetFetch, ErrorCode::NOT_COORDINATOR, 1);
    assert_eq!(admin.list_group_offsets("g").await.unwrap().len(), 1);
    assert_eq!(client.counters().coordinator_lookups, lookups + 1);
    cluster.fail(ApiKey::FindCoordinator, ErrorCode::COORDINATOR_NOT_AVAILABLE, 3);
    admin.refresh_coordinator("g").await.unwrap();
    assert_eq!(cluster.faults_left(), 0);
}

#[tokio::test]
async fn old_coordinators_are_spoken_to() {
    let (cluster, _client, _admin) = start().await;
    for (api, high) in [
        (ApiKey::FindCoordinator, 0),
        (ApiKey::OffsetCommit, 2),
        (ApiKey::OffsetFetch, 2),
        (ApiKey::DescribeGroups, 0),
        (ApiKey::ListGroups, 0),
    ] {
        cluster.cap_versions(api, 0..=high);
    }
    let admin = Client::new(Config::new(cluster.bootstrap())).unwrap().admin();
    admin.alter_group_offsets("g", &[(at(0), offset(5))]).await.pop().unwrap().unwrap();
    assert_eq!(admin.list_group_offsets("g").await.unwrap().len(), 1);
    assert_eq!(admin.describe_group("g").await.unwrap().state, "Empty");
    assert_eq!(admin.list_groups().await.unwrap().len(), 1);
}
