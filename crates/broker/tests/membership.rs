//! Nodes come anew, go for good and move; nodes tell what is not so.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode,
    messages::{
        find_coordinator::FindCoordinatorRequest,
        metadata::{MetadataRequest, MetadataResponse},
    },
};
use support::RawClient;

fn cluster() -> Cluster {
    let cluster = Cluster::builder().nodes(3).start_blocking().unwrap();
    cluster.create_topic("t", 3, 3).unwrap();
    cluster
}

fn metadata(client: &mut RawClient) -> MetadataResponse {
    client.call(12, &MetadataRequest { topics: None, ..Default::default() })
}

fn nodes(client: &mut RawClient) -> Vec<i32> {
    metadata(client).brokers.iter().map(|it| it.node_id).collect()
}

#[test]
fn nodes_come_and_go() {
    let cluster = cluster();
    let mut client = RawClient::at(&cluster, 1);
    for round in 0..5 {
        let id = 10 + round;
        cluster.add_node(id).unwrap();
        assert_eq!(nodes(&mut client), [1, 2, 3, id]);
        cluster.move_leader("t", 0, id).unwrap();
        let mut new = RawClient::at(&cluster, id);
        assert_eq!(metadata(&mut new).topics[0].partitions[0].leader_id, id);
        cluster.remove_node(id).unwrap();
        assert_eq!(nodes(&mut client), [1, 2, 3]);
        assert_ne!(cluster.leader("t", 0).unwrap(), Some(id));
        assert!(cluster.address(id).is_err());
    }
    assert!(cluster.add_node(2).is_err(), "the id is taken");
}

#[test]
fn a_node_that_moves_keeps_its_connections_and_refuses_at_its_old_address() {
    let cluster = cluster();
    let (mut old, before) = (RawClient::at(&cluster, 2), cluster.address(2).unwrap());
    assert_eq!(nodes(&mut old), [1, 2, 3]);
    cluster.readdress(2).unwrap();
    let after = cluster.address(2).unwrap();
    assert_ne!(before, after);
    let named = metadata(&mut old).brokers.remove(1);
    assert_eq!((named.node_id, named.port), (2, i32::from(after.port())));
    let mut new = RawClient::at(&cluster, 2);
    assert_eq!(nodes(&mut new), [1, 2, 3]);
    assert_eq!(cluster.connections(2).unwrap(), 2);
    // Its accept loop ends a moment later.
    let refused = || RawClient::try_connect(before).is_err();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !refused() {
        assert!(std::time::Instant::now() < deadline, "the old port stays open");
    }
    cluster.stop(2).unwrap();
    assert_eq!(cluster.connections(2).unwrap(), 0);
    cluster.start(2).unwrap();
    assert_eq!(cluster.address(2).unwrap(), after);
}

#[test]
fn metadata_lags_and_leaves_out() {
    let cluster = cluster();
    let mut client = RawClient::at(&cluster, 1);
    let before = metadata(&mut client);
    cluster.freeze_metadata();
    cluster.move_leader("t", 0, before.topics[0].partitions[0].leader_id % 3 + 1).unwrap();
    cluster.add_node(7).unwrap();
    assert_eq!(metadata(&mut client), before);
    cluster.thaw_metadata();
    assert_ne!(metadata(&mut client), before);
    cluster.hide(7).unwrap();
    assert_eq!(nodes(&mut client), [1, 2, 3]);
    assert_eq!(nodes(&mut RawClient::at(&cluster, 7)), [1, 2, 3]);
    cluster.unhide(7).unwrap();
    assert_eq!(nodes(&mut client), [1, 2, 3, 7]);
}

#[test]
fn a_dead_node_is_named_as_coordinator_until_the_truth_is_told() {
    let cluster = cluster();
    let mut client = RawClient::at(&cluster, 1);
    cluster.name_coordinator("g", Some(3)).unwrap();
    cluster.kill(3).unwrap();
    let mut ask = || {
        let keys = vec!["g".to_owned()];
        let request = FindCoordinatorRequest { coordinator_keys: keys, ..Default::default() };
        let found = client.call(4, &request).coordinators.remove(0);
        assert_eq!(found.error_code, ErrorCode::NONE.0);
        found.node_id
    };
    assert_eq!(ask(), 3);
    cluster.name_coordinator("g", None).unwrap();
    assert_ne!(ask(), 3);
}
