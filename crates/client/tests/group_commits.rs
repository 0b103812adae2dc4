//! Committed offsets: fenced, serialised, and never misread.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod consuming;

use std::{sync::Arc, time::Duration};

use consuming::{
    members::{GROUP, config},
    *,
};
use roka_broker::{Cluster, Fault};
use roka_client::{
    ApiKey, Client, Error, ErrorCode, TopicPartition,
    consumer::Position,
    group::{
        CommitError, Group, GroupConfig, GroupError, GroupEvent, RevokeAck,
        assignor::{CooperativeSticky, Range},
    },
};
use tokio::time::timeout;

async fn groups() -> (Cluster, Client) {
    let cluster = Cluster::builder()
        .nodes(3)
        .config("group.min.session.timeout.ms", "100")
        .start()
        .await
        .unwrap();
    cluster.create_topic(TOPIC, 4, 3).unwrap();
    let client = client(&cluster);
    (cluster, client)
}

async fn event(group: &Group) -> GroupEvent {
    timeout(PATIENCE, group.next_event()).await.expect("no event").expect("the member left")
}

async fn assigned(group: &Group) -> Vec<TopicPartition> {
    match event(group).await {
        GroupEvent::Assigned { all, .. } => all,
        other => panic!("{other:?}"),
    }
}

async fn revoked(group: &Group) -> (Vec<TopicPartition>, RevokeAck) {
    match event(group).await {
        GroupEvent::Revoked { partitions, ack } => (partitions, ack),
        other => panic!("{other:?}"),
    }
}

fn at(offset: i64, epoch: i32) -> Position {
    Position { offset, leader_epoch: Some(epoch) }
}

/// A member that is alone in its group.
async fn alone(client: &Client) -> Group {
    let group = client.group(config(), vec![Arc::new(CooperativeSticky)]).unwrap();
    assert_eq!(assigned(&group).await.len(), 4);
    group
}

#[tokio::test]
async fn what_was_committed_is_read_back() {
    for (commit, fetch) in [(0..=9, 0..=9), (2..=5, 1..=1), (0..=7, 2..=7), (1..=10, 6..=10)] {
        let (cluster, client) = groups().await;
        cluster.cap_versions(ApiKey::OffsetCommit, commit.clone());
        cluster.cap_versions(ApiKey::OffsetFetch, fetch.clone());
        let group = alone(&client).await;
        let nothing = group.committed(&[part(0), part(1)]).await.unwrap();
        assert_eq!(nothing.into_values().collect::<Vec<_>>(), [None, None]);
        group.commit([(part(0), at(7, 3)), (part(1), at(8, 3))]).await.unwrap();
        let note = Some("half".to_string());
        group.commit_with([(part(1), at(9, 3), note.clone())]).await.unwrap();
        let all: Vec<_> = (0..3).map(part).collect();
        let committed = group.committed(&all).await.unwrap();
        let offset = |p: i32| committed[&part(p)].as_ref().map(|it| it.position.offset);
        assert_eq!([offset(0), offset(1), offset(2)], [Some(7), Some(9), None]);
        assert_eq!(committed[&part(1)].as_ref().unwrap().metadata, note);
        let epoch = committed[&part(0)].as_ref().unwrap().position.leader_epoch;
        // Both directions must know epochs.
        assert_eq!(epoch, (*commit.end() >= 6 && *fetch.end() >= 5).then_some(3));
    }
}

#[tokio::test]
async fn commits_are_carried_out_one_after_the_other() {
    let (_cluster, client) = groups().await;
    let group = alone(&client).await;
    let commits: Vec<_> = (1..=50)
        .map(|offset| {
            let group = group.clone();
            async move { group.commit([(part(0), Position::at(offset))]).await }
        })
        .collect();
    let mut tasks = tokio::task::JoinSet::new();
    // Started in order: each enqueues before the next is polled.
    for commit in commits {
        tasks.spawn(commit);
        tokio::task::yield_now().await;
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
    let committed = group.committed(&[part(0)]).await.unwrap();
    assert_eq!(committed[&part(0)].as_ref().unwrap().position.offset, 50);
}

#[tokio::test]
async fn the_coordinator_may_move_load_and_hang_up() {
    let (cluster, client) = groups().await;
    let group = alone(&client).await;
    for (offset, code) in (1..).zip([
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::REQUEST_TIMED_OUT,
    ]) {
        cluster.fail(ApiKey::OffsetCommit, code, 2);
        cluster.fail(ApiKey::OffsetFetch, code, 2);
        group.commit([(part(0), Position::at(offset))]).await.unwrap();
        let committed = group.committed(&[part(0)]).await.unwrap();
        assert_eq!(committed[&part(0)].as_ref().unwrap().position.offset, offset);
    }
    cluster.inject(Fault::disconnect().on(ApiKey::OffsetCommit));
    cluster.inject(Fault::disconnect().on(ApiKey::OffsetFetch));
    for (offset, node) in (10..).zip(cluster.nodes()) {
        cluster.move_coordinator(GROUP, node).unwrap();
        group.commit([(part(0), Position::at(offset))]).await.unwrap();
        let committed = group.committed(&[part(0)]).await.unwrap();
        assert_eq!(committed[&part(0)].as_ref().unwrap().position.offset, offset);
    }
}

#[tokio::test]
async fn an_error_is_never_read_as_no_offset() {
    let (cluster, client) = groups().await;
    let group = alone(&client).await;
    group.commit([(part(0), Position::at(5))]).await.unwrap();
    for code in [
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ErrorCode::UNKNOWN_SERVER_ERROR,
    ] {
        for versions in [0..=1, 0..=7, 0..=9] {
            cluster.cap_versions(ApiKey::OffsetFetch, versions);
            cluster.fail(ApiKey::OffsetFetch, code, 1);
            let fresh = consuming::client(&cluster);
            let other = fresh.group(GroupConfig::new(GROUP, [TOPIC]), vec![Arc::new(Range)]);
            let error = other.unwrap().committed(&[part(0)]).await.unwrap_err();
            assert_eq!(error.code(), Some(code), "{error}");
            cluster.clear_faults();
        }
    }
    // Offsets that an open transaction may change are waited for.
    cluster.cap_versions(ApiKey::OffsetFetch, 0..=9);
    cluster.fail(ApiKey::OffsetFetch, ErrorCode::UNSTABLE_OFFSET_COMMIT, 2);
    let committed = group.committed(&[part(0)]).await.unwrap();
    assert_eq!(committed[&part(0)].as_ref().unwrap().position.offset, 5);
}

#[tokio::test]
async fn a_refusal_for_good_names_the_partition() {
    let (cluster, client) = groups().await;
    let group = alone(&client).await;
    cluster.fail(ApiKey::OffsetCommit, ErrorCode::OFFSET_METADATA_TOO_LARGE, 1);
    let error = group.commit([(part(2), Position::at(5))]).await.unwrap_err();
    let CommitError::Client(Error::Refused { code, .. }) = &error else { panic!("{error}") };
    assert_eq!(*code, ErrorCode::OFFSET_METADATA_TOO_LARGE);
    assert!(error.to_string().contains("numbers/2"), "{error}");
}

#[tokio::test]
async fn only_holders_commit() {
    let (cluster, client_a) = groups().await;
    let a = client_a.group(config(), vec![Arc::new(Range)]).unwrap();
    assert_eq!(assigned(&a).await.len(), 4);
    let foreign = TopicPartition::new("other", 0);
    let error = a.commit([(foreign.clone(), Position::at(1))]).await.unwrap_err();
    assert!(matches!(&error, CommitError::NotOwned { partition, .. } if *partition == foreign));
    let client_b = client(&cluster);
    let b = client_b.group(config(), vec![Arc::new(Range)]).unwrap();
    let (partitions, ack) = revoked(&a).await;
    assert_eq!(partitions.len(), 4);
    // While it lets go it may commit ...
    a.commit(partitions.iter().map(|it| (it.clone(), Position::at(10)))).await.unwrap();
    ack.done();
    // ... and not afterwards.
    let error = a.commit([(part(0), Position::at(11))]).await.unwrap_err();
    assert!(matches!(error, CommitError::NotOwned { .. }), "{error}");
    let (of_a, of_b) = (assigned(&a).await, assigned(&b).await);
    assert_eq!((of_a.len(), of_b.len()), (2, 2));
    for partition in &of_b {
        assert!(a.commit([(partition.clone(), Position::at(12))]).await.is_err());
        b.commit([(partition.clone(), Position::at(13))]).await.unwrap();
    }
    for partition in &of_a {
        a.commit([(partition.clone(), Position::at(14))]).await.unwrap();
    }
    let all: Vec<_> = (0..4).map(part).collect();
    for (partition, committed) in a.committed(&all).await.unwrap() {
        let wanted = if of_a.contains(&partition) { 14 } else { 13 };
        assert_eq!(committed.unwrap().position.offset, wanted);
    }
}

#[tokio::test]
async fn a_member_that_was_given_up_cannot_commit() {
    let (cluster, client) = groups().await;
    let config = config()
        .session_timeout(Duration::from_millis(300))
        .rebalance_timeout(Duration::from_secs(1))
        .heartbeat_interval(Duration::from_millis(100));
    let group = client.group(config, vec![Arc::new(CooperativeSticky)]).unwrap();
    assigned(&group).await;
    group.commit([(part(0), Position::at(1))]).await.unwrap();
    // The coordinator does not hear of it for longer than the session.
    cluster.inject(
        Fault::fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS).on(ApiKey::Heartbeat).times(9),
    );
    let lost = loop {
        match event(&group).await {
            GroupEvent::Lost { partitions } => break partitions,
            GroupEvent::Assigned { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(lost.len(), 4);
    let error = group.commit([(part(0), Position::at(2))]).await.unwrap_err();
    assert!(matches!(error, CommitError::NotOwned { .. }), "{error}");
    cluster.clear_faults();
    // Back in the group it may again.
    assigned(&group).await;
    group.commit([(part(0), Position::at(3))]).await.unwrap();
}

#[tokio::test]
async fn cooperative_members_commit_through_a_rebalance() {
    let (cluster, client_a) = groups().await;
    let a = alone(&client_a).await;
    let client_b = client(&cluster);
    let b = client_b.group(config(), vec![Arc::new(CooperativeSticky)]).unwrap();
    let mut offset = 0;
    let mut held = 4;
    // Rounds: one without the two that move, in which they are revoked, and one that hands them out.
    let mut of_b = 0;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while of_b < 2 || held > 2 {
        offset += 1;
        match a.commit([(part(0), Position::at(offset)), (part(3), Position::at(offset))]).await {
            Ok(()) | Err(CommitError::NotOwned { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        while let Some(event) = a.try_next_event() {
            match event {
                GroupEvent::Assigned { all, .. } => held = all.len(),
                GroupEvent::Revoked { partitions, ack } => {
                    let positions = partitions.into_iter().map(|it| (it, Position::at(offset)));
                    a.commit(positions).await.unwrap();
                    ack.done();
                }
                other => panic!("{other:?}"),
            }
        }
        while let Some(event) = b.try_next_event() {
            if let GroupEvent::Assigned { all, .. } = event {
                of_b = all.len();
            }
        }
        assert!(tokio::time::Instant::now() < deadline, "a holds {held}, b {of_b}");
    }
    assert!(offset > 1);
}

#[tokio::test]
async fn after_leaving_there_is_a_typed_end() {
    let (_cluster, client) = groups().await;
    let group = alone(&client).await;
    group.commit([(part(0), Position::at(1))]).await.unwrap();
    let again = group.clone();
    group.leave().await;
    assert!(timeout(PATIENCE, group.next_event()).await.unwrap().is_none());
    let error = again.commit([(part(0), Position::at(2))]).await.unwrap_err();
    assert!(matches!(error, CommitError::Group(GroupError::Left { .. })), "{error}");
    // Reading needs no membership.
    assert!(again.committed(&[part(0)]).await.unwrap()[&part(0)].is_some());
}

#[tokio::test]
async fn a_commit_gives_up_in_time_and_says_why() {
    let (cluster, client) = groups().await;
    let mut config = config();
    config.commit_timeout = Duration::from_millis(400);
    let group = client.group(config, vec![Arc::new(CooperativeSticky)]).unwrap();
    assigned(&group).await;
    cluster.fail(ApiKey::OffsetCommit, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, 1000);
    let started = std::time::Instant::now();
    let error = group.commit([(part(0), Position::at(1))]).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let CommitError::Client(Error::Timeout { last: Some(last), .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!(last.code(), Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
}
