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
/// Records that wait when a child is started; it takes a millisecond for each.
const BACKLOG: i64 = 3000;
const CHILD: &str = "ROKA_TEST_CHILD";

/// Counts; `pause` is how long each record takes, so that kills hit in the middle of the work.
fn counter(group: &str, inputs: [&str; 2], pause: Duration) -> GroupGraph<String, u64> {
    let mut graph = Group::<String, u64>::of("", &DecimalInt).renamed(group).graph();
    for (input, amount) in inputs.into_iter().zip([1, 1000]) {
        graph.input(stream(input), move |ctx, _: String| {
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
            ctx.update(|count| *count += amount)
        });
    }
    graph
}

/// Not a test of its own: the process that is killed. Does nothing unless the test below starts it.
#[tokio::test]
async fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let [brokers, group, input, other, folder, store] = told.split('|').collect::<Vec<_>>()[..]
    else {
        panic!("{told}")
    };
    let config = Config {
        state_dir: PathBuf::from(folder),
        replication: 3,
        workers: 2,
        commit_interval: Duration::from_millis(20),
        store_interval: Duration::from_millis(200),
        store: if store == "log" { StoreKind::Log } else { StoreKind::Sled },
        ..static_member(Config::new(brokers.split(',')))
    };
    common::show_logs();
    let graph = counter(group, [input, other], Duration::from_millis(1));
    let processor = roka::Processor::new(graph, config).unwrap();
    processor.run_until(std::future::pending()).await.unwrap();
}

/// A member that was killed comes back as itself: no waiting for its session to end.
fn static_member(config: Config) -> Config {
    let session_timeout = Duration::from_secs(60);
    Config { instance_id: Some("the-one".to_owned()), session_timeout, ..config }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

struct Names {
    group: String,
    input: String,
    other: String,
}

impl Names {
    fn inputs(&self) -> [&str; 2] {
        [&self.input, &self.other]
    }

    /// How many records the group has not committed.
    async fn lag(&self, env: &Env) -> i64 {
        env.lag(&self.group, &self.input).await + env.lag(&self.group, &self.other).await
    }
}

fn spawn(env: &Env, names: &Names, store: &str) -> Killed {
    let Names { group, input, other } = names;
    let folder = env.folder.path().join("state");
    let brokers = env.brokers().join(",");
    let told = [&*brokers, group, input, other, folder.to_str().unwrap(), store].join("|");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, told)
        .stdout(Stdio::null())
        .spawn();
    Killed(child.unwrap())
}

async fn killed(kind: StoreKind, store: &str) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let env = Env::new();
    let names =
        Names { group: env.name("counter"), input: env.name("one"), other: env.name("thousand") };
    let table = format!("{}-table", names.group);
    for input in names.inputs() {
        env.topic(input, 4).await;
    }
    let one = Emitter::new(stream(&names.input), &env.config("emitter")).await.unwrap();
    let thousand = Emitter::new(stream(&names.other), &env.config("emitter")).await.unwrap();

    if let Some(cluster) = &env.cluster {
        // Most kills then come between the rows of a commit and its offsets, where an input could count twice.
        cluster.delay(ApiKey::OffsetCommit, Duration::from_millis(100), u32::MAX);
    }
    let mut truth: BTreeMap<String, u64> = BTreeMap::new();
    let mut in_work = 0;
    for kill in 0..KILLS {
        // More than a child gets done before it is killed.
        for _ in names.lag(&env).await..BACKLOG {
            let key = format!("key-{}", rng.u32(0..200));
            let (emitter, amount) = if rng.bool() { (&one, 1) } else { (&thousand, 1000) };
            emitter.emit(&key, &"x".to_owned()).await.unwrap();
            *truth.entry(key).or_default() += amount;
        }
        one.flush().await.unwrap();
        thousand.flush().await.unwrap();
        let before = names.lag(&env).await;
        let child = spawn(&env, &names, store);
        // Nearly all are killed at work, some before they have begun.
        if rng.u32(0..10) > 0 {
            common::until("the child commits", async || names.lag(&env).await < before).await;
        }
        let lives = Duration::from_millis(rng.u64(0..400));
        tokio::time::sleep(lives).await;
        drop(child);
        let lag = names.lag(&env).await;
        println!("kill {kill} after {lives:?}, lag {before} to {lag}");
        in_work += usize::from((1..before).contains(&lag));
    }
    assert!(in_work >= KILLS / 2, "{in_work} of {KILLS} kills hit a child at work");
    one.finish().await.unwrap();
    thousand.finish().await.unwrap();

    // The last one lives, with the local state of those that were killed.
    let config = static_member(Config { store: kind, ..env.config("state") });
    let processor = start(counter(&names.group, names.inputs(), Duration::ZERO), config);
    processor.ready().await;
    for input in names.inputs() {
        env.drained(&names.group, input).await;
    }

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

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_lose_nothing_and_count_nothing_twice() {
    killed(StoreKind::Sled, "sled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_with_the_log_store() {
    killed(StoreKind::Log, "log").await;
}
