//! Callbacks that wait: the order of a partition holds, commits wait for them, errors follow the input's policy.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use common::{Env, start, stream, text, until};
use roka::{Backoff, Config, Emitter, Group, OnError, State};
use tokio::sync::Semaphore;

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_key_are_processed_in_order() {
    const KEYS: usize = 12;
    const MESSAGES: usize = 20;
    let env = Env::new();
    let (group, input, output) = (env.name("order"), env.name("in"), env.name("out"));
    env.topic(&input, 4).await;
    env.topic(&output, 1).await;
    let mut graph = Group::<String, Vec<String>>::json("").renamed(&*group).graph();
    let out = graph.output(stream(&output));
    graph.input_async(stream(&input), async move |ctx, message: String| {
        // What is read before the wait is still so after it.
        let mut seen = ctx.value()?.unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..4))).await;
        ctx.emit(out, ctx.key(), &message)?;
        seen.push(message);
        ctx.set_value(&seen)
    });
    let messages = Emitter::new(stream(&input), &env.memory()).await.unwrap();
    for n in 0..MESSAGES {
        for key in 0..KEYS {
            messages.emit(&format!("key-{key}"), &n.to_string()).await.unwrap();
        }
    }
    messages.finish().await.unwrap();
    let processor = start(graph, env.config("a"));
    processor.ready().await;
    env.drained(&group, &input).await;

    let expected: Vec<String> = (0..MESSAGES).map(|n| n.to_string()).collect();
    let mut emitted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in env.records(&output).await {
        emitted.entry(text(&record.key.unwrap())).or_default().push(text(&record.value.unwrap()));
    }
    for key in (0..KEYS).map(|key| format!("key-{key}")) {
        assert_eq!(processor.handle.get(&key).await.unwrap().as_ref(), Some(&expected), "{key}");
        assert_eq!(emitted[&key], expected, "{key}");
    }
    processor.stop().await.unwrap();
}

/// A graph whose callback waits for a permit, and how many have begun to wait.
fn waiting(
    group: &str,
    input: &str,
    permits: &Arc<Semaphore>,
) -> (roka::GroupGraph<String, String>, Arc<AtomicU32>) {
    let began = Arc::new(AtomicU32::new(0));
    let (count, permits) = (Arc::clone(&began), Arc::clone(permits));
    let mut graph = Group::<String, String>::json("").renamed(group).graph();
    graph.input_async(stream(input), async move |ctx, message: String| {
        if message == "wait" {
            count.fetch_add(1, Ordering::SeqCst);
            permits.acquire().await?.forget();
        }
        ctx.set_value(&message)
    });
    (graph, began)
}

/// Two keys in different partitions of a topic with two.
fn keys() -> (String, String) {
    let partition = |key: &String| roka::Hasher::default().partition(key.as_bytes(), 2);
    let find = |wanted| (0..1000).map(|n| format!("key-{n}")).find(|key| partition(key) == wanted);
    (find(0).unwrap(), find(1).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_and_shutdown_wait_for_a_callback() {
    let env = Env::new();
    let (group, input) = (env.name("waits"), env.name("in"));
    env.topic(&input, 2).await;
    let permits = Arc::new(Semaphore::new(0));
    let (graph, began) = waiting(&group, &input, &permits);
    // Each partition on a worker of its own: the other one goes on.
    let processor = start(graph, env.config("a"));
    processor.ready().await;
    let messages = Emitter::new(stream(&input), &env.memory()).await.unwrap();
    let (slow, quick) = keys();
    messages.emit(&slow, &"wait".to_owned()).await.unwrap();
    messages.flush().await.unwrap();
    until("the callback waits", async || began.load(Ordering::SeqCst) == 1).await;
    for n in 0..3 {
        let commits = processor.handle.stats().totals.commits;
        messages.emit(&quick, &n.to_string()).await.unwrap();
        messages.flush().await.unwrap();
        until("the other worker commits", async || {
            processor.handle.stats().totals.commits > commits
        })
        .await;
    }
    assert_eq!(env.lag(&group, &input).await, 1, "the message that waits is not committed");
    assert_eq!(env.table(&format!("{group}-table")).await.get(&slow), None);

    // It is asked to stop: the callback may end, and what it did is committed.
    processor.handle.stop();
    until("it stops", async || processor.handle.state() == State::Stopping).await;
    permits.add_permits(1);
    processor.ended().await.unwrap();
    assert_eq!(env.lag(&group, &input).await, 0);
    assert_eq!(env.table(&format!("{group}-table")).await[&slow], "\"wait\"");
    assert_eq!(began.load(Ordering::SeqCst), 1, "it ran once");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_commits_come_between_callbacks_that_wait() {
    const MESSAGES: u32 = 400;
    const SHORT: Duration = Duration::from_millis(20);
    let env = Env::new();
    let (group, input) = (env.name("between"), env.name("in"));
    env.topic(&input, 1).await;
    let messages = Emitter::new(stream(&input), &env.memory()).await.unwrap();
    for _ in 0..MESSAGES {
        messages.emit("key", &"wait".to_owned()).await.unwrap();
    }
    messages.finish().await.unwrap();
    let permits = Arc::new(Semaphore::new(0));
    let (graph, began) = waiting(&group, &input, &permits);
    let processor = start(graph, env.config("a"));
    processor.ready().await;
    // One after the other, until both a read and a commit have come in between.
    let mut read = Box::pin(processor.handle.get("key"));
    let (mut is_read, mut given) = (false, 0);
    while !is_read || env.lag(&group, &input).await == i64::from(MESSAGES) {
        until("the next callback waits", async || began.load(Ordering::SeqCst) > given).await;
        is_read = is_read || tokio::time::timeout(SHORT, &mut read).await.is_ok();
        permits.add_permits(1);
        given += 1;
        assert!(given < MESSAGES / 2, "neither waits until all are processed");
    }
    drop(read);
    permits.add_permits(MESSAGES as usize);
    env.drained(&group, &input).await;
    processor.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_partition_does_not_wait_for_its_callback() {
    let env = Env::new();
    let Some(cluster) = &env.cluster else { return };
    let (group, input) = (env.name("lost"), env.name("in"));
    env.topic(&input, 1).await;
    let permits = Arc::new(Semaphore::new(0));
    let (graph, began) = waiting(&group, &input, &permits);
    let processor = start(graph, env.config("a"));
    processor.ready().await;
    let messages = Emitter::new(stream(&input), &env.memory()).await.unwrap();
    messages.emit("key", &"wait".to_owned()).await.unwrap();
    messages.finish().await.unwrap();
    until("the callback waits", async || began.load(Ordering::SeqCst) == 1).await;
    // The coordinator gives the member up. Its callback is dropped, and run again when it is back.
    cluster.fail(roka_client::ApiKey::Heartbeat, roka_client::ErrorCode::UNKNOWN_MEMBER_ID, 1);
    until("the callback runs again", async || began.load(Ordering::SeqCst) == 2).await;
    assert_eq!(env.lag(&group, &input).await, 1);
    permits.add_permits(1);
    env.drained(&group, &input).await;
    assert_eq!(processor.handle.get("key").await.unwrap().as_deref(), Some("wait"));
    processor.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_follow_the_policy() {
    let env = Env::new();
    let names = ["policy", "in", "out", "failed"].map(|base| env.name(base));
    let [group, input, output, failed] = names.each_ref().map(String::as_str);
    for topic in [input, output, failed] {
        env.topic(topic, 1).await;
    }
    let attempts = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&attempts);
    let mut graph = Group::<String, u64>::json("").renamed(group).graph();
    let out = graph.output(stream(output));
    let backoff = Backoff { first: Duration::from_millis(1), max: Duration::from_millis(2) };
    let policy = OnError::Retry {
        backoff,
        retries_max: Some(3),
        then: Box::new(OnError::dead_letter(failed.to_owned())),
    };
    graph
        .input_async(stream(input), async move |ctx, message: String| {
            // Done before it fails, and undone by that.
            ctx.update(|sum| *sum += 1)?;
            ctx.emit(out, ctx.key(), &message)?;
            tokio::task::yield_now().await;
            match &*message {
                "bad" => ctx.fail("bad for ever"),
                "shaky" if count.fetch_add(1, Ordering::SeqCst) < 2 => ctx.fail("bad twice"),
                _ => Ok(()),
            }
        })
        .on_error(policy);
    let messages = Emitter::new(stream(input), &env.memory()).await.unwrap();
    for message in ["good", "bad", "shaky", "good"] {
        messages.emit("key", &message.to_owned()).await.unwrap();
    }
    messages.finish().await.unwrap();
    let processor = start(graph, Config { workers: 1, ..env.config("a") });
    processor.ready().await;
    env.drained(group, input).await;
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
    assert_eq!(processor.handle.get("key").await.unwrap(), Some(3));
    let values = |records: Vec<common::Seen>| -> Vec<String> {
        records.into_iter().map(|record| text(&record.value.unwrap())).collect()
    };
    assert_eq!(values(env.records(output).await), ["good", "shaky", "good"]);
    let letters = env.records(failed).await;
    assert_eq!(letters[0].header("roka.error"), Some("bad for ever"));
    assert_eq!(letters[0].header("roka.offset"), Some("1"));
    assert_eq!(values(letters), ["bad"]);
    let totals = processor.handle.stats().totals;
    assert_eq!((totals.retries, totals.dead_letters), (3 + 2, 1));
    processor.stop().await.unwrap();
}
