//! Committed offsets survive the end of the process; those of a deleted topic do not survive it.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use roka_broker::Cluster;
use roka_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use support::{
    RawClient,
    group::{GROUP, commit_request, committed, state},
};

#[test]
fn offsets_and_their_groups_are_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let start = || Cluster::builder().nodes(2).data_dir(dir.path()).start_blocking().unwrap();
    let cluster = start();
    cluster.create_topic("t", 2, 1).unwrap();
    let coordinator =
        |cluster: &Cluster| RawClient::at(cluster, cluster.coordinator(GROUP).unwrap());
    let mut client = coordinator(&cluster);
    client.call(8, &commit_request("t", 0, 1));
    client.call(8, &commit_request("t", 1, 2));
    client.call(8, &commit_request("t", 0, 3));
    cluster.shutdown();

    let cluster = start();
    assert_eq!(committed(&cluster, "t", 0), (3, "note".to_owned()));
    assert_eq!(committed(&cluster, "t", 1).0, 2);
    assert_eq!(state(&mut coordinator(&cluster)), "Empty");

    let topic = DeleteTopicState { name: Some("t".to_owned()), ..Default::default() };
    let request = DeleteTopicsRequest { topics: vec![topic], ..Default::default() };
    assert_eq!(coordinator(&cluster).call(6, &request).responses[0].error_code, 0);
    cluster.create_topic("t", 2, 1).unwrap();
    assert_eq!(committed(&cluster, "t", 0).0, -1, "it was another topic");
    cluster.shutdown();

    let cluster = start();
    assert_eq!(committed(&cluster, "t", 0).0, -1);
}

#[test]
fn offsets_of_topics_that_are_not_there_any_more_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let line = r#"{"group":"g","topic":"gone","partition":0,
        "committed":{"offset":5,"leader_epoch":-1,"metadata":"","time_ms":0}}"#;
    let file = dir.path().join("group-offsets.jsonl");
    std::fs::write(&file, format!("{}\n", line.replace('\n', ""))).unwrap();
    let cluster = Cluster::builder().data_dir(dir.path()).start_blocking().unwrap();
    cluster.create_topic("gone", 1, 1).unwrap();
    assert_eq!(committed(&cluster, "gone", 0).0, -1);
}
