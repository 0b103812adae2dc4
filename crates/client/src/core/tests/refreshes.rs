//! Metadata is asked for once for all, of whoever answers, and not too often.

use std::sync::Mutex;

use roka_protocol::ErrorCode;
use roka_protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};
use tokio::time::Instant;

use super::*;
use crate::NodeId;
use crate::metadata::{Hint, Why};
use crate::testing::config;

fn with_topic(mut answer: MetadataResponse, leader_id: i32, leader_epoch: i32) -> MetadataResponse {
    let partition = MetadataResponsePartition { leader_id, leader_epoch, ..Default::default() };
    let topic = MetadataResponseTopic {
        name: Some("t".into()),
        partitions: vec![partition],
        ..Default::default()
    };
    answer.topics = vec![topic];
    answer
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_share_one_request() {
    let net = net(&["a:1", "b:1"], |_, _| Act::Silence);
    let core = core(config("a:1,b:1"), &net);
    let waits = (0..1000).map(|_| {
        let core = core.clone();
        tokio::spawn(async move { core.refresh(0, Why::Stale).await })
    });
    for wait in waits.collect::<Vec<_>>() {
        assert_eq!(wait.await.unwrap().brokers.len(), 2);
    }
    assert_eq!(net.requests(ApiKey::Metadata), 1);
    assert_eq!(core.counters().metadata_refreshes, 1);
}

#[tokio::test(start_paused = true)]
async fn stale_answers_are_not_asked_for_in_a_spin() {
    let net = net(&["a:1"], |_, _| Act::Silence);
    let core = core(config("a:1"), &net);
    let mut generation = core.refresh_anew().await.generation;
    let before = net.requests(ApiKey::Metadata);
    let spin = async {
        loop {
            generation = core.refresh(generation, Why::Stale).await.generation;
        }
    };
    assert!(tokio::time::timeout(2 * SECOND, spin).await.is_err());
    let asked = net.requests(ApiKey::Metadata) - before;
    assert!((4..=6).contains(&asked), "{asked} requests in 2 s");
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_brokers_is_ignored() {
    let net = Net::new(|address, seen| match seen.api() {
        ApiKey::ApiVersions => seen.all_versions(),
        _ if address == "a:1" => seen.answer(&MetadataResponse::default()),
        _ => seen.answer(&brokers(&["b:1"])),
    });
    let core = core(config("a:1,b:1"), &net);
    let metadata = core.refresh(0, Why::Asked).await;
    assert_eq!(metadata.brokers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hung_broker_delays_nobody_for_long() {
    let hung = "a:1";
    let net = Net::new(move |address, seen| match seen.api() {
        ApiKey::ApiVersions => seen.all_versions(),
        _ if address == hung => Act::Silence,
        _ => seen.answer(&brokers(&["a:1", "b:1"])),
    });
    let core = core(config("a:1,b:1"), &net);
    for round in 0..4 {
        let begin = Instant::now();
        core.refresh_anew().await;
        let limit = if round == 0 { 3 * SECOND } else { SECOND };
        assert!(begin.elapsed() < limit, "round {round} took {:?}", begin.elapsed());
        tokio::time::sleep(5 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_with_all_brokers_replaced_is_found_by_its_bootstrap_address() {
    let moved = Arc::new(Mutex::new(false));
    let now = moved.clone();
    let net = Net::new(move |_, seen| match seen.api() {
        ApiKey::ApiVersions => seen.all_versions(),
        _ if *now.lock().unwrap() => seen.answer(&brokers(&["new:1"])),
        _ => seen.answer(&brokers(&["old:1", "old:2"])),
    });
    let core = core(config("boot:1"), &net);
    core.refresh_anew().await;
    core.connection(NodeId(1), crate::connection::Lane::General).await.unwrap();
    *moved.lock().unwrap() = true;
    for address in ["old:1", "old:2"] {
        net.refuse(address, true);
    }
    core.connections.close();
    let begin = Instant::now();
    let metadata = core.refresh_anew().await;
    assert_eq!(metadata.brokers[&NodeId(1)].address.to_string(), "new:1");
    assert!(begin.elapsed() < SECOND, "{:?}", begin.elapsed());
    let connection = core.connection(NodeId(1), crate::connection::Lane::General).await.unwrap();
    assert!(connection.is_open());
    assert_eq!(net.dials("new:1"), 1, "the same number at a new address is dialled anew");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_wants_a_new_start_gets_one() {
    let net = Net::new(|address, seen| match seen.api() {
        ApiKey::ApiVersions => seen.all_versions(),
        _ if address == "old:1" => {
            let error_code = ErrorCode::REBOOTSTRAP_REQUIRED.0;
            seen.answer(&MetadataResponse { error_code, ..brokers(&["old:1"]) })
        }
        _ => seen.answer(&brokers(&["new:1"])),
    });
    // The bootstrap address stands for an old broker at first, then for a new one.
    let core = core(config("old:1,boot:1"), &net);
    for _ in 0..5 {
        let metadata = core.refresh_anew().await;
        assert_eq!(metadata.brokers[&NodeId(1)].address.to_string(), "new:1");
    }
}

#[tokio::test(start_paused = true)]
async fn useless_answers_are_not_asked_for_in_a_spin() {
    let net = Net::new(|_, seen| match seen.api() {
        ApiKey::ApiVersions => seen.all_versions(),
        api => {
            assert_eq!(api, ApiKey::Metadata);
            let error_code = ErrorCode::REBOOTSTRAP_REQUIRED.0;
            seen.answer(&MetadataResponse { error_code, ..MetadataResponse::default() })
        }
    });
    let core = core(config("a:1"), &net);
    assert!(tokio::time::timeout(10 * SECOND, core.refresh_anew()).await.is_err());
    let asked = net.requests(ApiKey::Metadata);
    assert!((8..=20).contains(&asked), "{asked} requests in 10 s");
}

#[tokio::test(start_paused = true)]
async fn nothing_reachable_is_tried_again_and_again() {
    let net = net(&["a:1"], |_, _| Act::Silence);
    net.refuse("a:1", true);
    let core = core(config("a:1"), &net);
    let wait = {
        let core = core.clone();
        tokio::spawn(async move { core.refresh(0, Why::Asked).await })
    };
    tokio::time::sleep(60 * SECOND).await;
    assert!(!wait.is_finished());
    let dials = net.dials("a:1");
    assert!((50..=80).contains(&dials), "{dials} dials in a minute");
    net.refuse("a:1", false);
    let begin = Instant::now();
    wait.await.unwrap();
    assert!(begin.elapsed() <= 1200 * MILLI, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn topics_are_asked_for_while_someone_tracks_them() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let net = Net::new(move |_, seen| match seen.api() {
        ApiKey::ApiVersions => seen.all_versions(),
        api => {
            assert_eq!(api, ApiKey::Metadata);
            let request: MetadataRequest = seen.decode();
            assert!(!request.allow_auto_topic_creation);
            let names = request.topics.unwrap().into_iter().map(|it| it.name.unwrap());
            log.lock().unwrap().push(names.collect::<Vec<_>>());
            seen.answer(&with_topic(brokers(&["a:1"]), 1, 3))
        }
    });
    let core = core(config("a:1"), &net);
    core.track_topics(&["t"]);
    let metadata = core.refresh(0, Why::Asked).await;
    assert_eq!(metadata.leader("t", 0), Some((NodeId(1), 3)));
    core.untrack_topics(&["t"]);
    assert!(core.metadata().topic("t").is_none());
    core.refresh_anew().await;
    assert_eq!(*asked.lock().unwrap(), [vec!["t".to_owned()], vec![]]);
}

#[tokio::test(start_paused = true)]
async fn a_hint_moves_the_leader_without_a_question() {
    let net = Net::new(move |_, seen| match seen.api() {
        ApiKey::ApiVersions => seen.all_versions(),
        _ => seen.answer(&with_topic(brokers(&["a:1", "b:1"]), 1, 3)),
    });
    let core = core(config("a:1"), &net);
    core.track_topics(&["t"]);
    let before = core.refresh(0, Why::Asked).await;
    let hint =
        |leader_epoch| Hint { topic: "t".into(), partition: 0, leader: NodeId(2), leader_epoch };
    core.apply_leader_hints(vec![hint(3), hint(2)], Vec::new());
    assert_eq!(core.metadata().leader("t", 0), Some((NodeId(1), 3)), "not newer");
    core.apply_leader_hints(vec![hint(4)], Vec::new());
    assert_eq!(core.metadata().leader("t", 0), Some((NodeId(2), 4)));
    // Who waits for news has it without a request; the older answer does not bring the old leader back.
    core.refresh(before.generation, Why::Stale).await;
    assert_eq!(net.requests(ApiKey::Metadata), 1);
    core.refresh_anew().await;
    assert_eq!(net.requests(ApiKey::Metadata), 2);
    assert_eq!(core.metadata().leader("t", 0), Some((NodeId(2), 4)));
    assert_eq!(core.metadata().topic("t").unwrap().error, ErrorCode::NONE);
}

#[tokio::test(start_paused = true)]
async fn connections_to_brokers_that_left_are_retired() {
    let left = Arc::new(Mutex::new(false));
    let now = left.clone();
    let net = Net::new(move |_, seen| match seen.api() {
        ApiKey::ApiVersions => seen.all_versions(),
        _ if *now.lock().unwrap() => seen.answer(&brokers(&["a:1"])),
        _ => seen.answer(&brokers(&["a:1", "b:1"])),
    });
    let core = core(config("a:1"), &net);
    core.refresh_anew().await;
    let stays = core.connection(NodeId(1), crate::connection::Lane::General).await.unwrap();
    let leaves = core.connection(NodeId(2), crate::connection::Lane::General).await.unwrap();
    *left.lock().unwrap() = true;
    core.refresh_anew().await;
    assert!(stays.is_open());
    assert!(!leaves.is_open());
}
