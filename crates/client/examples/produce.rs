//! Writes records as fast as the cluster takes them, then says how fast that was.
//!
//!     cargo run --release -p roka-client --example produce -- --records 2000000 --compression lz4
//!
//! Without `--brokers host:port,...` it starts a cluster of its own, in this process. `--topic NAME` (default
//! `produce-example`) is created with 6 partitions if it is not there. `--batch-bytes` and `--linger-ms` change how
//! records are batched.

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

use roka_broker::Cluster;
use roka_client::admin::NewTopic;
use roka_client::producer::{Compression, ProducerConfig, RecordRef, TrySendError};
use roka_client::{Client, Config, ErrorCode};

struct Options {
    brokers: Option<String>,
    topic: String,
    records: u64,
    config: ProducerConfig,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        brokers: None,
        topic: "produce-example".into(),
        records: 1_000_000,
        config: ProducerConfig::default(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--brokers" => options.brokers = Some(value),
            "--topic" => options.topic = value,
            "--records" => options.records = value.parse()?,
            "--compression" => {
                options.config.compression = Compression::from_name(&value)
                    .ok_or("--compression: none, gzip, snappy, lz4 or zstd")?;
            }
            "--batch-bytes" => options.config.batch_bytes_max = value.parse()?,
            "--linger-ms" => options.config.linger = Duration::from_millis(value.parse()?),
            _ => return Err(format!("{name}: not an option").into()),
        }
    }
    Ok(options)
}

async fn create(client: &Client, name: &str, replicas: i16) -> Result<(), Box<dyn Error>> {
    let topic = NewTopic::new(name, 6, replicas);
    match client.admin().create_topic(topic).await {
        Ok(_) => Ok(()),
        // Before 0.10.1 a topic is created by asking for it, if the broker is configured so.
        Err(error)
            if error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS)
                || matches!(error, roka_client::Error::BrokerTooOld { .. }) =>
        {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let cluster = match &options.brokers {
        Some(_) => None,
        None => Some(Cluster::builder().nodes(3).start().await?),
    };
    let brokers = options.brokers.or_else(|| cluster.as_ref().map(Cluster::bootstrap));
    let client = Client::new(Config::new(brokers.unwrap_or_default()))?;
    let nodes = client.refresh_metadata().await?.brokers.len().min(3);
    create(&client, &options.topic, nodes as i16).await?;

    let producer = client.producer(options.config)?;
    let topic = producer.topic(&options.topic).await?;
    println!("{} records of 100 bytes to {} ...", options.records, topic.name());
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let mut told = started;
    let mut value = Vec::with_capacity(100);
    for i in 0..options.records {
        value.clear();
        write!(value, r#"{{"seq":"{i:012}","rnd":"{:016x}","type":"order"}}"#, mix(i))?;
        value.resize(100, b'.');
        let record = RecordRef::value(&value);
        // Waiting is the exception: the fast way needs no future.
        match topic.try_send_keyed(record) {
            Ok(_) => {}
            Err(TrySendError::Full { .. }) => drop(topic.send_keyed(record).await?),
            Err(error) => return Err(error.into()),
        }
        if i % 100_000 == 0 && told.elapsed() > Duration::from_secs(1) {
            told = Instant::now();
            println!("{i:>10} records, {} bytes on their way", producer.buffered_bytes());
        }
    }
    producer.flush().await?;
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "all acknowledged after {seconds:.2} s: {:.0} records/s, {:.2} CPU s per million{}",
        options.records as f64 / seconds,
        cpu * 1e6 / options.records as f64,
        if cluster.is_some() { ", the cluster's own included" } else { "" },
    );
    for partition in 0..topic.partitions() {
        if let Some(offset) = topic.acked_offset(partition) {
            println!("partition {partition}: acknowledged up to offset {offset}");
        }
    }
    producer.close().await?;
    Ok(())
}

/// A well-spread number, as random text does not compress.
fn mix(i: u64) -> u64 {
    let x = (i ^ (i >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
}

/// CPU time of this process in seconds, where the system tells it (Linux; a tick is 10 ms there), else 0.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
