//! Writes and commits whose outcome nobody knows: nothing is lost, nothing counts twice in the table, nobody stops.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{collections::BTreeMap, time::Duration};

use common::{Env, start, stream, until};
use roka::{Config, DecimalInt, Emitter, Group, GroupGraph, State};
use roka_broker::Fault;
use roka_client::ApiKey;

const KEYS: usize = 50;

fn counter(group: &str, input: &str, output: &str) -> GroupGraph<String, u64> {
    let mut graph = Group::<String, u64>::of("", &DecimalInt).renamed(group).graph();
    let output = graph.output(stream(output));
    graph.input(stream(input), move |ctx, word: String| {
        ctx.update(|count| *count += 1)?;
        ctx.emit(output, ctx.key(), &word)
    });
    graph
}

async fn send(env: &Env, input: &str) {
    let messages = Emitter::new(stream(input), &env.memory()).await.unwrap();
    for n in 0..KEYS {
        messages.emit(&format!("key-{n}"), &"x".to_owned()).await.unwrap();
    }
    messages.finish().await.unwrap();
}

/// Compares table and outputs with the truth: each key was sent so often.
async fn check(env: &Env, group: &str, output: &str, count: u64) {
    let table = env.table(&format!("{group}-table")).await;
    assert_eq!(table.len(), KEYS);
    for (key, value) in table {
        assert_eq!(value, count.to_string(), "{key}");
    }
    let mut emitted: BTreeMap<_, u64> = BTreeMap::new();
    for record in env.records(output).await {
        *emitted.entry(record.key).or_default() += 1;
    }
    assert_eq!(emitted.len(), KEYS);
    assert!(emitted.values().all(|&emitted| emitted >= count), "{emitted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_commits_that_never_come() {
    let env = Env::new();
    let Some(cluster) = &env.cluster else { return };
    let names = ["counter", "in", "out"].map(|base| env.name(base));
    let [group, input, output] = names.each_ref().map(String::as_str);
    env.topic(input, 3).await;
    env.topic(output, 1).await;
    let processor = start(counter(group, input, output), env.config("a"));
    processor.ready().await;
    let mut rounds = 0;
    // What is answered twice is not sent again: there is no second request for sure.
    for (fault, times) in [(Fault::disconnect(), 3), (Fault::cut_after(7), 3), (Fault::repeat(), 1)]
    {
        for api in [ApiKey::OffsetCommit, ApiKey::Produce] {
            cluster.inject(fault.clone().on(api).times(times));
            send(&env, input).await;
            rounds += 1;
            until("the faults are met and all is committed", async || {
                cluster.faults_left() == 0 && env.lag(group, input).await == 0
            })
            .await;
            check(&env, group, output, rounds).await;
        }
    }
    assert_eq!(processor.handle.state(), State::Running);
    assert_eq!(processor.handle.stats().totals.commits_failed, 0, "all were cured by trying again");
    processor.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_are_given_up_make_the_worker_begin_again() {
    let env = Env::new();
    let Some(cluster) = &env.cluster else { return };
    let names = ["counter", "in", "out"].map(|base| env.name(base));
    let [group, input, output] = names.each_ref().map(String::as_str);
    env.topic(input, 3).await;
    env.topic(output, 1).await;
    let config = Config { delivery_timeout: Duration::from_secs(1), ..env.config("a") };
    let processor = start(counter(group, input, output), config);
    processor.ready().await;
    send(&env, input).await;
    env.drained(group, input).await;
    check(&env, group, output, 1).await;

    // Every write arrives, and none is answered, for longer than a worker waits. What it then begins with is sent before,
    // while it is away.
    processor.stop().await.unwrap();
    send(&env, input).await;
    cluster.inject(Fault::disconnect().on(ApiKey::Produce).times(u32::MAX));
    let config = Config { delivery_timeout: Duration::from_secs(1), ..env.config("a") };
    let processor = start(counter(group, input, output), config);
    until("commits fail", async || processor.handle.stats().totals.commits_failed > 1).await;
    cluster.clear_faults();
    env.drained(group, input).await;
    check(&env, group, output, 2).await;
    assert_eq!(processor.handle.state(), State::Running);
    processor.stop().await.unwrap();
}
