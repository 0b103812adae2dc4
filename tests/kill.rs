//! A processor that is killed at any moment, with SIGKILL, twenty times: no input is lost, none counts twice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use common::{Env, start, stream};
use roka::{Config, DecimalInt, Emitter, Group, GroupGraph, StoreKind};
use roka_client::ApiKey;

const KILLS: usize = 20;
const CHILD: &str = "ROKA_TEST_CHILD";

fn counter(group: &str, input: &str, other: &str) -> GroupGraph<String, u64> {
    let mut graph = Group::<String, u64>::of("", &DecimalInt).renamed(group).graph();
    graph.input(stream(input), |ctx, _: String| ctx.update(|count| *count += 1));
    graph.input(stream(other), |ctx, _: String| ctx.update(|count| *count += 1000));
    graph
}

/// Not a test of its own: the process that is killed. Does nothing unless the test below starts it.
#[tokio::test]
async fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let [brokers, group, input, other, folder] = told.split('|').collect::<Vec<_>>()[..] else {
        panic!("{told}")
    };
    let config = Config {
        state_dir: PathBuf::from(folder),
        replication: 3,
        workers: 2,
        commit_interval: Duration::from_millis(20),
        store_interval: Duration::from_millis(200),
        session_timeout: Duration::from_secs(6),
        // A member that was killed comes back as itself: no waiting for its session to end.
        instance_id: Some("the-one".to_owned()),
        ..Config::new(brokers.split(','))
    };
    common::show_logs();
    let processor = roka::Processor::new(counter(group, input, other), config).unwrap();
    processor.run_until(std::future::pending()).await.unwrap();
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn spawn(env: &Env, names: [&str; 3]) -> Killed {
    let [group, input, other] = names;
    let folder = env.folder.path().join("state");
    let told = [&env.brokers().join(","), group, input, other, folder.to_str().unwrap()].join("|");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, told)
        .stdout(Stdio::null())
        .spawn();
    Killed(child.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_lose_nothing_and_count_nothing_twice() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let env = Env::new();
    let (group, input, other) = (env.name("counter"), env.name("one"), env.name("thousand"));
    let table = format!("{group}-table");
    env.topic(&input, 4).await;
    env.topic(&other, 4).await;
    let one = Emitter::new(stream(&input), &env.config("emitter")).await.unwrap();
    let thousand = Emitter::new(stream(&other), &env.config("emitter")).await.unwrap();

    if let Some(cluster) = &env.cluster {
        // Most kills then come between the rows of a commit and its offsets, where an input could count twice.
        cluster.delay(ApiKey::OffsetCommit, Duration::from_millis(100), u32::MAX);
    }
    let mut truth: BTreeMap<String, u64> = BTreeMap::new();
    for kill in 0..KILLS {
        let child = spawn(&env, [&group, &input, &other]);
        let lives = Duration::from_millis(rng.u64(300..1500));
        let until = std::time::Instant::now() + lives;
        while std::time::Instant::now() < until {
            for _ in 0..50 {
                let key = format!("key-{}", rng.u32(0..200));
                let (emitter, amount) = if rng.bool() { (&one, 1) } else { (&thousand, 1000) };
                emitter.emit(&key, &"x".to_owned()).await.unwrap();
                *truth.entry(key).or_default() += amount;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        println!("kill {kill} after {lives:?}, lag {}", env.lag(&group, &input).await);
        drop(child);
    }
    one.finish().await.unwrap();
    thousand.finish().await.unwrap();

    // The last one lives, with the local state of those that were killed.
    let config = Config { store: StoreKind::Sled, ..env.config("state") };
    let config = Config { instance_id: Some("the-one".to_owned()), ..config };
    let processor = start(counter(&group, &input, &other), config);
    processor.ready().await;
    env.drained(&group, &input).await;
    env.drained(&group, &other).await;

    let expected: BTreeMap<String, String> =
        truth.iter().map(|(key, count)| (key.clone(), count.to_string())).collect();
    assert_eq!(env.table(&table).await, expected, "the changelog, seed {seed}");
    for (key, count) in &truth {
        let row = processor.handle.get(key).await.unwrap();
        assert_eq!(row, Some(*count), "the table, key {key}, seed {seed}");
    }
    println!("{:?}", processor.handle.stats().totals);
    processor.stop().await.unwrap();
}
