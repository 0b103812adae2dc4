//! How processors share a group: static members, Goka's eager assignment, members that are given up.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use common::{Env, Running, start, stream, until};
use roka::{Assignment, Config, DecimalInt, Emitter, Group, GroupGraph};
use roka_client::{
    ApiKey, Client, ErrorCode, TopicPartition,
    group::{
        GroupConfig, GroupEvent,
        assignor::{AssignError, Assignments, Assignor, Member, PartitionCounts},
    },
};

fn counter(group: &str, input: &str) -> GroupGraph<String, u64> {
    let mut graph = Group::<String, u64>::of("", &DecimalInt).renamed(group).graph();
    graph.input(stream(input), |ctx, _: String| ctx.update(|count| *count += 1));
    graph
}

/// Sends one message to each of so many keys.
async fn send(env: &Env, input: &str, keys: usize) {
    let messages = Emitter::new(stream(input), &env.memory()).await.unwrap();
    for n in 0..keys {
        messages.emit(&format!("key-{n}"), &"x".to_owned()).await.unwrap();
    }
    messages.finish().await.unwrap();
}

/// Whether every key was counted so often.
async fn counted(env: &Env, group: &str, keys: usize, count: u64) {
    let table = env.table(&format!("{group}-table")).await;
    assert_eq!(table.len(), keys);
    for (key, value) in table {
        assert_eq!(value, count.to_string(), "{key}");
    }
}

fn partitions(processor: &Running<String, u64>) -> Vec<i32> {
    processor.handle.stats().partitions.into_keys().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_comes_back_without_a_rebalance() {
    let env = Env::new();
    let Some(cluster) = &env.cluster else { return };
    let (group, input) = (env.name("static"), env.name("in"));
    env.topic(&input, 4).await;
    let config = |name: &str| Config {
        instance_id: Some(name.to_owned()),
        // Far longer than anything here takes.
        session_timeout: Duration::from_secs(300),
        ..env.config(name)
    };
    let one = start(counter(&group, &input), config("one"));
    let two = start(counter(&group, &input), config("two"));
    until("each has two partitions", async || {
        partitions(&one).len() == 2 && partitions(&two).len() == 2
    })
    .await;
    one.ready().await;
    two.ready().await;
    send(&env, &input, 100).await;
    env.drained(&group, &input).await;

    let (before, others) = (partitions(&two), partitions(&one));
    one.stop().await.unwrap();
    let joins = cluster.requests(ApiKey::JoinGroup);
    // Nobody takes its partitions meanwhile; the other processes its own.
    let done = two.handle.stats().totals.records;
    send(&env, &input, 100).await;
    until("the other goes on", async || two.handle.stats().totals.records > done).await;
    let one = start(counter(&group, &input), config("one"));
    one.ready().await;
    env.drained(&group, &input).await;
    assert_eq!(partitions(&one), others);
    assert_eq!(partitions(&two), before);
    assert_eq!(cluster.requests(ApiKey::JoinGroup), joins + 1, "only the one that came back joins");
    counted(&env, &group, 100, 2).await;
    one.stop().await.unwrap();
    two.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_given_up_drops_what_is_not_committed_and_comes_back() {
    let env = Env::new();
    let Some(cluster) = &env.cluster else { return };
    let (group, input) = (env.name("fenced"), env.name("in"));
    env.topic(&input, 4).await;
    // Commits only when it stops.
    let config = Config { commit_interval: Duration::from_secs(3600), ..env.config("a") };
    let processor = start(counter(&group, &input), config);
    processor.ready().await;
    send(&env, &input, 100).await;
    let records = async || processor.handle.stats().totals.records;
    until("all are counted", async || records().await == 100).await;
    let commits = cluster.requests(ApiKey::OffsetCommit);
    for round in 2..4 {
        cluster.fail(ApiKey::Heartbeat, ErrorCode::UNKNOWN_MEMBER_ID, 1);
        until("all are counted again", async || records().await == 100 * round).await;
    }
    assert_eq!(cluster.requests(ApiKey::OffsetCommit), commits, "the lost are not committed");
    assert!(env.records(&format!("{group}-table")).await.is_empty(), "nor are their rows written");
    processor.stop().await.unwrap();
    assert_eq!(env.lag(&group, &input).await, 0);
    counted(&env, &group, 100, 1).await;
}

/// Goka's member: sorted by id, member `i` of `n` gets the partitions from `i * p / n` to `(i + 1) * p / n`, rounded.
struct Goka;

impl Assignor for Goka {
    fn name(&self) -> &'static str {
        "copartition"
    }

    fn assign(
        &self,
        members: &[Member],
        topics: &PartitionCounts,
    ) -> Result<Assignments, AssignError> {
        let mut ids: Vec<_> = members.iter().map(|member| member.id.clone()).collect();
        ids.sort();
        let count = *topics.values().next().unwrap();
        let bound = |place: usize| {
            (place as f64 * f64::from(count) / ids.len() as f64 + 0.5).floor() as i32
        };
        let given = ids.iter().enumerate().map(|(place, id)| {
            let numbers = bound(place)..bound(place + 1);
            let all = topics.keys().flat_map(|topic| {
                numbers.clone().map(|number| TopicPartition::new(Arc::clone(topic), number))
            });
            (id.clone(), all.collect::<Vec<_>>().into())
        });
        Ok(given.collect())
    }
}

/// Joins as Goka's member would, until it holds as many partitions as `wanted`.
async fn goka_member(
    client: &Client,
    group: &str,
    input: &str,
    wanted: usize,
) -> (roka_client::group::Group, BTreeSet<i32>) {
    let member = client.group(GroupConfig::new(group, [input.to_owned()]), vec![Arc::new(Goka)]);
    let member = member.unwrap();
    let mut held = BTreeSet::new();
    while held.len() != wanted {
        let event = tokio::time::timeout(common::PATIENCE, member.next_event()).await;
        match event.expect("no assignment in time").expect("the member has ended") {
            GroupEvent::Assigned { added, .. } => held.extend(added.iter().map(|it| it.partition)),
            GroupEvent::Revoked { partitions, .. } | GroupEvent::Lost { partitions } => {
                for partition in partitions {
                    held.remove(&partition.partition);
                }
            }
            other => panic!("{other:?}"),
        }
    }
    (member, held)
}

#[tokio::test(flavor = "multi_thread")]
async fn processors_share_a_group_with_gokas_members() {
    let env = Env::new();
    let (group, input) = (env.name("goka"), env.name("in"));
    env.topic(&input, 6).await;
    let config = |name: &str| Config { assignment: Assignment::Goka, ..env.config(name) };
    let one = start(counter(&group, &input), config("one"));
    let two = start(counter(&group, &input), config("two"));
    let contiguous = |numbers: &[i32]| numbers.windows(2).all(|pair| pair[1] == pair[0] + 1);
    until("each has three partitions", async || {
        [&one, &two].iter().all(|it| partitions(it).len() == 3 && contiguous(&partitions(it)))
    })
    .await;
    send(&env, &input, 200).await;
    env.drained(&group, &input).await;

    // Goka's member takes its part, whoever leads.
    let (member, held) = goka_member(&env.client, &group, &input, 2).await;
    let held: Vec<i32> = held.into_iter().collect();
    assert!(contiguous(&held), "{held:?}");
    until("the others share the rest", async || {
        let mut all = [partitions(&one), partitions(&two), held.clone()];
        all.sort();
        all.concat() == (0..6).collect::<Vec<_>>() && all.iter().all(|it| it.len() == 2)
    })
    .await;
    let described = env.client.admin().describe_group(&group).await.unwrap();
    assert_eq!(described.protocol, "copartition");
    member.leave().await;
    until("each has three partitions again", async || {
        [&one, &two].iter().all(|it| partitions(it).len() == 3)
    })
    .await;
    send(&env, &input, 200).await;
    env.drained(&group, &input).await;
    counted(&env, &group, 200, 2).await;
    one.stop().await.unwrap();
    two.stop().await.unwrap();
}
