//! Members come, go and die; partitions are held by one of them at a time, and by one in the end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod consuming;

use std::time::Duration;

use consuming::{
    members::{Actor, GROUP, Ledger, config, spread},
    *,
};
use roka_broker::{Cluster, Fault};
use roka_client::{
    ApiKey, ErrorCode,
    group::{
        GroupConfig, GroupError,
        assignor::{CooperativeSticky, Range, RoundRobin},
    },
};

async fn groups() -> Cluster {
    let cluster = Cluster::builder()
        .nodes(3)
        .config("group.min.session.timeout.ms", "100")
        .config("group.initial.rebalance.delay.ms", "0")
        .start()
        .await
        .unwrap();
    cluster.create_topic(TOPIC, 6, 3).unwrap();
    cluster
}

/// A member that is given up soon after it dies.
fn mortal() -> GroupConfig {
    config().session_timeout(Duration::from_millis(500))
}

macro_rules! with_each_protocol {
    ($($name:ident: $test:ident;)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn eager() {
                super::$test(|| Range).await;
            }

            #[tokio::test]
            async fn cooperative() {
                super::$test(|| CooperativeSticky).await;
            }
        }
    )*};
}

with_each_protocol! {
    three_members: three_members_share_and_leave;
    death: a_member_that_dies_is_replaced;
    coordinator: the_coordinator_moves_and_dies;
    refusals: refusals_that_pass_are_waited_out;
}

async fn three_members_share_and_leave<A>(assignor: impl Fn() -> A)
where
    A: roka_client::group::assignor::Assignor + 'static,
{
    let cluster = groups().await;
    let ledger = Ledger::default();
    let a = Actor::join(&cluster, config(), assignor(), 0, &ledger);
    spread(&[&a], &[6]).await;
    let b = Actor::join(&cluster, config(), assignor(), 1, &ledger);
    spread(&[&a, &b], &[3, 3]).await;
    let c = Actor::join(&cluster, config(), assignor(), 2, &ledger);
    spread(&[&a, &b, &c], &[2, 2, 2]).await;
    assert_eq!(ledger.lock().unwrap().len(), 6);
    b.leave().await;
    spread(&[&a, &c], &[3, 3]).await;
    a.leave().await;
    spread(&[&c], &[6]).await;
    assert!(c.story.lock().unwrap().lost.is_empty());
}

async fn a_member_that_dies_is_replaced<A>(assignor: impl Fn() -> A)
where
    A: roka_client::group::assignor::Assignor + 'static,
{
    let cluster = groups().await;
    let ledger = Ledger::default();
    let a = Actor::join(&cluster, mortal(), assignor(), 0, &ledger);
    let b = Actor::join(&cluster, mortal(), assignor(), 1, &ledger);
    spread(&[&a, &b], &[3, 3]).await;
    a.die().await;
    spread(&[&b], &[6]).await;
}

async fn the_coordinator_moves_and_dies<A>(assignor: impl Fn() -> A)
where
    A: roka_client::group::assignor::Assignor + 'static,
{
    let cluster = groups().await;
    let ledger = Ledger::default();
    let a = Actor::join(&cluster, config(), assignor(), 0, &ledger);
    let b = Actor::join(&cluster, config(), assignor(), 1, &ledger);
    spread(&[&a, &b], &[3, 3]).await;
    let rounds = a.story.lock().unwrap().assigned;
    for node in cluster.nodes() {
        cluster.move_coordinator(GROUP, node).unwrap();
        let beats = cluster.requests_at(node, ApiKey::Heartbeat).unwrap();
        until("heartbeats at the new coordinator", || {
            cluster.requests_at(node, ApiKey::Heartbeat).unwrap() >= beats + 6
        })
        .await;
    }
    // A move costs nothing.
    {
        let story = a.story.lock().unwrap();
        assert_eq!((story.assigned, story.held.len(), story.lost.len()), (rounds, 3, 0));
    }
    let last = *cluster.nodes().last().unwrap();
    cluster.kill(last).unwrap();
    let c = Actor::join(&cluster, config(), assignor(), 2, &ledger);
    spread(&[&a, &b, &c], &[2, 2, 2]).await;
    assert!(a.story.lock().unwrap().lost.is_empty());
}

async fn refusals_that_pass_are_waited_out<A>(assignor: impl Fn() -> A)
where
    A: roka_client::group::assignor::Assignor + 'static,
{
    let cluster = groups().await;
    for api in [ApiKey::FindCoordinator, ApiKey::JoinGroup, ApiKey::SyncGroup, ApiKey::Heartbeat] {
        for code in [
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ErrorCode::NOT_COORDINATOR,
        ] {
            if api != ApiKey::FindCoordinator || code != ErrorCode::NOT_COORDINATOR {
                cluster.fail(api, code, 2);
            }
        }
        cluster.inject(Fault::disconnect().on(api));
    }
    let ledger = Ledger::default();
    let a = Actor::join(&cluster, config(), assignor(), 0, &ledger);
    let b = Actor::join(&cluster, config(), assignor(), 1, &ledger);
    spread(&[&a, &b], &[3, 3]).await;
    until("all faults met", || cluster.faults_left() == 0).await;
    spread(&[&a, &b], &[3, 3]).await;
}

#[tokio::test]
async fn cooperative_members_keep_what_stays() {
    let cluster = groups().await;
    let ledger = Ledger::default();
    let a = Actor::join(&cluster, config(), CooperativeSticky, 0, &ledger);
    spread(&[&a], &[6]).await;
    let b = Actor::join(&cluster, config(), CooperativeSticky, 1, &ledger);
    spread(&[&a, &b], &[3, 3]).await;
    assert_eq!(a.story.lock().unwrap().revoked.len(), 3);
    b.leave().await;
    spread(&[&a], &[6]).await;
    assert_eq!(a.story.lock().unwrap().revoked.len(), 3, "nothing had to be given up for that");
}

#[tokio::test]
async fn members_that_prefer_different_strategies_agree_on_one() {
    let cluster = groups().await;
    let client_a = client(&cluster);
    let client_b = client(&cluster);
    let all: [std::sync::Arc<dyn roka_client::group::assignor::Assignor>; 2] =
        [std::sync::Arc::new(Range), std::sync::Arc::new(RoundRobin)];
    let a = client_a.group(config(), all.to_vec()).unwrap();
    let b = client_b.group(config(), all[1..].to_vec()).unwrap();
    let mut held = [0, 0];
    until("both have three", || {
        for (group, held) in [&a, &b].into_iter().zip(&mut held) {
            while let Some(event) = group.try_next_event() {
                if let roka_client::group::GroupEvent::Assigned { all, .. } = event {
                    *held = all.len();
                }
            }
        }
        held == [3, 3]
    })
    .await;
    // Somebody who shares none of them is refused.
    let alien = Actor::join(&cluster, config(), CooperativeSticky, 9, &Ledger::default());
    until("refused", || alien.story.lock().unwrap().failed.is_some()).await;
    let failed = alien.story.lock().unwrap().failed.clone().unwrap();
    assert!(
        matches!(failed, GroupError::Refused { code: ErrorCode::INCONSISTENT_GROUP_PROTOCOL, .. }),
        "{failed}"
    );
}

#[tokio::test]
async fn a_static_member_that_comes_back_costs_no_rebalance() {
    let cluster = groups().await;
    let ledger = Ledger::default();
    let named = |name: &str| config().instance_id(name);
    let a = Actor::join(&cluster, named("one"), Range, 0, &ledger);
    let b = Actor::join(&cluster, named("two"), Range, 1, &ledger);
    spread(&[&a, &b], &[3, 3]).await;
    let (generation, rounds) = {
        let story = a.story.lock().unwrap();
        (story.generation, story.assigned)
    };
    let before = b.story.lock().unwrap().held.clone();
    b.leave().await;
    let b = Actor::join(&cluster, named("two"), Range, 1, &ledger);
    spread(&[&b], &[3]).await;
    assert_eq!(b.story.lock().unwrap().held, before);
    let story = a.story.lock().unwrap();
    assert_eq!((story.generation, story.assigned), (generation, rounds));
}

#[tokio::test]
async fn of_two_members_with_one_name_the_older_is_fenced() {
    let cluster = groups().await;
    let config = config().instance_id("one");
    let a = Actor::join(&cluster, config.clone(), Range, 0, &Ledger::default());
    spread(&[&a], &[6]).await;
    let b = Actor::join(&cluster, config, Range, 1, &Ledger::default());
    until("fenced", || a.story.lock().unwrap().failed.is_some()).await;
    let failed = a.story.lock().unwrap().failed.clone().unwrap();
    assert!(matches!(failed, GroupError::Fenced { .. }), "{failed}");
    assert!(failed.to_string().contains("instance one"), "{failed}");
    spread(&[&b], &[6]).await;
}

#[tokio::test]
async fn a_member_that_was_given_up_starts_over() {
    let cluster = groups().await;
    let ledger = Ledger::default();
    // The coordinator still knows the member: it is given up for real when it does not join again.
    let config = mortal().rebalance_timeout(Duration::from_secs(1));
    let a = Actor::join(&cluster, config, CooperativeSticky, 0, &ledger);
    spread(&[&a], &[6]).await;
    for code in [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::ILLEGAL_GENERATION] {
        let rounds = a.story.lock().unwrap().assigned;
        cluster.fail(ApiKey::Heartbeat, code, 1);
        until("assigned again", || {
            let story = a.story.lock().unwrap();
            story.assigned > rounds && story.held.len() == 6
        })
        .await;
    }
    assert_eq!(a.story.lock().unwrap().lost.len(), 12);
}

#[tokio::test]
async fn new_partitions_and_topics_are_handed_out() {
    let cluster = groups().await;
    let ledger = Ledger::default();
    let config =
        GroupConfig::new(GROUP, [TOPIC, "later"]).heartbeat_interval(Duration::from_millis(50));
    let a = Actor::join(&cluster, config.clone(), CooperativeSticky, 0, &ledger);
    let b = Actor::join(&cluster, config, CooperativeSticky, 1, &ledger);
    spread(&[&a, &b], &[3, 3]).await;
    a.client.admin().create_partitions(TOPIC, 8).await.unwrap();
    for member in [&a, &b] {
        member.client.refresh_metadata().await.unwrap();
    }
    spread(&[&a, &b], &[4, 4]).await;
    cluster.create_topic("later", 2, 3).unwrap();
    for member in [&a, &b] {
        member.client.refresh_metadata().await.unwrap();
    }
    spread(&[&a, &b], &[5, 5]).await;
}

#[tokio::test]
async fn old_coordinators_serve_members_too() {
    // JoinGroup, SyncGroup, Heartbeat, LeaveGroup, FindCoordinator as of 0.10, 1.1, 2.2 and 2.4.
    for versions in [[0, 0, 0, 0, 0], [2, 1, 1, 1, 1], [4, 2, 2, 2, 2], [5, 3, 3, 3, 2]] {
        let cluster = groups().await;
        let apis = [
            ApiKey::JoinGroup,
            ApiKey::SyncGroup,
            ApiKey::Heartbeat,
            ApiKey::LeaveGroup,
            ApiKey::FindCoordinator,
        ];
        for (api, version) in apis.into_iter().zip(versions) {
            cluster.cap_versions(api, 0..=version);
        }
        let ledger = Ledger::default();
        let a = Actor::join(&cluster, config(), Range, 0, &ledger);
        let b = Actor::join(&cluster, config(), Range, 1, &ledger);
        spread(&[&a, &b], &[3, 3]).await;
        b.leave().await;
        spread(&[&a], &[6]).await;
        if versions[0] < 5 {
            let named = config().instance_id("one");
            let c = Actor::join(&cluster, named, Range, 2, &ledger);
            until("refused", || c.story.lock().unwrap().failed.is_some()).await;
            let failed = c.story.lock().unwrap().failed.clone().unwrap();
            assert!(matches!(failed, GroupError::Impossible { .. }), "{failed}");
            assert!(failed.to_string().contains("JoinGroup needs version 5"), "{failed}");
        }
    }
}
