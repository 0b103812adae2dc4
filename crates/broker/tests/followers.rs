//! Followers that serve consumers (KIP-392), with bounds of their own, and elections that lose records (KIP-320).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use roka_broker::{Cluster, Follower};
use roka_protocol::{
    ErrorCode,
    messages::{
        fetch::{FetchRequest, PartitionData},
        list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic},
        offset_for_leader_epoch::{
            OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
        },
    },
};
use support::{RawClient, fetch_request};

/// Nodes 1 to 3 in racks of their own; partition 0 is led by node 1 and holds ten records.
fn racks() -> Cluster {
    let cluster = Cluster::builder().nodes(3).racks().start_blocking().unwrap();
    cluster.create_topic("t", 1, 3).unwrap();
    // So that there are epochs before the present one.
    cluster.move_leader("t", 0, 2).unwrap();
    cluster.move_leader("t", 0, 1).unwrap();
    let mut client = RawClient::at(&cluster, 1);
    for _ in 0..10 {
        client.produce_values("t", 0, &["x"]);
    }
    cluster
}

struct Ask {
    node: i32,
    version: i16,
    offset: i64,
    epoch: i32,
    fetched_epoch: i32,
    rack: &'static str,
}

const ASK: Ask =
    Ask { node: 2, version: 12, offset: 0, epoch: -1, fetched_epoch: -1, rack: "rack-2" };

fn fetch(cluster: &Cluster, ask: &Ask) -> PartitionData {
    let mut request: FetchRequest = fetch_request("t", 0, ask.offset, 0);
    request.rack_id = if ask.version >= 11 { ask.rack.to_owned() } else { String::new() };
    let partition = &mut request.topics[0].partitions[0];
    if ask.version >= 9 {
        partition.current_leader_epoch = ask.epoch;
    }
    if ask.version >= 12 {
        partition.last_fetched_epoch = ask.fetched_epoch;
    }
    let mut response = RawClient::at(cluster, ask.node).call(ask.version, &request);
    response.responses.remove(0).partitions.remove(0)
}

fn code(data: &PartitionData) -> ErrorCode {
    ErrorCode(data.error_code)
}

fn epoch(cluster: &Cluster) -> i32 {
    // A fetch with an epoch that is too high says so; the present one is the highest that is taken.
    (0..20)
        .rev()
        .find(|&epoch| code(&fetch(cluster, &Ask { node: 1, epoch, rack: "", ..ASK })).is_ok())
        .unwrap()
}

#[test]
fn the_leader_names_the_follower_in_the_consumers_rack() {
    let cluster = racks();
    let ask = |version, rack, offset| {
        fetch(&cluster, &Ask { node: 1, version, rack, offset, ..ASK }).preferred_read_replica
    };
    assert_eq!(ask(11, "rack-2", 0), 2);
    assert_eq!(ask(12, "rack-3", 10), 3);
    assert_eq!(ask(12, "rack-1", 0), -1, "the leader's own");
    assert_eq!(ask(12, "elsewhere", 0), -1);
    assert_eq!(ask(12, "", 0), -1);
    assert_eq!(ask(10, "rack-2", 0), -1, "before KIP-392");
    assert_eq!(ask(12, "rack-2", 11), -1, "nobody has it");
    let data = fetch(&cluster, &Ask { node: 1, ..ASK });
    assert!(data.records.unwrap().is_empty(), "the follower is to be read");
    cluster.kill(2).unwrap();
    assert_eq!(ask(12, "rack-2", 0), -1);
    cluster.name_replica("t", 0, Some(77)).unwrap();
    assert_eq!(ask(12, "rack-1", 0), 77);
}

#[test]
fn a_follower_serves_what_it_has() {
    let cluster = racks();
    let whole = fetch(&cluster, &ASK);
    assert_eq!((code(&whole), whole.high_watermark), (ErrorCode::NONE, 10));
    assert_eq!(whole.preferred_read_replica, -1);
    cluster.set_follower("t", 0, 2, Follower::new(4, 7)).unwrap();
    let data = fetch(&cluster, &Ask { offset: 5, ..ASK });
    assert_eq!((data.log_start_offset, data.high_watermark, data.last_stable_offset), (4, 7, 7));
    let one = data.records.unwrap().len() / 2;
    assert_eq!(one * 10, whole.records.unwrap().len(), "offsets 5 and 6");
    for (offset, wanted) in [
        (3, ErrorCode::OFFSET_OUT_OF_RANGE),
        (4, ErrorCode::NONE),
        (7, ErrorCode::NONE),
        (8, ErrorCode::OFFSET_OUT_OF_RANGE),
    ] {
        assert_eq!(code(&fetch(&cluster, &Ask { offset, ..ASK })), wanted, "{offset}");
    }
    cluster.catch_up("t", 0, 2).unwrap();
    assert_eq!(fetch(&cluster, &ASK).high_watermark, 10);
}

#[test]
fn followers_refuse_as_kafkas_do() {
    let cluster = racks();
    let present = epoch(&cluster);
    let ask = |ask: Ask| code(&fetch(&cluster, &ask));
    assert_eq!(ask(Ask { version: 10, ..ASK }), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(ask(Ask { epoch: present - 1, ..ASK }), ErrorCode::FENCED_LEADER_EPOCH);
    assert_eq!(ask(Ask { epoch: present + 1, ..ASK }), ErrorCode::UNKNOWN_LEADER_EPOCH);
    let behind = Follower::new(0, 10).leader_epoch(present - 1);
    cluster.set_follower("t", 0, 2, behind).unwrap();
    assert_eq!(ask(Ask { epoch: present, ..ASK }), ErrorCode::UNKNOWN_LEADER_EPOCH);
    // What only the leader knows.
    let mut follower = RawClient::at(&cluster, 2);
    let partition = ListOffsetsPartition {
        partition_index: 0,
        current_leader_epoch: -1,
        timestamp: -1,
        ..ListOffsetsPartition::default()
    };
    let topic = ListOffsetsTopic { name: "t".into(), partitions: vec![partition] };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let listed = follower.call(5, &request);
    let refusal = ErrorCode::NOT_LEADER_OR_FOLLOWER.0;
    assert_eq!(listed.topics[0].partitions[0].error_code, refusal);
    cluster.create_topic("small", 1, 1).unwrap();
    let stranger =
        cluster.nodes().into_iter().find(|it| cluster.leader("small", 0).unwrap() != Some(*it));
    let request = fetch_request("small", 0, 0, 0);
    let response = RawClient::at(&cluster, stranger.unwrap()).call(12, &request);
    assert_eq!(response.responses[0].partitions[0].error_code, refusal, "not a replica");
}

#[test]
fn an_unclean_election_loses_what_the_follower_lacked() {
    let cluster = racks();
    let before = epoch(&cluster);
    cluster.set_follower("t", 0, 2, Follower::new(0, 6)).unwrap();
    assert_eq!(cluster.elect_unclean("t", 0, 2).unwrap(), 6);
    assert_eq!(cluster.leader("t", 0).unwrap(), Some(2));
    let ask = |offset, fetched_epoch| {
        fetch(&cluster, &Ask { node: 2, offset, fetched_epoch, rack: "", ..ASK })
    };
    // Who read further is told where the logs part, not that the offset is out of range.
    let parted = ask(9, before);
    assert_eq!(code(&parted), ErrorCode::NONE);
    assert_eq!((parted.diverging_epoch.epoch, parted.diverging_epoch.end_offset), (before, 6));
    assert_eq!(code(&ask(9, -1)), ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(ask(6, before).diverging_epoch.end_offset, -1, "agrees");
    let mut leader = RawClient::at(&cluster, 2);
    for _ in 0..6 {
        leader.produce_values("t", 0, &["y"]);
    }
    assert_eq!(ask(9, before).diverging_epoch.end_offset, 6);
    let asked = OffsetForLeaderPartition {
        partition: 0,
        current_leader_epoch: before + 1,
        leader_epoch: before,
    };
    let topic = OffsetForLeaderTopic { topic: "t".into(), partitions: vec![asked] };
    let request = OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![topic] };
    let answer = leader.call(3, &request).topics.remove(0).partitions.remove(0);
    assert_eq!((answer.leader_epoch, answer.end_offset), (before, 6));
    let values = RawClient::at(&cluster, 2).values("t", 0, 0);
    assert_eq!(values.iter().filter(|(_, value)| value == "y").count(), 6);
    assert_eq!(values.len(), 12);
}
