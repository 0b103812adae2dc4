//! A view shows a whole table: all partitions, in order, also while brokers are away.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{collections::BTreeMap, ops::Bound, time::Duration};

use common::{Env, PATIENCE, until};
use roka::{Config, Emitter, State, StoreKind, Table, View, ViewError};

fn table(topic: &str) -> Table<String, String> {
    Table::text("").renamed(topic)
}

async fn write(env: &Env, topic: &str, rows: &[(String, Option<String>)]) {
    let emitter = Emitter::table(table(topic), &env.config("emitter")).await.unwrap();
    for (key, value) in rows {
        match value {
            Some(value) => emitter.emit(key, value).await.unwrap(),
            None => emitter.emit_tombstone(key).await.unwrap(),
        }
    }
    emitter.finish().await.unwrap();
}

async fn ready(topic: &str, config: &Config) -> View<String, String> {
    let view = View::new(table(topic), config).unwrap();
    tokio::time::timeout(PATIENCE, view.wait_ready()).await.unwrap().unwrap();
    view
}

fn rows(view: &View<String, String>) -> Vec<(String, String)> {
    view.iter().unwrap().collect::<Result<_, _>>().unwrap()
}

fn row(key: &str, value: &str) -> (String, Option<String>) {
    (key.to_owned(), Some(value.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_shows_all_partitions_in_key_order() {
    let env = Env::new();
    let topic = env.name("profiles");
    env.topic_with(&topic, 5, &[("cleanup.policy", "compact")]).await;
    let mut truth = BTreeMap::new();
    let mut changes = vec![];
    for n in 0..2_000 {
        let (key, value) = (format!("key-{:04}", n * 7 % 1_000), format!("value {n}"));
        if n % 10 == 3 {
            truth.remove(&key);
            changes.push((key, None));
        } else {
            truth.insert(key.clone(), value.clone());
            changes.push((key, Some(value)));
        }
    }
    write(&env, &topic, &changes).await;
    for config in [env.memory(), env.config("log"), sled(&env)] {
        let view = ready(&topic, &config).await;
        assert_eq!(rows(&view), truth.clone().into_iter().collect::<Vec<_>>());
        let (key, value) = truth.iter().next().unwrap();
        assert_eq!(view.get(key).unwrap().as_ref(), Some(value));
        assert!(view.has(key).unwrap());
        assert_eq!(view.get("nobody").unwrap(), None);
        let some: Vec<_> = view.prefix("key-02").unwrap().map(|row| row.unwrap().0).collect();
        let wanted = truth.keys().filter(|key| key.starts_with("key-02"));
        assert_eq!(some, wanted.cloned().collect::<Vec<_>>());
        let range = (Bound::Excluded("key-0100"), Bound::Included("key-0200"));
        let some = view.range(range.0, range.1).unwrap().count();
        let range =
            (Bound::Excluded("key-0100".to_owned()), Bound::Included("key-0200".to_owned()));
        assert_eq!(some, truth.range(range).count());
        view.close().await;
    }
}

fn sled(env: &Env) -> Config {
    Config { store: StoreKind::Sled, ..env.config("sled") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_follows_and_goes_on_from_its_local_state() {
    let env = Env::new();
    let topic = env.name("profiles");
    env.topic_with(&topic, 3, &[("cleanup.policy", "compact")]).await;
    write(&env, &topic, &[row("a", "1"), row("b", "1"), row("c", "1")]).await;
    let config = env.config("view");
    let view = ready(&topic, &config).await;
    assert_eq!(rows(&view).len(), 3);
    write(&env, &topic, &[row("a", "2"), ("b".to_owned(), None)]).await;
    until("the view has the changes", async || {
        view.get("a").unwrap().as_deref() == Some("2") && !view.has("b").unwrap()
    })
    .await;
    let clone = view.clone();
    view.close().await;
    assert!(matches!(clone.get("a"), Err(ViewError::Closed { .. })));
    // What changed while there was no view is read on top of what is on disk.
    write(&env, &topic, &[row("d", "1"), ("c".to_owned(), None)]).await;
    let view = ready(&topic, &config).await;
    let expected = [("a", "2"), ("d", "1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(rows(&view), expected);
    view.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_an_empty_table_is_ready() {
    let env = Env::new();
    let topic = env.name("empty");
    env.topic(&topic, 2).await;
    let view = ready(&topic, &env.memory()).await;
    assert_eq!(rows(&view), []);
    assert_eq!(view.state(), State::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_serves_what_it_has_while_brokers_are_away() {
    let env = Env::new();
    // Only the embedded cluster is stopped at will.
    let Some(cluster) = &env.cluster else { return };
    let topic = env.name("profiles");
    env.topic(&topic, 3).await;
    write(&env, &topic, &[row("a", "1"), row("b", "1")]).await;
    let view = ready(&topic, &env.config("view")).await;
    for node in cluster.nodes() {
        cluster.stop(node).unwrap();
    }
    until("the view is stale", async || view.state() == State::Stale).await;
    assert_eq!(rows(&view).len(), 2, "stale, but there");
    assert_eq!(view.get("a").unwrap().as_deref(), Some("1"));
    for node in cluster.nodes() {
        cluster.start(node).unwrap();
    }
    write(&env, &topic, &[row("a", "2")]).await;
    until("the view has caught up", async || {
        view.get("a").unwrap().as_deref() == Some("2") && view.state() == State::Running
    })
    .await;
    view.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_without_its_table_says_so() {
    let env = Env::new();
    let config = env.memory();
    let view = View::new(table(&env.name("nothing")), &config).unwrap();
    let error = tokio::time::timeout(PATIENCE, view.wait_ready()).await.unwrap().unwrap_err();
    assert!(matches!(error, ViewError::Ended(_)), "{error}");
    assert!(error.to_string().contains(&env.name("nothing")), "{error}");

    let away = Config {
        start_timeout: Duration::from_secs(1),
        store: StoreKind::Memory,
        ..Config::new(["127.0.0.1:1"])
    };
    let view = View::new(table("t"), &away).unwrap();
    assert!(matches!(view.get("a"), Err(ViewError::NotReady { .. })));
    let error = tokio::time::timeout(PATIENCE, view.wait_ready()).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}
