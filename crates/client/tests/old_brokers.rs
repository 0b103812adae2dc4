//! Old brokers are spoken to in old versions; what they lack is said in a typed error.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use roka_broker::Cluster;
use roka_client::admin::{NewTopic, OffsetSpec};
use roka_client::{ApiKey, Client, Config, Error, TopicPartition};

#[tokio::test]
async fn the_oldest_versions_will_do() {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    for (api, high) in [
        (ApiKey::ApiVersions, 0),
        (ApiKey::Metadata, 1),
        (ApiKey::CreateTopics, 0),
        (ApiKey::DeleteTopics, 0),
        (ApiKey::ListOffsets, 0),
    ] {
        cluster.cap_versions(api, 0..=high);
    }
    let admin = Client::new(Config::new(cluster.bootstrap())).unwrap().admin();
    admin.create_topic(NewTopic::new("old", 2, 3)).await.unwrap();
    assert_eq!(admin.describe_topic("old").await.unwrap().partitions.len(), 2);
    assert_eq!(admin.list_topics().await.unwrap().len(), 1);
    let partition = TopicPartition::new("old", 1);
    for spec in [OffsetSpec::Earliest, OffsetSpec::Latest] {
        let listed = admin.list_offset(partition.clone(), spec).await.unwrap();
        assert_eq!(listed.offset, Some(0));
    }
    admin.delete_topic("old").await.unwrap();
}

#[tokio::test]
async fn without_a_default_there_are_three_replicas() {
    for (nodes, replicas) in [(1, 1), (4, 3)] {
        let cluster = Cluster::builder().nodes(nodes).start().await.unwrap();
        cluster.cap_versions(ApiKey::CreateTopics, 0..=3);
        let admin = Client::new(Config::new(cluster.bootstrap())).unwrap().admin();
        admin.create_topic(NewTopic::new("old", 1, -1)).await.unwrap();
        let topic = admin.describe_topic("old").await.unwrap();
        assert_eq!(topic.partitions[0].replicas.len(), replicas);
    }
}

#[tokio::test]
async fn a_lack_is_named() {
    let cluster = Cluster::builder().start().await.unwrap();
    cluster.create_topic("old", 1, 1).unwrap();
    cluster.cap_versions(ApiKey::ListOffsets, 0..=0);
    let client = Client::new(Config::new(cluster.bootstrap())).unwrap();
    let partition = TopicPartition::new("old", 0);
    let error = client.admin().list_offset(partition, OffsetSpec::Timestamp(5)).await.unwrap_err();
    let Error::BrokerTooOld { feature, need, have, node } = &error else { panic!("{error:?}") };
    assert_eq!((*feature, node.0), ("finding an offset by time", 1));
    assert_eq!((need.as_str(), have.as_str()), ("ListOffsets v1", "v0 to v0"));
}

#[tokio::test]
async fn each_broker_is_spoken_to_in_its_own_version() {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    cluster.create_topic("mixed", 30, 3).unwrap();
    cluster.cap_versions_at(1, ApiKey::ListOffsets, 0..=1).unwrap();
    cluster.cap_versions_at(2, ApiKey::ListOffsets, 0..=5).unwrap();
    cluster.cap_versions_at(1, ApiKey::Metadata, 0..=1).unwrap();
    let admin = Client::new(Config::new(cluster.bootstrap())).unwrap().admin();
    let all: Vec<_> =
        (0..30).map(|it| (TopicPartition::new("mixed", it), OffsetSpec::Latest)).collect();
    for result in admin.list_offsets(&all).await {
        assert_eq!(result.unwrap().offset, Some(0));
    }
}
