//! Tables come back: from the local store, without it, and when it is broken or belongs to a log that is gone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Env, start, stream};
use roka::{Config, DecimalInt, Emitter, Group, GroupGraph};

const KEYS: u64 = 500;

fn counter(group: &str, input: &str) -> GroupGraph<String, u64> {
    let mut graph = Group::<String, u64>::of("", &DecimalInt).renamed(group).graph();
    graph.input(stream(input), |ctx, _: String| ctx.update(|count| *count += 1));
    graph
}

/// Sends one message to each key, lets a processor count it, and looks at all rows. How many rows were recovered.
async fn count_once(env: &Env, names: [&str; 2], config: Config, expected: u64) -> u64 {
    let [group, input] = names;
    let words = Emitter::new(stream(input), &env.memory()).await.unwrap();
    for n in 0..KEYS {
        words.emit(&format!("key-{n}"), &"x".to_owned()).await.unwrap();
    }
    words.finish().await.unwrap();
    let processor = start(counter(group, input), config);
    processor.ready().await;
    env.drained(group, input).await;
    for n in 0..KEYS {
        let row = processor.handle.get(&format!("key-{n}")).await.unwrap();
        assert_eq!(row, Some(expected), "key-{n}");
    }
    let recovered = processor.handle.stats().totals.recovered;
    processor.stop().await.unwrap();
    recovered
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_come_back_whatever_is_left_of_the_local_state() {
    let env = Env::new();
    let (group, input) = (env.name("counter"), env.name("words"));
    let names = [&*group, &*input];
    env.topic(&input, 3).await;
    assert_eq!(count_once(&env, names, env.config("a"), 1).await, 0);

    // With the local state of before nothing is read back.
    assert_eq!(count_once(&env, names, env.config("a"), 2).await, 0);

    // Without it, everything.
    assert_eq!(count_once(&env, names, env.config("b"), 3).await, 2 * KEYS);

    // Local state of an earlier time is read forward.
    assert_eq!(count_once(&env, names, env.config("a"), 4).await, KEYS);

    // Only in memory.
    assert_eq!(count_once(&env, names, env.memory(), 5).await, 4 * KEYS);

    // Broken files are replaced.
    let folder = env.config("a").state_dir.join(&group).join(format!("{group}-table"));
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            for file in std::fs::read_dir(path).unwrap() {
                let file = file.unwrap().path();
                if file.is_file() {
                    std::fs::write(file, b"not a store").unwrap();
                }
            }
        }
    }
    assert_eq!(count_once(&env, names, env.config("a"), 6).await, 5 * KEYS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changelog_made_anew_replaces_local_state() {
    let env = Env::new();
    let (group, input) = (env.name("counter"), env.name("words"));
    let names = [&*group, &*input];
    env.topic(&input, 2).await;
    count_once(&env, names, env.config("a"), 1).await;
    env.client.admin().delete_topic(&format!("{group}-table")).await.unwrap();
    // Any broker may answer: so often in a row means all of them.
    let mut denied = 0;
    common::until("the table's topic is gone", async || {
        let topic = env.client.admin().describe_topic(&format!("{group}-table")).await;
        denied = if topic.is_err_and(|error| error.is_unknown_topic()) { denied + 1 } else { 0 };
        denied == 30
    })
    .await;
    // The rows are gone with the topic: the changelog is the truth. The inputs were committed.
    count_once(&env, names, env.config("a"), 1).await;
}
