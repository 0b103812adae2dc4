//! Partitions get other replicas at once, and a leader among them.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode,
    messages::{
        alter_partition_reassignments::{
            AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
        },
        list_partition_reassignments::ListPartitionReassignmentsRequest,
        metadata::MetadataRequest,
    },
};
use support::RawClient;

fn reassign(client: &mut RawClient, index: i32, replicas: Option<Vec<i32>>) -> ErrorCode {
    let partition = ReassignablePartition { partition_index: index, replicas };
    let topic = ReassignableTopic { name: "t".to_owned(), partitions: vec![partition] };
    let request = AlterPartitionReassignmentsRequest { topics: vec![topic], ..Default::default() };
    ErrorCode(client.call(0, &request).responses[0].partitions[0].error_code)
}

#[test]
fn a_partition_moves_with_its_records() {
    let cluster = Cluster::builder().nodes(3).start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let former = cluster.leader("t", 0).unwrap().unwrap();
    RawClient::at(&cluster, former).produce_values("t", 0, &["a", "b"]);
    let (next, third) = (former % 3 + 1, (former + 1) % 3 + 1);
    let mut client = RawClient::of(&cluster);
    assert_eq!(reassign(&mut client, 0, Some(vec![next, third])), ErrorCode::NONE);
    assert_eq!(cluster.leader("t", 0).unwrap(), Some(next));
    assert_eq!(RawClient::at(&cluster, next).values("t", 0, 0).len(), 2);
    let metadata = client.call(12, &MetadataRequest { topics: None, ..Default::default() });
    let partition = &metadata.topics[0].partitions[0];
    assert_eq!(partition.replica_nodes, [next, third]);
    assert_eq!(partition.isr_nodes, [next, third]);
    assert!(partition.leader_epoch > 0);
    let under_way = client.call(0, &ListPartitionReassignmentsRequest::default());
    assert!(under_way.topics.is_empty());
}

#[test]
fn what_cannot_be_is_refused() {
    let cluster = Cluster::builder().nodes(2).start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut client = RawClient::of(&cluster);
    for replicas in [vec![], vec![1, 1], vec![7]] {
        let error = reassign(&mut client, 0, Some(replicas));
        assert_eq!(error, ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    }
    assert_eq!(reassign(&mut client, 0, None), ErrorCode::NO_REASSIGNMENT_IN_PROGRESS);
    let unknown = reassign(&mut client, 1, Some(vec![1]));
    assert_eq!(unknown, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}
