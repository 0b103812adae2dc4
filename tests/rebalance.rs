//! Processors of a group come and go while it counts: partitions move, nothing is lost or counted twice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use common::{Env, Running, start, stream, until};
use roka::{DecimalInt, Emitter, Group, GroupGraph};

fn counter(group: &str, input: &str) -> GroupGraph<String, u64> {
    let mut graph = Group::<String, u64>::of("", &DecimalInt).renamed(group).graph();
    graph.input(stream(input), |ctx, _: String| ctx.update(|count| *count += 1));
    graph
}

fn partitions(processor: &Running<String, u64>) -> usize {
    processor.handle.partitions().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_move_and_every_input_counts_once() {
    let env = Env::new();
    let (group, input) = (env.name("counter"), env.name("words"));
    env.topic(&input, 6).await;
    let words = Emitter::new(stream(&input), &env.memory()).await.unwrap();
    let mut truth: BTreeMap<String, u64> = BTreeMap::new();
    let mut send = async |count: u32| {
        for _ in 0..count {
            let key = format!("key-{}", fastrand::u32(0..100));
            words.emit(&key, &"x".to_owned()).await.unwrap();
            *truth.entry(key).or_default() += 1;
        }
        words.flush().await.unwrap();
    };

    let first = start(counter(&group, &input), env.config("first"));
    send(1000).await;
    until("the first has all", async || partitions(&first) == 6).await;
    let second = start(counter(&group, &input), env.config("second"));
    send(1000).await;
    until("both have three", async || partitions(&first) == 3 && partitions(&second) == 3).await;
    send(1000).await;
    second.ready().await;
    env.drained(&group, &input).await;
    assert!(second.handle.stats().totals.records > 0);

    let third = start(counter(&group, &input), env.config("third"));
    send(1000).await;
    until("all three have two", async || {
        [&first, &second, &third].iter().all(|processor| partitions(processor) == 2)
    })
    .await;
    first.stop().await.unwrap();
    send(1000).await;
    until("the two have three", async || partitions(&second) == 3 && partitions(&third) == 3).await;
    env.drained(&group, &input).await;
    third.stop().await.unwrap();
    until("the last has all", async || partitions(&second) == 6).await;
    send(1000).await;
    second.ready().await;
    env.drained(&group, &input).await;

    for (key, count) in &truth {
        assert_eq!(second.handle.get(key).await.unwrap(), Some(*count), "{key}");
    }
    let expected: BTreeMap<String, String> =
        truth.iter().map(|(key, count)| (key.clone(), count.to_string())).collect();
    assert_eq!(env.table(&format!("{group}-table")).await, expected);
    second.stop().await.unwrap();
}
