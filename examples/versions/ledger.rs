//! A producer and two members of a group that run while the cluster is upgraded, and the ledger of what became of each record.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use roka::{Result, shutdown_signal};
use roka_client::Client;
use roka_client::consumer::{Chunk, ConsumerConfig, Decompressor};
use roka_client::producer::{ProducerConfig, RecordRef};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::common::stream;
use crate::{PARTITIONS, too_old};

/// How long the last records may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was read.
#[derive(Default)]
struct Seen {
    /// Per number the partition and offset at which it stands.
    places: HashMap<u64, (i32, i64)>,
    /// Records of which a second copy stands in the log.
    copies: u64,
    /// Records that were read again, from the same place: a group does that when a commit was late.
    again: u64,
    /// Per partition, the last number.
    last: HashMap<i32, u64>,
    /// Records that stand behind a later one of their partition.
    disordered: u64,
    longest_gap: Duration,
}

impl Seen {
    fn add(&mut self, partition: i32, offset: i64, number: u64) {
        match self.places.insert(number, (partition, offset)) {
            Some(place) if place == (partition, offset) => self.again += 1,
            Some(_) => self.copies += 1,
            None => {
                let last = self.last.entry(partition).or_default();
                self.disordered += u64::from(*last > number);
                *last = number.max(*last);
            }
        }
    }
}

/// Runs until it is told to stop, reads what is left, and fails if the ledger does not add up.
pub async fn run(writer: &Client, readers: &[Client], topic: &str, rate: u64) -> Result {
    match writer.admin().create_topic(stream(topic, PARTITIONS)).await {
        Err(error) if !error.is_topic_exists() && !too_old(&error) => return Err(error.into()),
        _ => {}
    }
    let (found, mut records) = mpsc::channel(1024);
    let mut members = Vec::new();
    for client in readers {
        members.push(tokio::spawn(read(client.clone(), topic.to_owned(), found.clone())));
    }
    drop(found);
    let sent = Arc::new(AtomicU64::new(0));
    let mut writing = tokio::spawn(write(writer.clone(), topic.to_owned(), rate, sent.clone()));
    println!("ledger: running");

    let mut seen = Seen::default();
    let (mut last, mut told) = (Instant::now(), Instant::now());
    let mut written = None;
    let mut until = None;
    loop {
        let over = until.is_some_and(|until| Instant::now() > until);
        if over || written.is_some_and(|count| seen.places.len() as u64 >= count) {
            break;
        }
        tokio::select! {
            found = records.recv() => {
                let Some((partition, offset, number)) = found else { break };
                seen.longest_gap = seen.longest_gap.max(last.elapsed());
                last = Instant::now();
                seen.add(partition, offset, number);
            }
            count = &mut writing, if written.is_none() => {
                written = Some(count??);
                until = Some(Instant::now() + PATIENCE);
            }
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            println!("{} sent, {} read", sent.load(Ordering::Relaxed), seen.places.len());
        }
    }
    for member in members {
        if member.is_finished() {
            member.await??;
        } else {
            member.abort();
        }
    }
    let acknowledged = written.ok_or("the readers ended before the writer")?;
    let lost = (0..acknowledged).filter(|number| !seen.places.contains_key(number)).count();
    println!(
        "ledger: {acknowledged} acknowledged, {lost} lost, {} twice in the log, {} out of order, {} read again, longest gap {:.1} s",
        seen.copies,
        seen.disordered,
        seen.again,
        seen.longest_gap.as_secs_f64()
    );
    if lost > 0 || seen.copies > 0 || seen.disordered > 0 {
        return Err("the ledger does not add up".into());
    }
    Ok(())
}

/// Numbers, one after the other, until the program is told to stop. Gives how many: all of them are acknowledged.
async fn write(client: Client, topic: String, rate: u64, sent: Arc<AtomicU64>) -> Result<u64> {
    let producer = client.producer(ProducerConfig::default())?;
    let topic = producer.topic(&topic).await?;
    let mut every = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate.max(1))?);
    every.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut stop = std::pin::pin!(shutdown_signal());
    let mut number = 0;
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = every.tick() => {
                let (partition, value) = (number % PARTITIONS as u64, number.to_be_bytes());
                topic.send(partition as i32, RecordRef::value(&value)).await?;
                number += 1;
                sent.store(number, Ordering::Relaxed);
            }
        }
    }
    // Fails if any record was not acknowledged.
    producer.flush().await?;
    producer.close().await?;
    Ok(number)
}

/// Reads as a member of the group, for ever.
async fn read(client: Client, topic: String, found: mpsc::Sender<(i32, i64, u64)>) -> Result {
    let config = ConsumerConfig::new(format!("{topic}-readers"), [topic]);
    let mut consumer = client.consumer(config.auto_commit(Duration::from_millis(500)))?;
    let mut decompressor = Decompressor::new();
    loop {
        let chunk = consumer.recv().await?;
        for record in numbers(&chunk, &mut decompressor)? {
            if found.send(record).await.is_err() {
                return Ok(());
            }
        }
    }
}

fn numbers(chunk: &Chunk, decompressor: &mut Decompressor) -> Result<Vec<(i32, i64, u64)>> {
    let mut numbers = Vec::new();
    let partition = chunk.partition().partition;
    chunk.for_each(decompressor, |record| {
        if let Some(bytes) = record.value.and_then(|value| value.try_into().ok()) {
            numbers.push((partition, record.offset, u64::from_be_bytes(bytes)));
        }
    })?;
    Ok(numbers)
}
