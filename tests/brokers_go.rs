//! Brokers stop, die and come back while a processor counts: it never ends, and the count is exact.
//!
//! Only on the embedded cluster: a test must not stop the nodes of a real one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{Env, start, stream, until};
use roka::{DecimalInt, Emitter, Group, GroupGraph, State};

fn counter(group: &str, input: &str, output: &str) -> GroupGraph<String, u64> {
    let mut graph = Group::<String, u64>::of("", &DecimalInt).renamed(group).graph();
    let output = graph.output(stream(output));
    graph.input(stream(input), move |ctx, word: String| {
        ctx.update(|count| *count += 1)?;
        ctx.emit(output, ctx.key(), &word)
    });
    graph
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_outlives_its_brokers() {
    let env = Env::new();
    let Some(cluster) = &env.cluster else { return };
    let names = ["counter", "words", "out"].map(|base| env.name(base));
    let [group, input, output] = names.each_ref().map(String::as_str);
    env.topic(input, 4).await;
    env.topic(output, 4).await;
    let processor = start(counter(group, input, output), env.config("a"));
    processor.ready().await;

    let ended = Arc::new(AtomicBool::new(false));
    let sender = {
        let words = Emitter::new(stream(input), &env.memory()).await.unwrap();
        let ended = Arc::clone(&ended);
        tokio::spawn(async move {
            let mut truth: BTreeMap<String, u64> = BTreeMap::new();
            while !ended.load(Ordering::SeqCst) {
                for _ in 0..20 {
                    let key = format!("key-{}", fastrand::u32(0..50));
                    words.emit(&key, &"x".to_owned()).await.unwrap();
                    *truth.entry(key).or_default() += 1;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            words.finish().await.unwrap();
            truth
        })
    };
    let nodes = cluster.nodes();
    for (round, node) in nodes.iter().chain(&nodes).enumerate() {
        if round % 2 == 0 {
            cluster.stop(*node).unwrap();
        } else {
            cluster.kill(*node).unwrap();
        }
        let before = processor.handle.stats().totals.commits;
        until("it commits with one broker away", async || {
            processor.handle.stats().totals.commits > before + 2
        })
        .await;
        cluster.start(*node).unwrap();
        let before = processor.handle.stats().totals.commits;
        until("it commits with all brokers", async || {
            processor.handle.stats().totals.commits > before + 2
        })
        .await;
    }
    // All of them.
    for node in &nodes {
        cluster.stop(*node).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for node in &nodes {
        cluster.start(*node).unwrap();
    }
    ended.store(true, Ordering::SeqCst);
    let truth = sender.await.unwrap();
    env.drained(group, input).await;
    assert_eq!(processor.handle.state(), State::Running);
    let expected: BTreeMap<String, String> =
        truth.iter().map(|(key, count)| (key.clone(), count.to_string())).collect();
    assert_eq!(env.table(&format!("{group}-table")).await, expected);
    // What is emitted may be repeated, but not be missing.
    let mut emitted: BTreeMap<String, u64> = BTreeMap::new();
    for record in env.records(output).await {
        *emitted.entry(common::text(&record.key.unwrap())).or_default() += 1;
    }
    for (key, count) in &truth {
        assert!(emitted.get(key) >= Some(count), "{key}: {:?} of {count}", emitted.get(key));
    }
    println!("{:?}", processor.handle.stats().totals);
    processor.stop().await.unwrap();
}
