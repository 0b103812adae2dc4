//! Members of groups, driven by tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use roka_broker::Cluster;
use roka_client::{
    Client, TopicPartition,
    group::{Group, GroupConfig, GroupError, GroupEvent, assignor::Assignor},
};
use tokio::task::JoinHandle;

use super::{TOPIC, client, until};

pub(crate) const GROUP: &str = "readers";

/// What a member went through.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) held: BTreeSet<TopicPartition>,
    pub(crate) generation: i32,
    pub(crate) assigned: usize,
    pub(crate) revoked: Vec<TopicPartition>,
    pub(crate) lost: Vec<TopicPartition>,
    pub(crate) failed: Option<GroupError>,
}

/// Who holds what, to see that nothing is held twice.
pub(crate) type Ledger = Arc<Mutex<BTreeMap<TopicPartition, usize>>>;

/// A member that lets go of everything at once.
pub(crate) struct Actor {
    pub(crate) client: Client,
    pub(crate) group: Group,
    pub(crate) story: Arc<Mutex<Story>>,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) fn config() -> GroupConfig {
    GroupConfig::new(GROUP, [TOPIC]).heartbeat_interval(Duration::from_millis(50))
}

impl Actor {
    pub(crate) fn join(
        cluster: &Cluster,
        config: GroupConfig,
        assignor: impl Assignor + 'static,
        number: usize,
        ledger: &Ledger,
    ) -> Self {
        let client = client(cluster);
        let group = client.group(config, vec![Arc::new(assignor)]).unwrap();
        let story = Arc::new(Mutex::new(Story::default()));
        let task = tokio::spawn(follow(group.clone(), story.clone(), number, ledger.clone()));
        Self { client, group, story, task }
    }

    pub(crate) fn held(&self) -> usize {
        self.story.lock().unwrap().held.len()
    }

    /// Ends without a word, as a process that is killed.
    pub(crate) async fn die(self) {
        self.client.close().await;
        let _ = self.task.await;
    }

    /// Leaves in order.
    pub(crate) async fn leave(self) {
        self.group.leave().await;
        let _ = self.task.await;
    }
}

async fn follow(group: Group, story: Arc<Mutex<Story>>, number: usize, ledger: Ledger) {
    while let Some(event) = group.next_event().await {
        let mut story = story.lock().unwrap();
        let mut ledger = ledger.lock().unwrap();
        let mut release = |story: &mut Story, partitions: &[TopicPartition]| {
            for partition in partitions {
                assert!(story.held.remove(partition), "{partition} was not held");
                if ledger.get(partition) == Some(&number) {
                    ledger.remove(partition);
                }
            }
        };
        match event {
            GroupEvent::Assigned { generation, added, all, .. } => {
                story.assigned += 1;
                story.generation = generation;
                for partition in added {
                    if let Some(other) = ledger.insert(partition.clone(), number) {
                        panic!("{partition} is still held by member {other}");
                    }
                    assert!(story.held.insert(partition));
                }
                assert_eq!(story.held, all.into_iter().collect());
            }
            GroupEvent::Revoked { partitions, ack } => {
                release(&mut story, &partitions);
                story.revoked.extend(partitions);
                drop(ledger);
                ack.done();
            }
            GroupEvent::Lost { partitions } => {
                release(&mut story, &partitions);
                story.lost.extend(partitions);
            }
            GroupEvent::Failed(error) => story.failed = Some(error),
            _ => {}
        }
    }
    // What a member that left held is free.
    ledger.lock().unwrap().retain(|_, holder| *holder != number);
}

/// Waits until the members hold that many partitions each, in any order of members.
pub(crate) async fn spread(actors: &[&Actor], wanted: &[usize]) {
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    until(&format!("partitions spread as {wanted:?}"), || {
        let mut held: Vec<_> = actors.iter().map(|actor| actor.held()).collect();
        held.sort_unstable();
        held == wanted
    })
    .await;
}
