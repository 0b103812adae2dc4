//! Local state that was away for longer than its changelog keeps tombstones: deleted rows do not come back.
//!
//! Only on the embedded cluster, which compacts when it is told to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Env, start, stream, until};
use roka::{Config, Emitter, Group, GroupGraph, StoreKind, Table, View};

const KEYS: u64 = 100;

/// Keeps the last message of each key; an empty one deletes the row.
fn keeper(group: &str, input: &str) -> GroupGraph<String, String> {
    let mut graph = Group::<String, String>::json("").renamed(group).graph();
    graph.input(stream(input), |ctx, message: String| {
        if message.is_empty() {
            ctx.delete();
            return Ok(());
        }
        ctx.set_value(&message)
    });
    graph
}

/// Sends a message to each of the keys, and has it processed with the local state in `config`. How many rows were read
/// back before.
async fn processed(
    env: &Env,
    [group, input]: [&str; 2],
    config: Config,
    keys: impl Iterator<Item = u64>,
    message: &str,
) -> u64 {
    let messages = Emitter::new(stream(input), &env.memory()).await.unwrap();
    for n in keys {
        messages.emit(&format!("key-{n}"), &message.to_owned()).await.unwrap();
    }
    messages.finish().await.unwrap();
    let processor = start(keeper(group, input), config);
    processor.ready().await;
    env.drained(group, input).await;
    let recovered = processor.handle.stats().totals.recovered;
    processor.stop().await.unwrap();
    recovered
}

/// Compacts until the changelog has no tombstone any more.
async fn forget_tombstones(env: &Env, table: &str) {
    let cluster = env.cluster.as_ref().unwrap();
    until("the tombstones are gone", async || {
        cluster.compact(table).unwrap();
        env.records(table).await.iter().all(|record| record.value.is_some())
    })
    .await;
}

async fn deleted_rows_stay_away(store: StoreKind) {
    let env = Env::new();
    if env.cluster.is_none() {
        return;
    }
    let (group, input) = (env.name("keeper"), env.name("in"));
    let (names, table) = ([&*group, &*input], format!("{group}-table"));
    env.topic(&input, 2).await;
    let settings = [("cleanup.policy", "compact"), ("delete.retention.ms", "100")];
    env.topic_with(&table, 2, &settings).await;
    let config = |folder: &str| Config { store, ..env.config(folder) };
    let view = || Table::<String, String>::json("").renamed(&*table);

    // Somebody has all rows, and a view too.
    processed(&env, names, config("old"), 0..KEYS, "here").await;
    let seen = View::new(view(), &config("view")).unwrap();
    seen.wait_ready().await.unwrap();
    assert_eq!(seen.iter().unwrap().count(), KEYS as usize);
    seen.close().await;

    // While they are away, others delete half of the rows, and the changelog forgets that.
    processed(&env, names, config("new"), (0..KEYS).step_by(2), "").await;
    forget_tombstones(&env, &table).await;

    let recovered = processed(&env, names, config("old"), 1..2, "again").await;
    assert!(recovered >= KEYS / 2, "all rows that are left are read back: {recovered}");
    let processor = start(keeper(&group, &input), config("old"));
    processor.ready().await;
    for n in 0..KEYS {
        let row = processor.handle.get(&format!("key-{n}")).await.unwrap();
        assert_eq!(row.is_some(), n % 2 == 1, "key-{n}: {row:?}");
    }
    processor.stop().await.unwrap();
    let seen = View::new(view(), &config("view")).unwrap();
    seen.wait_ready().await.unwrap();
    assert_eq!(seen.iter().unwrap().count(), KEYS as usize / 2);
    seen.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_rows_do_not_come_back_from_sled() {
    deleted_rows_stay_away(StoreKind::Sled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_from_a_log() {
    deleted_rows_stay_away(StoreKind::Log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_is_young_enough_is_read_on() {
    let env = Env::new();
    let (group, input) = (env.name("keeper"), env.name("in"));
    let names = [&*group, &*input];
    env.topic(&input, 2).await;
    processed(&env, names, env.config("old"), 0..KEYS, "here").await;
    processed(&env, names, env.config("new"), (0..KEYS).step_by(2), "").await;
    // The tombstones are there, and nothing else is read.
    assert_eq!(processed(&env, names, env.config("old"), 1..2, "again").await, KEYS / 2);
    let processor = start(keeper(&group, &input), env.config("old"));
    processor.ready().await;
    assert_eq!(processor.handle.get("key-0").await.unwrap(), None);
    assert_eq!(processor.handle.get("key-1").await.unwrap().as_deref(), Some("again"));
    processor.stop().await.unwrap();
}
