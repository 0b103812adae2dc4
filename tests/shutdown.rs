//! A processor stops in order: what it did is committed, its stores are closed, its group is left.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Env, start, stream, until};
use roka::{Config, Emitter, Group, GroupGraph, Processor, State};

fn graph(group: &str, input: &str) -> GroupGraph<String, u64> {
    let mut graph = Group::<String, u64>::json("").renamed(group).graph();
    graph.input(stream(input), |ctx, _: String| ctx.update(|count| *count += 1));
    graph
}

/// Commits only when it must.
fn lazy(env: &Env) -> Config {
    let hour = Duration::from_secs(3600);
    Config { commit_interval: hour, store_interval: hour, ..env.config("a") }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_committed_and_stored_and_the_group_is_left() {
    let env = Env::new();
    let (group, input) = (env.name("g"), env.name("in"));
    env.topic(&input, 3).await;
    let words = Emitter::new(stream(&input), &env.memory()).await.unwrap();
    for n in 0..1000 {
        words.emit(&format!("key-{}", n % 100), &"x".to_owned()).await.unwrap();
    }
    words.finish().await.unwrap();
    let processor = start(graph(&group, &input), lazy(&env));
    until("all is processed", async || processor.handle.stats().totals.records == 1000).await;
    assert_eq!(processor.handle.stats().totals.commits, 0);
    processor.stop().await.unwrap();
    assert_eq!(env.lag(&group, &input).await, 0);
    let members = env.client.admin().describe_group(&group).await.unwrap().members;
    assert!(members.is_empty(), "{members:?}");

    // The next one finds all rows in the local stores.
    let processor = start(graph(&group, &input), lazy(&env));
    let started = Instant::now();
    processor.ready().await;
    assert!(started.elapsed() < Duration::from_secs(5), "the group was not left");
    assert_eq!(processor.handle.get("key-7").await.unwrap(), Some(10));
    assert_eq!(processor.handle.stats().totals.recovered, 0);
    processor.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_run_stops_it_in_order() {
    let env = Env::new();
    let (group, input) = (env.name("g"), env.name("in"));
    env.topic(&input, 2).await;
    let words = Emitter::new(stream(&input), &env.memory()).await.unwrap();
    words.emit("k", &"x".to_owned()).await.unwrap();
    words.finish().await.unwrap();
    let processor = Processor::new(graph(&group, &input), lazy(&env)).unwrap();
    let handle = processor.handle();
    let run = tokio::spawn(processor.run_until(std::future::pending()));
    until("it is processed", async || handle.stats().totals.records == 1).await;
    run.abort();
    until("it has stopped", async || handle.state() == State::Stopped).await;
    assert_eq!(env.lag(&group, &input).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_at_once_where_it_waits() {
    let env = Env::new();
    let (group, input) = (env.name("g"), env.name("in"));
    env.topic(&input, 2).await;
    // While it recovers nothing, joins, or waits for records.
    for wait in [0, 50, 500] {
        let processor = start(graph(&group, &input), env.config("a"));
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let started = Instant::now();
        processor.stop().await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}
