//! A processor counts what it reads into its table.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use common::{Env, start, stream};
use roka::{DecimalInt, Emitter, Group, GroupGraph};

fn counter(group: &str, input: &str) -> GroupGraph<String, u64> {
    let mut graph = Group::<String, u64>::of("", &DecimalInt).renamed(group).graph();
    graph.input(stream(input), |ctx, _: String| ctx.update(|count| *count += 1));
    graph
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_in_the_table_and_offsets_committed() {
    let env = Env::new();
    let (group, input) = (env.name("counter"), env.name("words"));
    env.topic(&input, 4).await;
    let processor = start(counter(&group, &input), env.config("a"));

    let words = Emitter::new(stream(&input), &env.config("a")).await.unwrap();
    let mut truth: BTreeMap<String, String> = BTreeMap::new();
    for n in 0..5000_u64 {
        let key = format!("key-{}", n * n % 97);
        words.emit(&key, &"x".to_owned()).await.unwrap();
        let count = truth.get(&key).map_or(0, |count| count.parse::<u64>().unwrap());
        truth.insert(key, (count + 1).to_string());
    }
    words.finish().await.unwrap();

    processor.ready().await;
    env.drained(&group, &input).await;
    assert_eq!(env.table(&format!("{group}-table")).await, truth);
    let first = truth.iter().next().unwrap();
    let count = processor.handle.get(first.0).await.unwrap();
    assert_eq!(count.map(|count| count.to_string()).as_ref(), Some(first.1));
    let stats = processor.handle.stats();
    assert_eq!((stats.totals.records, stats.lag()), (5000, 0));
    processor.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_is_waiting_than_is_fetched_at_once() {
    let env = Env::new();
    let (group, input) = (env.name("counter"), env.name("words"));
    env.topic(&input, 1).await;
    let words = Emitter::new(stream(&input), &env.config("a")).await.unwrap();
    let large = "x".repeat(50_000);
    for n in 0..300 {
        words.emit(&format!("key-{}", n % 3), &large).await.unwrap();
    }
    words.finish().await.unwrap();
    let processor = start(counter(&group, &input), env.config("a"));
    env.drained(&group, &input).await;
    for n in 0..3 {
        assert_eq!(processor.handle.get(&format!("key-{n}")).await.unwrap(), Some(100));
    }
    processor.stop().await.unwrap();
}
