//! What the rows share: a processor with input, join, group table and output, under load, and what it must have done.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use roka::{Config, DecimalInt, Emitter, Group, GroupGraph, State, Table};
use roka_broker::Cluster;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::common::{Env, Running, start, stream, text, until};

/// Topics and names of one row.
pub(crate) struct Rig {
    pub(crate) env: Env,
    pub(crate) group: String,
    pub(crate) input: String,
    pub(crate) users: String,
    pub(crate) output: String,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        let env = Env::new();
        let [group, input, users, output] =
            ["counter", "words", "users", "out"].map(|base| env.name(base));
        env.topic(&input, 4).await;
        env.topic(&output, 4).await;
        env.topic_with(&users, 4, &[("cleanup.policy", "compact")]).await;
        let table = Table::<String, String>::text("").renamed(&users);
        let names = Emitter::table(table, &env.memory()).await.unwrap();
        for n in 0..KEYS {
            names.emit(&key(n), &format!("user-{n}")).await.unwrap();
        }
        names.finish().await.unwrap();
        Self { env, group, input, users, output }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        self.env.cluster.as_ref().expect("the scenarios need the embedded cluster")
    }

    /// The topic of the group's table.
    pub(crate) fn table(&self) -> String {
        format!("{}-table", self.group)
    }

    /// All topics with their partitions.
    pub(crate) fn partitions(&self) -> Vec<(String, i32)> {
        let topics = [self.input.clone(), self.users.clone(), self.output.clone(), self.table()];
        topics.into_iter().flat_map(|topic| (0..4).map(move |it| (topic.clone(), it))).collect()
    }

    fn graph(&self) -> GroupGraph<String, u64> {
        let mut graph = Group::<String, u64>::of("", &DecimalInt).renamed(&self.group).graph();
        let users = graph.join(Table::<String, String>::text("").renamed(&self.users));
        let output = graph.output(stream(&self.output));
        graph.input(stream(&self.input), move |ctx, _: String| {
            ctx.update(|count| *count += 1)?;
            let user = ctx.join(users)?.unwrap_or_else(|| "nobody".to_owned());
            ctx.emit(output, ctx.key(), &user)
        });
        graph
    }

    pub(crate) fn start(&self, config: Config) -> Running<String, u64> {
        start(self.graph(), config)
    }

    /// The table's topic holds exactly this, and every record went out at least once, joined.
    pub(crate) async fn check(&self, truth: &BTreeMap<String, u64>) {
        let counts = truth.iter().map(|(key, count)| (key.clone(), count.to_string()));
        assert_eq!(self.env.table(&self.table()).await, counts.collect::<BTreeMap<_, _>>());
        let mut emitted: BTreeMap<String, u64> = BTreeMap::new();
        for record in self.env.records(&self.output).await {
            assert!(text(&record.value.unwrap()).starts_with("user-"), "joined");
            *emitted.entry(text(&record.key.unwrap())).or_default() += 1;
        }
        for (key, count) in truth {
            assert!(emitted.get(key) >= Some(count), "{key}: {:?} of {count}", emitted.get(key));
        }
    }
}

const KEYS: u32 = 50;

fn key(n: u32) -> String {
    format!("key-{n}")
}

/// Records that keep coming.
pub(crate) struct Load {
    ended: Arc<AtomicBool>,
    sender: JoinHandle<BTreeMap<String, u64>>,
}

impl Load {
    pub(crate) async fn start(rig: &Rig) -> Self {
        Self::through(rig, rig.env.memory()).await
    }

    /// With this configuration of the emitter.
    pub(crate) async fn through(rig: &Rig, config: Config) -> Self {
        let words = Emitter::new(stream(&rig.input), &config).await.unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&ended);
        let sender = tokio::spawn(async move {
            let mut truth: BTreeMap<String, u64> = BTreeMap::new();
            while !over.load(Ordering::SeqCst) {
                for _ in 0..5 {
                    let key = key(fastrand::u32(0..KEYS));
                    words.emit(&key, &"x".to_owned()).await.unwrap();
                    *truth.entry(key).or_default() += 1;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            words.finish().await.unwrap();
            truth
        });
        Self { ended, sender }
    }

    /// Ends it; how often each key was written.
    pub(crate) async fn end(self) -> BTreeMap<String, u64> {
        self.ended.store(true, Ordering::SeqCst);
        self.sender.await.unwrap()
    }
}

/// Watches the longest time in which any one partition processed no record.
pub(crate) struct Watch {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// By partition: the records it had processed, and since when.
    partitions: BTreeMap<i32, (u64, Instant)>,
    longest: Duration,
}

impl Seen {
    fn note(&mut self, partition: i32, records: u64) {
        let now = Instant::now();
        let known = self.partitions.entry(partition).or_insert((records, now));
        if known.0 != records {
            *known = (records, now);
        }
        self.longest = self.longest.max(now - known.1);
    }
}

impl Watch {
    pub(crate) fn start(processor: &Running<String, u64>) -> Self {
        let handle = processor.handle.clone();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                for (partition, stats) in handle.stats().partitions {
                    let records = stats.inputs.values().map(|input| input.records).sum();
                    shared.lock().unwrap().note(partition, records);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        Self { seen, task }
    }

    /// The longest pause since the last call.
    pub(crate) fn longest(&self) -> Duration {
        std::mem::take(&mut self.seen.lock().unwrap().longest)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until the processor has committed a few times more.
pub(crate) async fn commits(processor: &Running<String, u64>, what: &str) {
    let before = processor.handle.stats().totals.commits;
    until(what, async || {
        assert_eq!(processor.handle.state(), State::Running, "{what}");
        processor.handle.stats().totals.commits > before + 2
    })
    .await;
}

/// The load ends, all of it is committed, the processor has not ended, the table is exact.
pub(crate) async fn finish(rig: &Rig, processor: Running<String, u64>, load: Load) -> u64 {
    let truth = load.end().await;
    rig.env.drained(&rig.group, &rig.input).await;
    assert_eq!(processor.handle.state(), State::Running);
    rig.check(&truth).await;
    processor.stop().await.unwrap();
    truth.values().sum()
}

/// A name that leads to a broker, as DNS does: an address that stays, and forwards to one that may change.
pub(crate) struct Name {
    pub(crate) address: SocketAddr,
    to: Arc<Mutex<SocketAddr>>,
    task: JoinHandle<()>,
}

impl Name {
    pub(crate) async fn of(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let to = Arc::new(Mutex::new(broker));
        let target = Arc::clone(&to);
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let target = *target.lock().unwrap();
                tokio::spawn(async move {
                    if let Ok(mut broker) = TcpStream::connect(target).await {
                        // Whichever side ends it.
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut broker).await;
                    }
                });
            }
        });
        Self { address, to, task }
    }

    pub(crate) fn move_to(&self, broker: SocketAddr) {
        *self.to.lock().unwrap() = broker;
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.task.abort();
    }
}
