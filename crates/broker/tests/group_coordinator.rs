//! Every node names the same coordinator, only that node answers for the group, and members follow it when it moves.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use roka_broker::Cluster;
use roka_protocol::{ErrorCode, messages::find_coordinator::FindCoordinatorRequest};
use support::{
    RawClient,
    group::{GROUP, Member, commit_request},
    newest,
};

/// The node that a node names, in the form of the version.
fn asked(cluster: &Cluster, node: i32, version: i16, key: &str) -> i32 {
    let mut request = FindCoordinatorRequest::default();
    if version < 4 {
        key.clone_into(&mut request.key);
    } else {
        request.coordinator_keys = vec!["other".to_owned(), key.to_owned()];
    }
    let response = RawClient::at(cluster, node).call(version, &request);
    let (error, id, port) = if version < 4 {
        (response.error_code, response.node_id, response.port)
    } else {
        let found = &response.coordinators[1];
        assert_eq!((response.coordinators.len(), &*found.key), (2, key));
        (found.error_code, found.node_id, found.port)
    };
    assert_eq!(ErrorCode(error), ErrorCode::NONE);
    assert_eq!(port, i32::from(cluster.address(id).unwrap().port()));
    id
}

#[test]
fn all_nodes_name_the_same_coordinator_in_every_version() {
    let cluster = Cluster::builder().nodes(3).start_blocking().unwrap();
    let expected = cluster.coordinator(GROUP).unwrap();
    for version in 0..=newest::<FindCoordinatorRequest>() {
        for node in 1..=3 {
            assert_eq!(asked(&cluster, node, version, GROUP), expected, "version {version}");
        }
    }
}

#[test]
fn groups_are_spread_over_the_nodes() {
    let cluster = Cluster::builder().nodes(3).start_blocking().unwrap();
    let mut groups = [0; 3];
    for at in 0..300 {
        let node = cluster.coordinator(&format!("group-{at}")).unwrap();
        groups[usize::try_from(node - 1).unwrap()] += 1;
    }
    assert!(groups.iter().all(|&it| it > 50), "{groups:?}");
}

#[test]
fn other_nodes_refuse() {
    let cluster = Cluster::builder().nodes(2).start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut member = Member::fixed(&cluster, "one");
    let other = 3 - cluster.coordinator(GROUP).unwrap();
    member.client = RawClient::at(&cluster, other);
    assert_eq!(member.join().unwrap_err(), ErrorCode::NOT_COORDINATOR);
    assert_eq!(member.sync(&[]).unwrap_err(), ErrorCode::NOT_COORDINATOR);
    assert_eq!(member.heartbeat(), ErrorCode::NOT_COORDINATOR);
    assert_eq!(member.leave(), ErrorCode::NOT_COORDINATOR);
    assert_eq!(member.commit("t", 0, 1), ErrorCode::NOT_COORDINATOR);
}

#[test]
fn a_moved_coordinator_has_the_group_as_it_was() {
    let cluster = Cluster::builder().nodes(3).start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut member = Member::new(&cluster);
    member.join_alone();
    assert_eq!(member.commit("t", 0, 7), ErrorCode::NONE);
    let former = cluster.coordinator(GROUP).unwrap();
    let next = former % 3 + 1;
    cluster.move_coordinator(GROUP, next).unwrap();
    assert_eq!(member.heartbeat(), ErrorCode::NOT_COORDINATOR);
    assert_eq!(asked(&cluster, former, 4, GROUP), next);
    member.client = RawClient::at(&cluster, next);
    assert_eq!(member.heartbeat(), ErrorCode::NONE);
    assert_eq!(support::group::committed(&cluster, "t", 0).0, 7);
}

#[test]
fn who_waits_at_the_former_coordinator_is_told() {
    let cluster = Cluster::builder().nodes(2).start_blocking().unwrap();
    let mut first = Member::new(&cluster);
    first.join_alone();
    let mut second = Member::new(&cluster);
    second.start_join();
    let mut observer = Member::new(&cluster).client;
    support::until("the second waits", || {
        support::group::state(&mut observer) == "PreparingRebalance"
    });
    let other = 3 - cluster.coordinator(GROUP).unwrap();
    cluster.move_coordinator(GROUP, other).unwrap();
    assert_eq!(second.joined().unwrap_err(), ErrorCode::NOT_COORDINATOR);
}

#[test]
fn another_node_takes_over_when_the_coordinator_dies() {
    let cluster = Cluster::builder().nodes(3).start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let former = cluster.coordinator(GROUP).unwrap();
    let commit = commit_request("t", 0, 5);
    RawClient::at(&cluster, former).call(8, &commit);
    cluster.kill(former).unwrap();
    let survivor = former % 3 + 1;
    assert_ne!(asked(&cluster, survivor, 6, GROUP), former);
    assert_eq!(support::group::committed(&cluster, "t", 0).0, 5);
}
