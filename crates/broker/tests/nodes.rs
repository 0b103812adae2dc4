//! Nodes stop, die, hang and come back; their partitions follow.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use std::{io::ErrorKind, time::Duration};

use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode,
    messages::{
        metadata::{MetadataRequest, MetadataResponse},
        offset_for_leader_epoch::{
            OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
        },
    },
};
use support::{RawClient, batch_of, fetch_request};

fn cluster() -> Cluster {
    let cluster = Cluster::builder().nodes(3).start_blocking().unwrap();
    cluster.create_topic("t", 3, 3).unwrap();
    cluster
}

fn metadata(client: &mut RawClient) -> MetadataResponse {
    client.call(12, &MetadataRequest { topics: None, ..Default::default() })
}

/// Leader, leader epoch and ISR of each partition.
fn leaders(client: &mut RawClient) -> Vec<(i32, i32, Vec<i32>)> {
    let topic = metadata(client).topics.remove(0);
    topic.partitions.into_iter().map(|it| (it.leader_id, it.leader_epoch, it.isr_nodes)).collect()
}

#[test]
fn a_stopped_node_hands_its_partitions_over_and_takes_part_again() {
    let cluster = cluster();
    let before = leaders(&mut RawClient::at(&cluster, 1));
    let spread: std::collections::BTreeSet<i32> = before.iter().map(|it| it.0).collect();
    assert_eq!(spread.len(), 3, "leaders are spread");
    cluster.stop(1).unwrap();
    let refused = RawClient::try_connect(cluster.address(1).unwrap()).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let mut client = RawClient::at(&cluster, 2);
    let nodes: Vec<i32> = metadata(&mut client).brokers.iter().map(|it| it.node_id).collect();
    assert_eq!(nodes, [2, 3]);
    for (was, now) in before.iter().zip(leaders(&mut client)) {
        assert!(now.0 != 1 && !now.2.contains(&1), "{now:?}");
        assert_eq!(now.1, was.1 + i32::from(was.0 == 1), "the epoch grows with the leader");
    }
    cluster.start(1).unwrap();
    let mut back = RawClient::at(&cluster, 1);
    assert!(leaders(&mut back).iter().all(|it| it.2.contains(&1) && it.0 != 1));
}

#[test]
fn acknowledged_records_are_there_under_the_next_leader() {
    let cluster = cluster();
    let first = cluster.leader("t", 0).unwrap().unwrap();
    RawClient::at(&cluster, first).produce_values("t", 0, &["a"]);
    cluster.kill(first).unwrap();
    let mut next = RawClient::of_leader(&cluster, "t", 0);
    assert_eq!(next.produce_values("t", 0, &["b"]), 1);
    assert_eq!(next.values("t", 0, 0).len(), 2);
    // The old epoch ended where the new leader began.
    let asked = OffsetForLeaderPartition { partition: 0, leader_epoch: 0, ..Default::default() };
    let topics = vec![OffsetForLeaderTopic { topic: "t".into(), partitions: vec![asked] }];
    let response = next.call(4, &OffsetForLeaderEpochRequest { topics, ..Default::default() });
    assert_eq!(response.topics[0].partitions[0].end_offset, 1);
}

#[test]
fn a_killed_node_resets_its_connections() {
    let cluster = cluster();
    let mut client = RawClient::at(&cluster, 1);
    metadata(&mut client);
    cluster.kill(1).unwrap();
    let ended = client.receive().unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::ConnectionReset);
    let mut client = RawClient::at(&cluster, 2);
    metadata(&mut client);
    cluster.stop(2).unwrap();
    assert_eq!(client.receive().unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_hanging_node_answers_when_it_goes_on() {
    let cluster = cluster();
    let mut client = RawClient::at(&cluster, 1);
    cluster.hang(1).unwrap();
    client.set_timeout(Duration::from_millis(100));
    client.send(12, &MetadataRequest { topics: None, ..Default::default() });
    assert_eq!(client.receive().unwrap_err().kind(), ErrorKind::WouldBlock);
    // It is still in the cluster, as others see it.
    assert_eq!(metadata(&mut RawClient::at(&cluster, 2)).brokers.len(), 3);
    cluster.resume(1).unwrap();
    client.set_timeout(Duration::from_secs(10));
    assert!(client.receive().is_ok());
}

#[test]
fn without_any_replica_a_partition_is_leaderless() {
    let cluster = Cluster::builder().nodes(2).start_blocking().unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    let gone = cluster.leader("t", 0).unwrap().unwrap();
    cluster.stop(gone).unwrap();
    assert_eq!(cluster.leader("t", 0).unwrap(), None);
    let mut client = RawClient::at(&cluster, 3 - gone);
    let partition = metadata(&mut client).topics.remove(0).partitions.remove(0);
    assert_eq!(ErrorCode(partition.error_code), ErrorCode::LEADER_NOT_AVAILABLE);
    assert_eq!((partition.leader_id, partition.offline_replicas), (-1, vec![gone]));
    cluster.start(gone).unwrap();
    assert_eq!(cluster.leader("t", 0).unwrap(), Some(gone));
}

#[test]
fn min_insync_replicas_holds_for_acks_all() {
    let cluster = Cluster::builder().nodes(2).start_blocking().unwrap();
    cluster.create_topic_with("t", 1, 2, &[("min.insync.replicas", "2")]).unwrap();
    cluster.stop(2).unwrap();
    let mut client = RawClient::at(&cluster, 1);
    let all = client.produce_with(9, "t", 0, batch_of(&["a"]), -1);
    assert_eq!(ErrorCode(all.error_code), ErrorCode::NOT_ENOUGH_REPLICAS);
    assert_eq!(client.produce_with(9, "t", 0, batch_of(&["a"]), 1).error_code, 0);
}

#[test]
fn the_wrong_node_names_the_leader_unless_told_not_to() {
    let cluster = cluster();
    cluster.move_leader("t", 0, 2).unwrap();
    let mut client = RawClient::at(&cluster, 1);
    let response = client.produce("t", 0, batch_of(&["a"]));
    assert_eq!(ErrorCode(response.error_code), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(response.current_leader.leader_id, 2);
    // Without the epoch of before it would serve, as a follower.
    let fetched = client.call(16, &by_id(&cluster, &mut RawClient::at(&cluster, 1)));
    let data = &fetched.responses[0].partitions[0];
    assert_eq!(ErrorCode(data.error_code), ErrorCode::FENCED_LEADER_EPOCH);
    assert_eq!((data.current_leader.leader_id, fetched.node_endpoints[0].node_id), (2, 2));
    cluster.leader_hints(false);
    assert_eq!(client.produce("t", 0, batch_of(&["a"])).current_leader.leader_id, -1);
}

fn by_id(_: &Cluster, client: &mut RawClient) -> roka_protocol::messages::fetch::FetchRequest {
    let mut request = fetch_request("t", 0, 0, 0);
    request.topics[0].topic_id = metadata(client).topics[0].topic_id;
    request.topics[0].topic.clear();
    request.topics[0].partitions[0].current_leader_epoch = 0;
    request
}

#[test]
fn epochs_of_clients_are_checked() {
    let cluster = cluster();
    let leader = cluster.leader("t", 0).unwrap().unwrap();
    cluster.move_leader("t", 0, leader % 3 + 1).unwrap();
    cluster.move_leader("t", 0, leader).unwrap();
    let mut client = RawClient::at(&cluster, leader);
    let mut error = |epoch| {
        let mut request = fetch_request("t", 0, 0, 0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        ErrorCode(client.call(12, &request).responses[0].partitions[0].error_code)
    };
    assert_eq!(error(1), ErrorCode::FENCED_LEADER_EPOCH);
    assert_eq!(error(2), ErrorCode::NONE);
    assert_eq!(error(3), ErrorCode::UNKNOWN_LEADER_EPOCH);
}
