//! Fetch sessions (KIP-227): what is remembered, what is left out, and what a request out of turn gets.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode,
    messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic},
};
use support::RawClient;

fn request(id: i32, epoch: i32, partitions: &[(i32, i64)]) -> FetchRequest {
    let asked = |&(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let topic = FetchTopic {
        topic: "t".into(),
        partitions: partitions.iter().map(asked).collect(),
        ..Default::default()
    };
    FetchRequest {
        max_bytes: 1 << 20,
        session_id: id,
        session_epoch: epoch,
        topics: if partitions.is_empty() { Vec::new() } else { vec![topic] },
        ..Default::default()
    }
}

fn partitions(response: &FetchResponse) -> Vec<i32> {
    let all = response.responses.iter().flat_map(|it| &it.partitions);
    all.map(|it| it.partition_index).collect()
}

fn cluster() -> (Cluster, RawClient) {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 3, 1).unwrap();
    let client = RawClient::of(&cluster);
    (cluster, client)
}

#[test]
fn an_incremental_fetch_carries_only_what_changed() {
    let (_cluster, mut client) = cluster();
    let full = client.call(12, &request(0, 0, &[(0, 0), (1, 0), (2, 0)]));
    assert_eq!(partitions(&full), [0, 1, 2]);
    let id = full.session_id;
    assert!(id > 0);
    let quiet = client.call(12, &request(id, 1, &[]));
    assert_eq!((quiet.session_id, partitions(&quiet)), (id, vec![]));
    client.produce_values("t", 1, &["a"]);
    let news = client.call(12, &request(id, 2, &[]));
    assert_eq!(partitions(&news), [1]);
    // The client did not move on, so it gets the record again.
    assert_eq!(partitions(&client.call(12, &request(id, 3, &[]))), [1]);
    assert_eq!(partitions(&client.call(12, &request(id, 4, &[(1, 1)]))), Vec::<i32>::new());
}

#[test]
fn partitions_with_records_go_to_the_end_of_the_line() {
    let (_cluster, mut client) = cluster();
    for partition in 0..3 {
        client.produce_values("t", partition, &["a"]);
    }
    let id = client.call(12, &request(0, 0, &[(0, 0), (1, 0), (2, 1)])).session_id;
    assert_eq!(partitions(&client.call(12, &request(id, 1, &[(2, 0)]))), [2, 0, 1]);
    assert_eq!(partitions(&client.call(12, &request(id, 2, &[(0, 1)]))), [2, 1]);
}

#[test]
fn forgotten_partitions_are_no_longer_read() {
    let (_cluster, mut client) = cluster();
    let id = client.call(12, &request(0, 0, &[(0, 0), (1, 0)])).session_id;
    for partition in 0..2 {
        client.produce_values("t", partition, &["a"]);
    }
    let mut forget = request(id, 1, &[]);
    let forgotten = ForgottenTopic { topic: "t".into(), partitions: vec![0], ..Default::default() };
    forget.forgotten_topics_data = vec![forgotten];
    assert_eq!(partitions(&client.call(12, &forget)), [1]);
}

#[test]
fn a_request_out_of_turn_is_refused() {
    let (_cluster, mut client) = cluster();
    let id = client.call(12, &request(0, 0, &[(0, 0)])).session_id;
    let error = |response: FetchResponse| ErrorCode(response.error_code);
    let skipped = error(client.call(12, &request(id, 2, &[])));
    assert_eq!(skipped, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    let unknown = error(client.call(12, &request(id ^ 1, 1, &[])));
    assert_eq!(unknown, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    assert_eq!(error(client.call(12, &request(id, 1, &[]))), ErrorCode::NONE);
    // Epoch -1 ends the session with a full fetch.
    let ended = client.call(12, &request(id, -1, &[(0, 0)]));
    assert_eq!((ended.session_id, partitions(&ended)), (0, vec![0]));
    let gone = error(client.call(12, &request(id, 2, &[])));
    assert_eq!(gone, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
}

#[test]
fn without_slots_every_fetch_is_full() {
    let builder = Cluster::builder().config("max.incremental.fetch.session.cache.slots", "1");
    let cluster = builder.start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut client = RawClient::of(&cluster);
    let first = client.call(12, &request(0, 0, &[(0, 0)])).session_id;
    let second = client.call(12, &request(0, 0, &[(0, 0)])).session_id;
    let evicted = client.call(12, &request(first, 1, &[]));
    assert_eq!(ErrorCode(evicted.error_code), ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    assert_eq!(client.call(12, &request(second, 1, &[])).error_code, 0);
}
