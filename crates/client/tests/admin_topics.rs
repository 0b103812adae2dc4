//! Topics are created, described, grown and deleted, each with a result of its own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use roka_broker::{Cluster, Fault};
use roka_client::admin::NewTopic;
use roka_client::{Admin, ApiKey, Client, Config, Error, ErrorCode, NodeId};

async fn start(nodes: usize) -> (Cluster, Admin) {
    let cluster = Cluster::builder().nodes(nodes).start().await.unwrap();
    let admin = Client::new(Config::new(cluster.bootstrap())).unwrap().admin();
    (cluster, admin)
}

#[tokio::test]
async fn a_topic_lives_from_creation_to_deletion() {
    let (_cluster, admin) = start(3).await;
    let created = admin.create_topic(NewTopic::new("clicks", 4, 3)).await.unwrap();
    assert_eq!((&*created.name, created.partitions), ("clicks", Some(4)));

    let topic = admin.describe_topic("clicks").await.unwrap();
    assert_eq!(topic.partitions.len(), 4);
    assert!(topic.partitions.iter().all(|it| it.leader.is_some() && it.replicas.len() == 3));
    assert_eq!(topic.id, created.id);

    admin.create_partitions("clicks", 6).await.unwrap();
    assert_eq!(admin.describe_topic("clicks").await.unwrap().partitions.len(), 6);

    let names = admin.list_topics().await.unwrap();
    assert_eq!(names.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["clicks"]);
    admin.delete_topic("clicks").await.unwrap();
    assert!(admin.describe_topic("clicks").await.unwrap_err().is_unknown_topic());
    assert!(admin.list_topics().await.unwrap().is_empty());
}

#[tokio::test]
async fn each_topic_has_its_own_result() {
    let (_cluster, admin) = start(1).await;
    admin.create_topic(NewTopic::new("b", 1, 1)).await.unwrap();
    let topics = [NewTopic::new("a", 1, 1), NewTopic::new("b", 1, 1), NewTopic::new("c", 1, 9)];
    let results = admin.create_topics(&topics).await;
    assert!(results[0].is_ok());
    assert!(results[1].as_ref().unwrap_err().is_topic_exists());
    let error = results[2].as_ref().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_REPLICATION_FACTOR));
    assert!(error.to_string().contains("topic c"), "{error}");

    let results = admin.delete_topics(&["a", "nosuch"]).await;
    assert!(results[0].is_ok());
    assert!(results[1].as_ref().unwrap_err().is_unknown_topic());
    assert!(admin.create_topics(&[]).await.is_empty());
}

#[tokio::test]
async fn validation_creates_nothing() {
    let (_cluster, admin) = start(1).await;
    let results = admin.validate_topics(&[NewTopic::new("a", 1, 1)]).await;
    assert!(results[0].is_ok());
    assert!(admin.describe_topic("a").await.unwrap_err().is_unknown_topic());
}

#[tokio::test]
async fn the_cluster_is_described() {
    let (cluster, admin) = start(3).await;
    let described = admin.describe_cluster().await.unwrap();
    let ids: Vec<_> = described.brokers.iter().map(|it| it.id.0).collect();
    assert_eq!(ids, cluster.nodes());
    assert!(described.controller.is_some());
}

#[tokio::test]
async fn a_brokers_versions_are_told() {
    let (cluster, admin) = start(2).await;
    cluster.cap_versions_at(2, ApiKey::Metadata, 0..=4).unwrap();
    let old = admin.describe_versions(NodeId(2)).await.unwrap();
    assert_eq!(old.apis[&ApiKey::Metadata], (0, 4));
    let new = admin.describe_versions(NodeId(1)).await.unwrap();
    assert!(new.apis[&ApiKey::Metadata].1 > 4);
}

#[tokio::test]
async fn a_closed_client_says_so() {
    let cluster = Cluster::builder().start().await.unwrap();
    let client = Client::new(Config::new(cluster.bootstrap())).unwrap();
    let admin = client.admin();
    client.close().await;
    assert!(matches!(admin.list_topics().await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_deletion_whose_answer_got_lost_is_a_deletion() {
    let (cluster, admin) = start(3).await;
    admin.create_topic(NewTopic::new("clicks", 1, 3)).await.unwrap();
    let asked = cluster.requests(ApiKey::DeleteTopics);
    cluster.inject(Fault::disconnect().on(ApiKey::DeleteTopics));
    admin.delete_topic("clicks").await.unwrap();
    assert_eq!(cluster.requests(ApiKey::DeleteTopics) - asked, 2);
    // But one that was never there is not.
    assert!(admin.delete_topic("clicks").await.unwrap_err().is_unknown_topic());
}
