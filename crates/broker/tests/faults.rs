//! Requests meet what was injected, as often as it says and no more.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use roka_broker::{Cluster, Fault};
use roka_protocol::{
    ApiKey, ErrorCode,
    messages::{
        api_versions::ApiVersionsRequest, metadata::MetadataRequest, produce::ProduceRequest,
    },
};
use support::{RawClient, batch_of, produce_request};

fn cluster() -> (Cluster, RawClient) {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let client = RawClient::of(&cluster);
    (cluster, client)
}

fn all_topics() -> MetadataRequest {
    MetadataRequest { topics: None, ..Default::default() }
}

#[test]
fn an_api_fails_as_often_as_asked() {
    let (cluster, mut client) = cluster();
    cluster.fail(ApiKey::Produce, ErrorCode::NOT_ENOUGH_REPLICAS, 2);
    for _ in 0..2 {
        let refused = client.produce("t", 0, batch_of(&["a"]));
        assert_eq!(ErrorCode(refused.error_code), ErrorCode::NOT_ENOUGH_REPLICAS);
    }
    assert_eq!(client.produce_values("t", 0, &["a"]), 0);
    assert_eq!(cluster.requests(ApiKey::Produce), 3);
    assert_eq!(cluster.faults_left(), 0);
}

#[test]
fn a_dropped_response_was_carried_out() {
    let (cluster, mut client) = cluster();
    cluster.drop_response(ApiKey::Produce);
    client.send(9, &produce_request("t", 0, batch_of(&["a"]), -1));
    support::until("the record is there", || cluster.end_offset("t", 0).unwrap() == 1);
    client.set_timeout(Duration::from_millis(50));
    assert_eq!(client.receive().unwrap_err().kind(), ErrorKind::WouldBlock);
    client.set_timeout(Duration::from_secs(10));
    // The connection lives on.
    let id = client.send(12, &all_topics());
    let next = client.receive().unwrap();
    assert_eq!(roka_protocol::frame::correlation_id(&next).unwrap(), id);
}

#[test]
fn a_swallowed_request_was_not() {
    let (cluster, mut client) = cluster();
    cluster.inject(Fault::swallow().on(ApiKey::Produce));
    client.send(9, &produce_request("t", 0, batch_of(&["a"]), -1));
    client.call(12, &all_topics()).topics.iter().for_each(drop);
    assert_eq!(cluster.end_offset("t", 0).unwrap(), 0);
}

#[test]
fn a_response_ends_at_a_byte() {
    let (cluster, mut client) = cluster();
    cluster.cut_after(1, 3).unwrap();
    client.send(12, &all_topics());
    assert_eq!(client.receive().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let mut client = RawClient::of(&cluster);
    cluster.inject(Fault::disconnect().on(ApiKey::Produce));
    client.send(9, &produce_request("t", 0, batch_of(&["a"]), -1));
    assert_eq!(client.receive().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(cluster.end_offset("t", 0).unwrap(), 1);
}

#[test]
fn connections_are_cut_and_can_be_made_again() {
    let (cluster, mut client) = cluster();
    client.call(12, &all_topics());
    cluster.cut(1).unwrap();
    assert_eq!(client.receive().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    RawClient::of(&cluster).call(12, &all_topics());
    assert_eq!(cluster.connects(1).unwrap(), 2);
}

#[test]
fn a_request_waits() {
    let (cluster, mut client) = cluster();
    cluster.delay(ApiKey::Metadata, Duration::from_millis(80), 1);
    let began = Instant::now();
    client.call(12, &all_topics());
    assert!(began.elapsed() >= Duration::from_millis(80));
}

#[test]
fn a_response_comes_twice() {
    let (cluster, mut client) = cluster();
    cluster.inject(Fault::repeat());
    client.send(12, &all_topics());
    assert_eq!(client.receive().unwrap(), client.receive().unwrap());
}

#[test]
fn capped_versions_are_shown_and_held() {
    let (cluster, mut client) = cluster();
    cluster.cap_versions(ApiKey::Produce, 0..=5);
    let versions = client.call(3, &ApiVersionsRequest::default()).api_keys;
    let shown = versions.iter().find(|it| it.api_key == ApiKey::Produce.key()).unwrap();
    assert_eq!((shown.min_version, shown.max_version), (0, 5));
    assert_eq!(client.produce_with(5, "t", 0, batch_of(&["a"]), -1).error_code, 0);
    client.send::<ProduceRequest>(6, &produce_request("t", 0, batch_of(&["a"]), -1));
    assert_eq!(client.receive().unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let (cluster, mut client) = cluster();
    cluster.cap_versions(ApiKey::ApiVersions, 0..=2);
    client.send(3, &ApiVersionsRequest::default());
    let answer = client.receive().unwrap();
    let (_, answer) =
        roka_protocol::frame::decode_response::<ApiVersionsRequest>(0, answer).unwrap();
    assert_eq!(ErrorCode(answer.error_code), ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!(answer.api_keys[0].max_version, 2);
}

#[test]
fn a_leaderless_partition_gets_a_leader_on_command() {
    let (cluster, mut client) = cluster();
    cluster.leaderless("t", 0).unwrap();
    let refused = client.produce("t", 0, batch_of(&["a"]));
    assert_eq!(ErrorCode(refused.error_code), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    cluster.elect("t", 0).unwrap();
    assert_eq!(client.produce_values("t", 0, &["a"]), 0);
}
