//! A fetch waits for records, and is woken by them, by a change of leader and by the deletion of the topic.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use std::time::{Duration, Instant};

use roka_broker::Cluster;
use roka_protocol::{
    ApiKey, ErrorCode, frame,
    messages::{delete_topics::DeleteTopicsRequest, fetch::FetchRequest},
};
use support::{RawClient, fetch_request, until, values_of};

const WAIT_MS: i32 = 15_000;

/// Sends a fetch that finds nothing, and gives its answer after `then`.
fn woken_by(cluster: &Cluster, min_bytes: i32, then: impl FnOnce(&Cluster)) -> (ErrorCode, usize) {
    let mut reader = RawClient::of_leader(cluster, "t", 0);
    let before = cluster.requests(ApiKey::Fetch);
    let mut request = FetchRequest { min_bytes, ..fetch_request("t", 0, 0, WAIT_MS) };
    // Without it the former leader would go on to serve, as a follower.
    request.topics[0].partitions[0].current_leader_epoch = 0;
    let began = Instant::now();
    reader.send(12, &request);
    until("the fetch arrives", || cluster.requests(ApiKey::Fetch) > before);
    then(cluster);
    let response = reader.receive().unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "the fetch slept to its end");
    let (_, response) = frame::decode_response::<FetchRequest>(12, response).unwrap();
    let data = &response.responses[0].partitions[0];
    (ErrorCode(data.error_code), values_of(data.records.as_ref().unwrap()).len())
}

fn cluster() -> Cluster {
    let cluster = Cluster::builder().nodes(2).start_blocking().unwrap();
    cluster.create_topic("t", 1, 2).unwrap();
    cluster
}

fn produce(cluster: &Cluster, value: &str) {
    RawClient::of_leader(cluster, "t", 0).produce_values("t", 0, &[value]);
}

#[test]
fn an_append_wakes() {
    assert_eq!(woken_by(&cluster(), 1, |it| produce(it, "a")), (ErrorCode::NONE, 1));
}

#[test]
fn appends_wake_only_when_they_are_enough() {
    let woken = woken_by(&cluster(), 250, |it| {
        for _ in 0..4 {
            produce(it, "a value of some length, to count");
        }
    });
    assert_eq!(woken, (ErrorCode::NONE, 3));
}

#[test]
fn a_new_leader_wakes() {
    let woken = woken_by(&cluster(), 1, |it| {
        let other = 3 - it.leader("t", 0).unwrap().unwrap();
        it.move_leader("t", 0, other).unwrap();
    });
    assert_eq!(woken, (ErrorCode::FENCED_LEADER_EPOCH, 0));
}

#[test]
fn the_end_of_the_topic_wakes() {
    let woken = woken_by(&cluster(), 1, |it| {
        let names = vec!["t".to_owned()];
        let request = DeleteTopicsRequest { topic_names: names, ..Default::default() };
        assert_eq!(RawClient::of(it).call(3, &request).responses[0].error_code, 0);
    });
    assert_eq!(woken, (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, 0));
}

#[test]
fn without_records_it_ends_after_its_time() {
    let cluster = cluster();
    let mut reader = RawClient::of_leader(&cluster, "t", 0);
    let began = Instant::now();
    let response = reader.call(12, &fetch_request("t", 0, 0, 100));
    assert!(began.elapsed() >= Duration::from_millis(100));
    assert_eq!(response.responses[0].partitions[0].error_code, 0);
}
