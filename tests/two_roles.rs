//! One topic in more than one role of a graph: as input and as table, joined and looked up.
//!
//! A fetcher reads a partition for one reader; each role reads on its own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use common::{Env, start, stream, text, until};
use roka::{Config, Emitter, Group, GroupGraph, StoreKind, Table};

const USERS: usize = 200;

fn table(topic: &str) -> Table<String, String> {
    Table::text("").renamed(topic)
}

/// Consumes the changes of a table that it also joins and looks up; another input asks for rows.
fn graph(group: &str, users: &str, asked: &str, output: &str) -> GroupGraph<String, String> {
    let mut graph = Group::<String, String>::json("").renamed(group).graph();
    let joined = graph.join(table(users));
    let looked_up = graph.lookup(table(users));
    let output = graph.output(stream(output));
    graph.input(stream(users), move |ctx, name: String| {
        let changes = ctx.value()?.unwrap_or_default() + &name + ";";
        ctx.set_value(&changes)
    });
    graph.input(stream(asked), move |ctx, question: String| {
        let own = ctx.join(joined)?.unwrap_or_default();
        let any = ctx.lookup(looked_up, &question)?.unwrap_or_default();
        ctx.emit(output, ctx.key(), &format!("{own}/{any}"))
    });
    graph
}

async fn answers(env: &Env, output: &str) -> BTreeMap<String, String> {
    let answer = |record: common::Seen| (text(&record.key.unwrap()), text(&record.value.unwrap()));
    env.records(output).await.into_iter().map(answer).collect()
}

async fn every_role_sees_every_row(store: StoreKind) {
    let env = Env::new();
    let names = ["roles", "users", "asked", "out"].map(|base| env.name(base));
    let [group, users, asked, output] = names.each_ref().map(String::as_str);
    env.topic(asked, 3).await;
    env.topic(output, 1).await;
    env.topic_with(users, 3, &[("cleanup.policy", "compact")]).await;
    let rows = Emitter::table(table(users), &env.memory()).await.unwrap();
    for n in 0..USERS {
        rows.emit(&format!("u{n}"), &format!("name-{n}")).await.unwrap();
    }
    rows.flush().await.unwrap();

    let config = || Config { store, ..env.config("a") };
    let processor = start(graph(group, users, asked, output), config());
    processor.ready().await;
    env.drained(group, users).await;
    let questions = Emitter::new(stream(asked), &env.memory()).await.unwrap();
    for n in 0..USERS {
        questions.emit(&format!("u{n}"), &format!("u{}", USERS - 1 - n)).await.unwrap();
    }
    questions.flush().await.unwrap();
    env.drained(group, asked).await;
    let seen = answers(&env, output).await;
    for n in 0..USERS {
        let expected = format!("name-{n}/name-{}", USERS - 1 - n);
        assert_eq!(seen.get(&format!("u{n}")), Some(&expected));
        let changes = processor.handle.get(&format!("u{n}")).await.unwrap();
        assert_eq!(changes, Some(format!("name-{n};")), "each change was consumed once");
    }

    // Changes reach all roles.
    rows.emit("u7", &"other".to_owned()).await.unwrap();
    rows.finish().await.unwrap();
    env.drained(group, users).await;
    assert_eq!(processor.handle.get("u7").await.unwrap().as_deref(), Some("name-7;other;"));
    until("join and lookup show the change", async || {
        questions.emit("u7", &"u7".to_owned()).await.unwrap();
        questions.flush().await.unwrap();
        env.drained(group, asked).await;
        answers(&env, output).await.get("u7").is_some_and(|answer| answer == "other/other")
    })
    .await;
    processor.stop().await.unwrap();

    // And again from what each has stored.
    let processor = start(graph(group, users, asked, output), config());
    processor.ready().await;
    questions.emit("u8", &"u7".to_owned()).await.unwrap();
    questions.finish().await.unwrap();
    env.drained(group, asked).await;
    assert_eq!(answers(&env, output).await["u8"], "name-8/other");
    assert_eq!(processor.handle.get("u7").await.unwrap().as_deref(), Some("name-7;other;"));
    processor.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_consumed_joined_and_looked_up_at_once() {
    every_role_sees_every_row(StoreKind::Sled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_local_stores_too() {
    every_role_sees_every_row(StoreKind::Memory).await;
}
