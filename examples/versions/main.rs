//! What works on a Kafka cluster, and in which versions of the protocol.
//!
//! `cargo run --example versions -- --brokers host:port` goes through topics, producing, consuming with a group,
//! administration and a processor, and prints a line for each: `works`, or what is too old for it. With `--ledger` it produces and
//! consumes until it gets SIGTERM, then says whether anything was lost: for upgrades under load. `.ci/versions` runs it on one
//! version of Kafka after the other; nothing is set for any of them.

#![allow(unreachable_pub, reason = "`pub` is what these files would say in a library")]

#[path = "../common/mod.rs"]
mod common;
mod ledger;
mod probe;
mod process;

use std::collections::BTreeSet;

use clap::Parser;
use common::{Kafka, Where, stream};
use roka::Result;
use roka_client::{ApiKey, Client, Config, Error};

/// The partitions of each topic.
const PARTITIONS: i32 = 4;
/// The topics that are used; the last one is the processor's table.
const TOPICS: [&str; 3] = ["versions-probe", "versions-words", "versions-counts-table"];
/// The APIs that are told about in any case.
const APIS: [ApiKey; 18] = [
    ApiKey::ApiVersions,
    ApiKey::Metadata,
    ApiKey::Produce,
    ApiKey::InitProducerId,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::OffsetForLeaderEpoch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::SyncGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::CreateTopics,
    ApiKey::ListGroups,
    ApiKey::DescribeGroups,
    ApiKey::DescribeConfigs,
];

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    place: Where,
    /// Produces and consumes until SIGTERM or Ctrl-C, then tells what was lost.
    #[arg(long)]
    ledger: bool,
    /// Records per second of the ledger.
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// The topic of the ledger; made if it is not there.
    #[arg(long, default_value = "versions-ledger")]
    topic: String,
}

#[tokio::main]
async fn main() -> Result {
    let options = Options::parse();
    let kafka = Kafka::start(&options.place)?;
    let client = Client::new(Config::new(kafka.config.brokers.join(",")))?;
    // The ledger's readers have clients of their own.
    let mut clients = vec![client];
    if options.ledger {
        for _ in 0..2 {
            clients.push(Client::new(Config::new(kafka.config.brokers.join(",")))?);
        }
    }
    let done = match &*clients {
        [client] => table(&kafka, client).await,
        [writer, readers @ ..] => ledger::run(writer, readers, &options.topic, options.rate).await,
        [] => Ok(()),
    };
    used(&clients);
    for client in clients {
        client.close().await;
    }
    done
}

/// The lines of the table.
async fn table(kafka: &Kafka, client: &Client) -> Result {
    let admin = client.admin();
    let mut made = Ok(());
    for topic in TOPICS.iter().take(2) {
        let new = stream(topic, PARTITIONS);
        match admin.create_topic(new).await {
            Err(error) if error.is_topic_exists() => {}
            done => made = made.and(done.map(drop)),
        }
    }
    say("create topics", made);
    say("produce", probe::produce(client).await);
    say("record headers", probe::headers(client).await);
    say("consume in a group", probe::consume(client).await);
    for (name, done) in probe::administration(client).await {
        say(name, done);
    }
    say("processor", process::run(kafka).await);
    Ok(())
}

/// A line: what was tried, and what came of it.
fn say<E: std::fmt::Display>(what: &str, outcome: std::result::Result<(), E>) {
    match outcome {
        Ok(()) => println!("{what}: works"),
        Err(error) => println!("{what}: {error}"),
    }
}

/// The versions that were used, an API a line.
fn used(clients: &[Client]) {
    let counters: Vec<_> = clients.iter().map(Client::counters).collect();
    for api in APIS {
        let versions: BTreeSet<_> = counters.iter().flat_map(|it| it.api(api).versions()).collect();
        let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
        let versions = if versions.is_empty() { "-".to_owned() } else { versions.join(",") };
        println!("{api:?}: {versions}");
    }
}

/// Whether the error says that the broker is too old.
fn too_old(error: &Error) -> bool {
    matches!(error, Error::BrokerTooOld { .. })
}
