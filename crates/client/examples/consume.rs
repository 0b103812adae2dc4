//! Reads a topic from its beginning as fast as it comes, then says how fast that was.
//!
//!     cargo run --release -p roka-client --example consume -- --records 2000000
//!
//! Without `--brokers host:port,...` it starts a cluster of its own, in this process, and fills the topic first.
//! `--topic NAME` (default `consume-example`). `--group NAME` reads as a member of that group and commits; without it
//! all partitions are fetched without a group.

use std::{
    error::Error,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use roka_broker::Cluster;
use roka_client::{
    Client, Config, TopicPartition,
    consumer::{
        Chunk, ConsumerConfig, Decompressor, FetchError, FetchEvent, FetcherConfig, Record,
        ResetPolicy, Start,
    },
    producer::{ProducerConfig, RecordRef, TrySendError},
};

struct Options {
    brokers: Option<String>,
    topic: String,
    group: Option<String>,
    records: u64,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options =
        Options { brokers: None, topic: "consume-example".into(), group: None, records: 1_000_000 };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--brokers" => options.brokers = Some(value),
            "--topic" => options.topic = value,
            "--group" => options.group = Some(value),
            "--records" => options.records = value.parse()?,
            _ => return Err(format!("{name}: not an option").into()),
        }
    }
    Ok(options)
}

/// Writes `records` values of 100 bytes that begin with their number.
async fn fill(client: &Client, topic: &str, records: u64) -> Result<(), Box<dyn Error>> {
    let producer = client.producer(ProducerConfig::default())?;
    let topic = producer.topic(topic).await?;
    for i in 0..records {
        let value = format!("{{\"seq\":\"{i:012}\",\"note\":\"{:.>71}\"}}", "");
        let record = RecordRef::value(value.as_bytes());
        match topic.try_send_keyed(record) {
            Ok(_) => {}
            Err(TrySendError::Full { .. }) => drop(topic.send_keyed(record).await?),
            Err(error) => return Err(error.into()),
        }
    }
    producer.close().await?;
    Ok(())
}

/// What is read of the records: their number and the sum of their numbers.
struct Tally {
    records: u64,
    sum: u64,
    wanted: u64,
    decompressor: Decompressor,
    started: Instant,
    cpu: f64,
    told: Instant,
}

impl Tally {
    fn new(wanted: u64) -> Self {
        let now = Instant::now();
        let decompressor = Decompressor::new();
        Self { records: 0, sum: 0, wanted, decompressor, started: now, cpu: 0.0, told: now }
    }

    /// Counts a chunk; breaks when all is read.
    fn add(&mut self, chunk: &Chunk) -> Result<ControlFlow<()>, FetchError> {
        if self.records == 0 {
            (self.started, self.cpu) = (Instant::now(), cpu_seconds());
        }
        let (mut records, mut sum) = (0, 0);
        chunk.for_each(&mut self.decompressor, |record| {
            records += 1;
            sum += number(&record);
        })?;
        self.records += records;
        self.sum += sum;
        if self.told.elapsed() > Duration::from_secs(1) {
            self.told = Instant::now();
            println!("{:>10} records", self.records);
        }
        Ok(if self.records < self.wanted {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    }

    fn report(&self, own_cluster: bool) {
        let (seconds, cpu) = (self.started.elapsed().as_secs_f64(), cpu_seconds() - self.cpu);
        println!(
            "{} records, sum {}, in {seconds:.2} s: {:.0} records/s, {:.2} CPU s per million{}",
            self.records,
            self.sum,
            self.records as f64 / seconds,
            cpu * 1e6 / self.records as f64,
            if own_cluster { ", the cluster's own included" } else { "" },
        );
    }
}

/// The twelve digits after `{"seq":"`.
fn number(record: &Record<'_>) -> u64 {
    let digits = record.value.and_then(|value| value.get(8..20)).unwrap_or_default();
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

async fn read_alone(client: &Client, topic: &str, tally: &mut Tally) -> Result<(), Box<dyn Error>> {
    let partitions = client.admin().describe_topic(topic).await?.partitions.len();
    let fetcher = client.fetcher(FetcherConfig::default())?;
    let queue = fetcher.queue(32 << 20);
    for partition in 0..partitions {
        let partition = TopicPartition::new(topic, partition as i32);
        fetcher.assign(partition, Start::Earliest, ResetPolicy::Fail, &queue, 0);
    }
    while let Some(event) = queue.recv().await {
        match event {
            FetchEvent::Data(chunk) if tally.add(&chunk)?.is_break() => break,
            FetchEvent::Failed { error, .. } => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

async fn read_in_group(
    client: &Client,
    group: &str,
    topic: &str,
    tally: &mut Tally,
) -> Result<(), Box<dyn Error>> {
    let mut consumer = client.consumer(ConsumerConfig::new(group, [topic]))?;
    while tally.add(&consumer.recv().await?)?.is_continue() {}
    consumer.close().await?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // RUST_LOG=roka_client=debug shows what the client does.
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let options = options()?;
    let cluster = match &options.brokers {
        Some(_) => None,
        None => Some(Cluster::builder().nodes(3).start().await?),
    };
    let brokers = options.brokers.clone().or_else(|| cluster.as_ref().map(Cluster::bootstrap));
    let client = Client::new(Config::new(brokers.unwrap_or_default()))?;
    if let Some(cluster) = &cluster {
        cluster.create_topic(&options.topic, 6, 3)?;
        println!("writing {} records ...", options.records);
        fill(&client, &options.topic, options.records).await?;
    }
    let mut tally = Tally::new(options.records);
    println!("reading {} records of {} ...", options.records, options.topic);
    match &options.group {
        Some(group) => read_in_group(&client, group, &options.topic, &mut tally).await?,
        None => read_alone(&client, &options.topic, &mut tally).await?,
    }
    tally.report(cluster.is_some());
    client.close().await;
    Ok(())
}

/// CPU time of this process in seconds, where the system tells it (Linux; a tick is 10 ms there), else 0.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
