//! Creates a topic, changes a setting, looks at offsets and groups.
//!
//! `cargo run -p roka-client --example admin` runs on an embedded cluster, with `-- host:port` on yours.

use std::time::Duration;

use roka_client::admin::{ConfigChange, ConfigResource, ConfigSource, NewTopic, OffsetSpec};
use roka_client::{Client, Config, TopicPartition};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given = std::env::args().nth(1);
    let (_cluster, bootstrap) = if let Some(bootstrap) = given {
        (None, bootstrap)
    } else {
        let cluster = roka_broker::Cluster::builder().nodes(3).start().await?;
        let bootstrap = cluster.bootstrap();
        (Some(cluster), bootstrap)
    };
    let admin = Client::new(Config::new(&bootstrap))?.admin();

    let cluster = admin.describe_cluster().await?;
    println!("cluster {:?} at {bootstrap}", cluster.id.as_deref().unwrap_or("without id"));
    for broker in &cluster.brokers {
        println!("  broker {} at {}", broker.id, broker.address);
    }

    let replication = cluster.brokers.len().min(3) as i16;
    match admin.create_topic(NewTopic::new("admin-example", 3, replication)).await {
        Ok(topic) => println!("created topic {}", topic.name),
        Err(error) if error.is_topic_exists() => println!("topic admin-example is there already"),
        Err(error) => return Err(error.into()),
    }
    let hour = ConfigChange::Set("retention.ms".into(), "3600000".into());
    admin.alter_config(ConfigResource::topic("admin-example"), &[hour]).await?;
    // Another broker may take a moment to know it.
    for _ in 0..50 {
        let entries = admin.describe_config(ConfigResource::topic("admin-example")).await?;
        let Some(entry) = entries.into_iter().find(|it| it.name == "retention.ms") else { break };
        if entry.source == ConfigSource::Topic {
            println!("  {} = {}", entry.name, entry.value.unwrap_or_default());
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let topic = admin.describe_topic("admin-example").await?;
    let ends: Vec<_> = (0..topic.partitions.len() as i32)
        .map(|it| (TopicPartition::new("admin-example", it), OffsetSpec::Latest))
        .collect();
    for ((partition, _), end) in ends.iter().zip(admin.list_offsets(&ends).await) {
        println!("  {partition} ends at {}", end?.offset.unwrap_or(0));
    }

    let groups = admin.list_groups().await?;
    println!("{} groups", groups.len());
    for group in groups {
        println!("  {} is {}", group.group, group.state);
    }
    admin.delete_topic("admin-example").await?;
    println!("deleted topic admin-example");
    Ok(())
}
