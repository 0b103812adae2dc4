//! Settings of topics and brokers are described and changed one by one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use roka_broker::Cluster;
use roka_client::admin::{ConfigChange, ConfigEntry, ConfigResource, ConfigSource, NewTopic};
use roka_client::{Admin, Client, Config, ErrorCode, NodeId};

async fn policy(admin: &Admin, topic: &str) -> ConfigEntry {
    let entries = admin.describe_config(ConfigResource::topic(topic)).await.unwrap();
    entries.into_iter().find(|it| it.name == "cleanup.policy").unwrap()
}

#[tokio::test]
async fn a_topics_settings() {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    let admin = Client::new(Config::new(cluster.bootstrap())).unwrap().admin();
    let topic = NewTopic::new("table", 1, 3).config("cleanup.policy", "compact");
    admin.create_topic(topic).await.unwrap();
    let before = policy(&admin, "table").await;
    assert_eq!((before.value.as_deref(), before.source), (Some("compact"), ConfigSource::Topic));

    let delete = ConfigChange::Set("cleanup.policy".into(), "delete".into());
    admin.alter_config(ConfigResource::topic("table"), &[delete]).await.unwrap();
    assert_eq!(policy(&admin, "table").await.value.as_deref(), Some("delete"));
    let append = ConfigChange::Append("cleanup.policy".into(), "compact".into());
    admin.alter_config(ConfigResource::topic("table"), &[append]).await.unwrap();
    assert_eq!(policy(&admin, "table").await.value.as_deref(), Some("delete,compact"));
    let default = ConfigChange::Delete("cleanup.policy".into());
    admin.alter_config(ConfigResource::topic("table"), &[default]).await.unwrap();
    let after = policy(&admin, "table").await;
    assert_eq!((after.value.as_deref(), after.source), (Some("delete"), ConfigSource::Default));
}

#[tokio::test]
async fn each_resource_has_its_own_result() {
    let cluster = Cluster::builder().nodes(3).start().await.unwrap();
    cluster.create_topic("there", 1, 1).unwrap();
    let admin = Client::new(Config::new(cluster.bootstrap())).unwrap().admin();
    let resources = [
        ConfigResource::topic("there"),
        ConfigResource::topic("nosuch"),
        ConfigResource::Broker(NodeId(2)),
    ];
    let results = admin.describe_configs(&resources).await;
    assert!(!results[0].as_ref().unwrap().is_empty());
    assert!(results[1].as_ref().unwrap_err().is_unknown_topic());
    assert!(!results[2].as_ref().unwrap().is_empty());

    let wrong = ConfigChange::Set("cleanup.policy".into(), "sometimes".into());
    let error = admin.alter_config(ConfigResource::topic("there"), &[wrong]).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_CONFIG), "{error}");
}
