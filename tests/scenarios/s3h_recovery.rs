//! S3h: the log of a table begins after, or ends before, what the local store stands for. The store is given up and the table
//! read anew from the log, which is the truth: neither an error nor a row of before.

use std::collections::BTreeMap;

use roka_broker::Follower;
use roka_client::admin::{ConfigChange, ConfigResource};

use crate::{
    common::until,
    support::{Load, Rig, commits},
    table::{Row, Scenario, row},
};

pub(crate) fn rows() -> Vec<Scenario> {
    vec![row("S3h", "start = max(local + 1, log start); local > HWM: typed error, no panic", s3h).changed(
        "a store ahead of its log is rebuilt from the log, with a warning, instead of an error: the changelog is the truth",
    )]
}

/// Counts for a while with local state in `folder`; gives what the table must hold.
async fn count(rig: &Rig, folder: &str) -> BTreeMap<String, u64> {
    let processor = rig.start(rig.env.config(folder));
    processor.ready().await;
    let load = Load::start(rig).await;
    commits(&processor, "it counts").await;
    let truth = load.end().await;
    rig.env.drained(&rig.group, &rig.input).await;
    processor.stop().await.unwrap();
    truth
}

async fn s3h(row: Row) {
    // The store lies before the log.
    let rig = Rig::new().await;
    count(&rig, "a").await;
    let old = rig.env.table(&rig.table()).await;
    // Another instance goes on, and then the log is cut off in front.
    let processor = rig.start(rig.env.config("b"));
    processor.ready().await;
    let load = Load::start(&rig).await;
    commits(&processor, "it goes on").await;
    load.end().await;
    rig.env.drained(&rig.group, &rig.input).await;
    processor.stop().await.unwrap();
    let now = rig.env.table(&rig.table()).await;
    assert_ne!(old, now);
    // Records of a compacted topic can be deleted only while it says that they may.
    set_policy(&rig, "delete").await;
    for partition in 0..4 {
        let end = rig.cluster().end_offset(&rig.table(), partition).unwrap();
        delete_before(&rig, partition, end).await;
    }
    set_policy(&rig, "compact").await;
    let processor = rig.start(rig.env.config("a"));
    processor.ready().await;
    let recovered = processor.handle.stats().totals.recovered;
    for key in old.keys() {
        assert_eq!(processor.handle.get(key).await.unwrap(), None, "{key} is of a deleted log");
    }
    processor.stop().await.unwrap();
    row.measured(format!("store before the log start: {recovered} rows read, 0 of before left"));

    // The store lies behind the end of the log: an unclean election lost the newest rows.
    let rig = Rig::new().await;
    count(&rig, "a").await;
    let mut lost = 0;
    for partition in 0..4 {
        let cluster = rig.cluster();
        let end = cluster.end_offset(&rig.table(), partition).unwrap();
        let leader = cluster.leader(&rig.table(), partition).unwrap();
        let node = cluster.nodes().into_iter().find(|node| Some(*node) != leader).unwrap();
        cluster.set_follower(&rig.table(), partition, node, Follower::new(0, end / 2)).unwrap();
        lost += end - cluster.elect_unclean(&rig.table(), partition, node).unwrap();
    }
    assert!(lost > 0);
    let left = rig.env.table(&rig.table()).await;
    let processor = rig.start(rig.env.config("a"));
    processor.ready().await;
    for n in 0..50 {
        let key = format!("key-{n}");
        let row = processor.handle.get(&key).await.unwrap().map(|count| count.to_string());
        assert_eq!(row.as_ref(), left.get(&key), "{key}");
    }
    // It counts on from there.
    let load = Load::start(&rig).await;
    until("it counts", async || processor.handle.stats().totals.records > 20).await;
    load.end().await;
    rig.env.drained(&rig.group, &rig.input).await;
    processor.stop().await.unwrap();
    row.measured(format!("store {lost} offsets beyond the end: equal to the log after the start"));
}

async fn set_policy(rig: &Rig, policy: &str) {
    let change = ConfigChange::Set("cleanup.policy".into(), policy.into());
    let table = ConfigResource::topic(rig.table());
    rig.env.client.admin().alter_config(table, &[change]).await.unwrap();
}

async fn delete_before(rig: &Rig, partition: i32, offset: i64) {
    let name = roka_client::TopicPartition::new(rig.table(), partition);
    let deleted = rig.env.client.admin().delete_records(&[(name, offset)]).await;
    for result in deleted {
        result.unwrap();
    }
}
