//! Connections are dialled once, backed off, and negotiated with whatever answers.

use std::sync::atomic::{AtomicUsize, Ordering};

use roka_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use roka_protocol::messages::metadata::MetadataRequest;
use tokio::time::Instant;

use super::*;
use crate::connection::Lane;
use crate::{NodeId, SendError};

fn seed() -> NodeId {
    NodeId::seed(0)
}

#[tokio::test(start_paused = true)]
async fn all_who_want_a_connection_wait_for_one_dial() {
    let net = net(&["a:1"], |_, _| Act::Silence);
    let core = core(crate::testing::config("a:1"), &net);
    let wants = (0..100).map(|_| {
        let core = core.clone();
        tokio::spawn(async move { core.connection(seed(), Lane::Fetch(0)).await.unwrap() })
    });
    for want in wants.collect::<Vec<_>>() {
        want.await.unwrap();
    }
    assert_eq!(net.dials("a:1"), 1);
    core.connection(seed(), Lane::Produce(0)).await.unwrap();
    assert_eq!(net.dials("a:1"), 2, "lanes have connections of their own");
    assert_eq!(core.counters().connects, 2);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_refuses_is_left_alone_for_longer_and_longer() {
    let net = net(&["a:1"], |_, _| Act::Silence);
    net.refuse("a:1", true);
    let core = core(crate::testing::config("a:1"), &net);
    let begin = Instant::now();
    let (mut dialled_errors, mut at_once) = (0, 0);
    while begin.elapsed() < 5 * SECOND {
        let before = Instant::now();
        match core.connection(seed(), Lane::General).await.unwrap_err() {
            SendError::Connect { dialled: true, problem, .. } => {
                assert!(problem.contains("refused"), "{problem}");
                dialled_errors += 1;
            }
            SendError::Connect { dialled: false, .. } => at_once += 1,
            other => panic!("{other:?}"),
        }
        assert!(before.elapsed() < MILLI, "nobody waits for a back-off");
        tokio::time::sleep(MILLI).await;
    }
    // 50, 100, 200, 400, 800 ms, then each second. The metadata task dials under the same rule.
    assert!((6..=10).contains(&net.dials("a:1")), "{} dials", net.dials("a:1"));
    assert!(dialled_errors <= net.dials("a:1") && at_once > 1000);
    net.refuse("a:1", false);
    tokio::time::sleep(2 * SECOND).await;
    core.connection(seed(), Lane::General).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unknown_broker_is_an_error() {
    let net = net(&["a:1"], |_, _| Act::Silence);
    let core = core(crate::testing::config("a:1"), &net);
    let error = core.connection(NodeId(7), Lane::General).await.unwrap_err();
    assert!(matches!(error, SendError::UnknownNode { node: NodeId(7) }), "{error:?}");
    let error = core.connection(NodeId::seed(3), Lane::General).await.unwrap_err();
    assert!(matches!(error, SendError::UnknownNode { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_hangs_up_on_new_versions_is_asked_in_the_oldest() {
    let net = Net::new(|_, seen| match (seen.api(), seen.header.api_version) {
        (ApiKey::ApiVersions, 0) => seen.all_versions(),
        (ApiKey::ApiVersions, _) => Act::HangUp,
        _ => Act::Silence,
    });
    let core = core(crate::testing::config("a:1"), &net);
    let begin = Instant::now();
    loop {
        match core.connection(seed(), Lane::General).await {
            Ok(_) => break,
            Err(error) => assert!(error.is_retriable(), "{error:?}"),
        }
        tokio::time::sleep(10 * MILLI).await;
        assert!(begin.elapsed() < SECOND);
    }
    assert_eq!(net.dials("a:1"), 3);
}

#[tokio::test(start_paused = true)]
async fn versions_are_asked_for_on_every_connection() {
    let connections = AtomicUsize::new(0);
    let net = Net::new(move |_, seen| match seen.api() {
        ApiKey::ApiVersions => {
            // The broker was downgraded between the two connections.
            let max_version = if connections.fetch_add(1, Ordering::Relaxed) == 0 { 9 } else { 4 };
            let api = ApiVersion { api_key: 3, min_version: 0, max_version };
            let api_keys = vec![api, ApiVersion { api_key: 18, min_version: 0, max_version: 3 }];
            seen.answer(&ApiVersionsResponse { api_keys, ..Default::default() })
        }
        _ => Act::HangUp,
    });
    let core = core(crate::testing::config("a:1"), &net);
    let first = core.version_of::<MetadataRequest>(seed(), Lane::General).await.unwrap();
    let request = MetadataRequest::default();
    let lost = core.send(seed(), Lane::General, &request, None, SECOND).await;
    assert!(lost.unwrap_err().maybe_done());
    let second = core.version_of::<MetadataRequest>(seed(), Lane::General).await.unwrap();
    assert_eq!((first, second), (9, 4));
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_is_given_up_in_time() {
    let net = Net::new(|_, _| Act::Silence);
    let core = core(crate::testing::config("a:1").connect_timeout(3 * SECOND), &net);
    let begin = Instant::now();
    let error = core.connection(seed(), Lane::General).await.unwrap_err();
    assert!(matches!(error, SendError::Connect { dialled: true, .. }), "{error:?}");
    assert!(begin.elapsed() <= 3 * SECOND + 10 * MILLI, "{:?}", begin.elapsed());
    assert_eq!(core.counters().connect_failures, 1);
}
