//! Records that cannot be processed: left out, sent to a dead-letter topic, tried again, or the end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use common::{Env, start, stream, text};
use roka::{Emitter, Group, GroupGraph, OnError, ProcessorError, Stage, Stream};

fn summer(group: &str, input: &str, on_error: OnError) -> GroupGraph<String, u64> {
    let mut graph = Group::<String, u64>::json("").renamed(group).graph();
    let input = Stream::<String, u64>::json("").renamed(input);
    let callback = |ctx: &mut roka::Context<'_, String, u64>, amount: u64| {
        if amount == 13 {
            return ctx.fail("unlucky");
        }
        ctx.update(|sum| *sum += amount)
    };
    graph.input(input, callback).on_error(on_error);
    graph
}

async fn send(env: &Env, input: &str, values: &[&str]) {
    let numbers = Emitter::new(stream(input), &env.memory()).await.unwrap();
    for value in values {
        numbers.emit("k", &(*value).to_owned()).await.unwrap();
    }
    numbers.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_say_why_and_where_from() {
    let env = Env::new();
    let names = ["sum", "numbers", "dead"].map(|base| env.name(base));
    let [group, input, dead] = names.each_ref().map(String::as_str);
    env.topic(input, 1).await;
    env.topic(dead, 1).await;
    send(&env, input, &["1", "13", "not a number", "2"]).await;
    let graph = summer(group, input, OnError::dead_letter(dead.to_owned()));
    let processor = start(graph, env.config("a"));
    processor.ready().await;
    env.drained(group, input).await;
    assert_eq!(processor.handle.get("k").await.unwrap(), Some(3));
    assert_eq!(processor.handle.stats().totals.dead_letters, 2);
    let letters = env.records(dead).await;
    let facts: Vec<_> = letters
        .iter()
        .map(|letter| {
            (
                text(letter.value.as_ref().unwrap()),
                letter.header("roka.stage").unwrap(),
                letter.header("roka.offset").unwrap(),
            )
        })
        .collect();
    assert_eq!(
        facts,
        [("13".to_owned(), "callback", "1"), ("not a number".to_owned(), "value", "2")]
    );
    assert_eq!(letters[0].header("roka.topic"), Some(input));
    assert!(letters[0].header("roka.error").unwrap().contains("unlucky"));
    processor.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_ends_the_processor_at_the_record_and_keeps_what_was_before() {
    let env = Env::new();
    let (group, input) = (env.name("sum"), env.name("numbers"));
    env.topic(&input, 1).await;
    send(&env, &input, &["1", "2", "13", "4"]).await;
    let error =
        start(summer(&group, &input, OnError::Fail), env.config("a")).ended().await.unwrap_err();
    let ProcessorError::Record(record) = &error else { panic!("{error}") };
    assert_eq!((record.offset, record.stage, &*record.topic), (2, Stage::Callback, &*input));
    assert_eq!(env.lag(&group, &input).await, 2);
    let table = env.table(&format!("{group}-table")).await;
    assert_eq!(table, BTreeMap::from([("k".to_owned(), "3".to_owned())]));

    // Another version of the program goes on at the record.
    let processor = start(summer(&group, &input, OnError::Skip), env.config("a"));
    processor.ready().await;
    env.drained(&group, &input).await;
    assert_eq!(processor.handle.get("k").await.unwrap(), Some(7));
    assert_eq!(processor.handle.stats().totals.skipped, 1);
    processor.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_tried_again_until_it_works() {
    static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    let env = Env::new();
    let (group, input) = (env.name("sum"), env.name("numbers"));
    env.topic(&input, 1).await;
    send(&env, &input, &["1", "2", "3"]).await;
    let mut graph = Group::<String, u64>::json("").renamed(group.clone()).graph();
    graph
        .input(Stream::<String, u64>::json("").renamed(input.clone()), |ctx, amount| {
            if amount == 2 && ATTEMPTS.fetch_add(1, Ordering::SeqCst) < 3 {
                return ctx.fail("not yet");
            }
            ctx.update(|sum| *sum += amount)
        })
        .on_error(OnError::retry(5, OnError::Fail));
    let processor = start(graph, env.config("a"));
    processor.ready().await;
    env.drained(&group, &input).await;
    assert_eq!(processor.handle.get("k").await.unwrap(), Some(6));
    assert_eq!(processor.handle.stats().totals.retries, 3);
    processor.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_the_processor_and_names_the_record() {
    let env = Env::new();
    let (group, input) = (env.name("sum"), env.name("numbers"));
    env.topic(&input, 1).await;
    send(&env, &input, &["1"]).await;
    let mut graph = Group::<String, u64>::json("").renamed(group).graph();
    graph.input(stream(&input), |_, _| panic!("out of luck"));
    let error = start(graph, env.config("a")).ended().await.unwrap_err();
    let ProcessorError::Record(record) = &error else { panic!("{error}") };
    assert_eq!((record.offset, record.stage), (0, Stage::Panic));
    assert!(error.to_string().contains("out of luck"), "{error}");
}
