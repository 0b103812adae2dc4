//! A partition's leader knows who has written to it, and how far.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode,
    messages::describe_producers::{DescribeProducersRequest, PartitionResponse, TopicRequest},
};
use support::{RawClient, sequenced_batch};

fn describe(client: &mut RawClient, partition: i32) -> PartitionResponse {
    let topic = TopicRequest { name: "t".to_owned(), partition_indexes: vec![partition] };
    let request = DescribeProducersRequest { topics: vec![topic] };
    client.call(0, &request).topics.remove(0).partitions.remove(0)
}

#[test]
fn producers_are_shown_with_their_last_sequence() {
    let cluster = Cluster::builder().nodes(2).start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let leader = cluster.leader("t", 0).unwrap().unwrap();
    let mut client = RawClient::at(&cluster, leader);
    client.produce("t", 0, sequenced_batch(42, 3, 0, &["a", "b"]));
    client.produce("t", 0, sequenced_batch(7, 0, 0, &["c"]));
    let found = describe(&mut client, 0);
    assert_eq!(ErrorCode(found.error_code), ErrorCode::NONE);
    let producers = found.active_producers.iter();
    let producers: Vec<_> =
        producers.map(|it| (it.producer_id, it.producer_epoch, it.last_sequence)).collect();
    assert_eq!(producers, [(7, 0, 0), (42, 3, 1)]);
    assert!(found.active_producers.iter().all(|it| it.current_txn_start_offset == -1));

    assert_eq!(
        ErrorCode(describe(&mut client, 1).error_code),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    let mut other = RawClient::at(&cluster, 3 - leader);
    assert_eq!(ErrorCode(describe(&mut other, 0).error_code), ErrorCode::NOT_LEADER_OR_FOLLOWER);
}
