//! Partitions are moved to other brokers, and led by their preferred replica again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use roka_broker::Cluster;
use roka_client::{Admin, Client, Config, NodeId, TopicPartition};

async fn start() -> (Cluster, Admin) {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    cluster.create_topic("t", 2, 3).unwrap();
    let admin = Client::new(Config::new(cluster.bootstrap())).unwrap().admin();
    (cluster, admin)
}

#[tokio::test]
async fn the_preferred_leader_leads_again() {
    let (cluster, admin) = start().await;
    let at = TopicPartition::new("t", 0);
    let preferred = admin.describe_topic("t").await.unwrap().partitions[0].replicas[0];
    assert!(
        !admin.elect_preferred_leaders(std::slice::from_ref(&at)).await.pop().unwrap().unwrap()
    );
    cluster.move_leader("t", 0, preferred.0 % 3 + 1).unwrap();
    let absent = TopicPartition::new("t", 9);
    let results = admin.elect_preferred_leaders(&[at, absent]).await;
    assert!(results[0].as_ref().unwrap());
    assert!(results[1].as_ref().unwrap_err().is_unknown_topic());
    assert_eq!(cluster.leader("t", 0).unwrap(), Some(preferred.0));
}

#[tokio::test]
async fn a_partition_moves() {
    let (_cluster, admin) = start().await;
    let nodes = vec![NodeId(3), NodeId(1)];
    let results =
        admin.reassign_partitions(&[(TopicPartition::new("t", 1), Some(nodes.clone()))]).await;
    assert!(results[0].is_ok(), "{results:?}");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !admin.list_reassignments().await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "the move does not end");
    }
    let topic = admin.describe_topic("t").await.unwrap();
    assert_eq!(*topic.partitions[1].replicas, *nodes);
}
