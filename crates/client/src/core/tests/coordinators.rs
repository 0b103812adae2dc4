//! Coordinators are looked up once for all, and forgotten when they prove wrong.

use std::sync::atomic::{AtomicUsize, Ordering};

use roka_protocol::ErrorCode;
use roka_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use tokio::time::Instant;

use super::*;
use crate::coordinator::CoordinatorKind::{Group, Transaction};
use crate::testing::config;
use crate::{Error, NodeId};

/// Names node 2 at `b:1` for each key.
fn named(seen: &Seen, code: ErrorCode) -> Act {
    let request: FindCoordinatorRequest = seen.decode();
    let coordinator = |key: String| Coordinator {
        key,
        node_id: if code.is_ok() { 2 } else { -1 },
        host: "b".into(),
        port: 1,
        error_code: code.0,
        ..Default::default()
    };
    let coordinators = request.coordinator_keys.into_iter().map(coordinator).collect();
    seen.answer(&FindCoordinatorResponse { coordinators, ..Default::default() })
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_share_one_lookup() {
    let net = net(&["a:1", "b:1"], |_, seen| named(seen, ErrorCode::NONE));
    let core = core(config("a:1"), &net);
    let calls = (0..100).map(|i| {
        let core = core.clone();
        let (kind, key) = (Group, format!("group-{}", i % 10));
        tokio::spawn(async move { core.coordinator(kind, &key).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap(), NodeId(2));
    }
    assert_eq!(net.requests(ApiKey::FindCoordinator), 1);
    assert_eq!(core.counters().coordinator_lookups, 1);
    core.coordinator(Transaction, "group-1").await.unwrap();
    assert_eq!(net.requests(ApiKey::FindCoordinator), 2, "another kind, another answer");
}

#[tokio::test(start_paused = true)]
async fn the_address_comes_with_the_answer() {
    // The metadata does not name node 2 yet.
    let net = net(&["a:1"], |_, seen| named(seen, ErrorCode::NONE));
    let core = core(config("a:1"), &net);
    let node = core.coordinator(Group, "g").await.unwrap();
    assert_eq!(core.address_of(node).unwrap().to_string(), "b:1");
}

#[tokio::test(start_paused = true)]
async fn a_lookup_is_repeated_with_growing_waits() {
    let times = AtomicUsize::new(0);
    let net = net(&["a:1", "b:1"], move |_, seen| {
        let code = match times.fetch_add(1, Ordering::Relaxed) {
            0..8 => ErrorCode::COORDINATOR_NOT_AVAILABLE,
            _ => ErrorCode::NONE,
        };
        named(seen, code)
    });
    let core = core(config("a:1"), &net);
    let begin = Instant::now();
    core.coordinator(Group, "g").await.unwrap();
    assert_eq!(net.requests(ApiKey::FindCoordinator), 9);
    // 100, 200, 400, 800 ms, then 1 s four times, each ±20 %.
    let waited = begin.elapsed();
    assert!(waited > 4 * SECOND && waited < 7 * SECOND, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_at_once() {
    let net = net(&["a:1"], |_, seen| named(seen, ErrorCode::GROUP_AUTHORIZATION_FAILED));
    let core = core(config("a:1"), &net);
    let error = core.coordinator(Group, "secret").await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Refused { .. }), "{text}");
    assert!(text.contains("secret") && text.contains("GROUP_AUTHORIZATION_FAILED"), "{text}");
    assert_eq!(net.requests(ApiKey::FindCoordinator), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_ends_when_nobody_waits() {
    let net = net(&["a:1"], |_, seen| named(seen, ErrorCode::COORDINATOR_NOT_AVAILABLE));
    let core = core(config("a:1"), &net);
    let gave_up = tokio::time::timeout(SECOND, core.coordinator(Group, "g")).await;
    assert!(gave_up.is_err());
    tokio::time::sleep(2 * SECOND).await;
    let asked = net.requests(ApiKey::FindCoordinator);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(net.requests(ApiKey::FindCoordinator), asked);
}

#[tokio::test(start_paused = true)]
async fn what_proved_wrong_is_forgotten() {
    let net = net(&["a:1", "b:1"], |_, seen| named(seen, ErrorCode::NONE));
    let core = core(config("a:1"), &net);
    for key in ["g", "h"] {
        core.coordinator(Group, key).await.unwrap();
    }
    let asked = net.requests(ApiKey::FindCoordinator);
    core.forget_coordinator(Group, "g", NodeId(1));
    core.coordinator(Group, "g").await.unwrap();
    assert_eq!(net.requests(ApiKey::FindCoordinator), asked, "another broker was meant");
    core.forget_coordinator(Group, "g", NodeId(2));
    core.coordinator(Group, "g").await.unwrap();
    assert_eq!(net.requests(ApiKey::FindCoordinator), asked + 1);
    core.unreachable(NodeId(2));
    assert_eq!(core.coordinators.known(Group, "h"), None);
}
