//! A messaging service in four steps, after Goka's example of the same name.
//!
//! ```text
//! load ─ sent ─┬─ filter ─ received ─ collector   1 keeps each user's last messages
//!              │   │  └ lookup: translator's table 3 replaces words
//!              │   └ join: blocker's table ◂┐      2 drops what blocked users send
//!              └─ detector ─ blocks ─ blocker      4 finds out who sends spam
//! ```
//!
//! Everybody writes to everybody, one user too much. Run it with `cargo run --example messaging`.
#![allow(unreachable_pub, reason = "`pub` is what these files would say in a library")]

mod blocker;
mod collector;
#[path = "../common/mod.rs"]
mod common;
mod detector;
mod filter;
mod load;
mod message;
mod pipeline;
mod report;
mod translator;

use std::{pin::pin, time::Duration};

use clap::Parser;
use roka::{Config, Emitter, Result, shutdown_signal};
use tokio::{
    task::JoinHandle,
    time::{Instant, interval, interval_at, sleep},
};

use crate::{
    blocker::BLOCKER,
    common::{Kafka, Where, stream, table},
    load::Load,
    message::{BLOCKS, RECEIVED, SENT, WORDS},
    pipeline::Pipeline,
    report::Report,
    translator::TRANSLATOR,
};

/// What is joined must have as many partitions as the input it is joined to.
const PARTITIONS: i32 = 4;
const SECOND: Duration = Duration::from_secs(1);
const BETWEEN_MESSAGES: Duration = Duration::from_millis(5);
/// How long the last messages may take through the pipeline.
const LAST_MESSAGES: Duration = Duration::from_secs(5);

/// A messaging service: collects, blocks, translates, and detects spam.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    place: Where,
    /// For how many seconds messages are sent.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// The same seed sends the same messages.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> Result {
    let options = Options::parse();
    let mut interrupted = tokio::spawn(shutdown_signal());
    let kafka = Kafka::start(&options.place)?;
    // Views show what is committed: often, so that there is something to see.
    let config = Config { commit_interval: Duration::from_millis(200), ..kafka.config.clone() };

    let (pipeline, report) = tokio::select! {
        started = start(&kafka, &config) => started?,
        _ = &mut interrupted => return Ok(()),
    };
    let service = Service { config, pipeline, report };
    let sent = service.run(&options, &mut interrupted).await;
    service.end(sent).await
}

struct Service {
    config: Config,
    pipeline: Pipeline,
    report: Report,
}

/// Makes the topics, then starts what works on them.
async fn start(kafka: &Kafka, config: &Config) -> Result<(Pipeline, Report)> {
    let topics = [
        stream(SENT.topic(), PARTITIONS),
        stream(RECEIVED.topic(), PARTITIONS),
        stream(BLOCKS.topic(), PARTITIONS),
        stream(WORDS.topic(), PARTITIONS),
        // Groups make their tables. These are made here, as the filter may look for them before.
        table(BLOCKER.table().topic(), PARTITIONS),
        table(TRANSLATOR.table().topic(), PARTITIONS),
    ];
    kafka.make_topics(topics).await?;

    let pipeline = Pipeline::start(config).await?;
    let report = Report::open(config).await?;
    Ok((pipeline, report))
}

impl Service {
    /// Sends messages until the time is over or somebody presses Ctrl-C; how many.
    async fn run(&self, options: &Options, interrupted: &mut JoinHandle<()>) -> Result<u64> {
        let words = Emitter::new(WORDS, &self.config).await?;
        for (word, instead) in load::WORDS {
            words.emit(word, &instead.to_owned()).await?;
        }
        words.finish().await?;

        let messages = Emitter::new(SENT, &self.config).await?;
        let (mut load, mut sent) = (Load::new(options.seed), 0);
        let mut next = interval(BETWEEN_MESSAGES);
        let mut second = interval_at(Instant::now() + SECOND, SECOND);
        let mut end = pin!(sleep(SECOND * options.seconds));
        while !self.pipeline.is_broken() {
            tokio::select! {
                _ = &mut *interrupted => break,
                () = &mut end => break,
                _ = second.tick() => self.report.progress(sent)?,
                _ = next.tick() => {
                    let message = load.message();
                    messages.emit(&message.from, &message).await?;
                    sent += 1;
                }
            }
        }
        messages.finish().await?;
        Ok(sent)
    }

    /// Lets the last messages arrive, stops the processors in order, and tells how it went.
    async fn end(self, sent: Result<u64>) -> Result {
        if let Ok(sent) = sent {
            self.report.wait_for(sent, LAST_MESSAGES).await?;
        }
        self.pipeline.stop().await?;
        self.report.progress(sent?)?;
        self.report.summary()?;
        self.report.close().await;
        Ok(())
    }
}
