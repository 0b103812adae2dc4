//! emit: a program that only produces, and beside it one that only consumes, while brokers come and go.
//!
//! Keyless records at a steady rate, each with a number, in turn to all partitions of the output topic, until SIGTERM.
//! Another client reads them as a group of one member. At the end all that was acknowledged must have been read, once,
//! and in order. Printed: when acknowledgements and records paused, and for how long.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use roka::shutdown_signal;
use roka_client::{
    Client, Config,
    consumer::{ConsumerConfig, Start},
    producer::{ProduceError, ProducerConfig, Receipt, RecordRef, TopicHandle},
    records::Decompressor,
};
use serde_json::json;
use tokio::{sync::mpsc, task::spawn_local};

use crate::{
    Outcome,
    options::Options,
    pauses::{Arrivals, Epoch},
    report,
    values::{self, Filled},
};

/// Records that are due are sent this often.
const TICK: Duration = Duration::from_millis(2);
/// How long the last records may take to come back.
const DRAIN: Duration = Duration::from_secs(60);

/// What is known of the records, by number.
struct Ledger {
    due: Vec<Instant>,
    acked: Vec<bool>,
    read: Vec<u32>,
    acks: Arrivals,
    reads: Arrivals,
    failed: Vec<String>,
    /// Records that came after one with a higher number of the same partition.
    disordered: u64,
}

impl Ledger {
    fn missing(&self) -> usize {
        self.acked.iter().zip(&self.read).filter(|(acked, read)| **acked && **read == 0).count()
    }

    /// The fate of every record is noted, and all that were acknowledged were read.
    fn is_complete(&self) -> bool {
        let acked = self.acked.iter().filter(|acked| **acked).count();
        acked + self.failed.len() == self.due.len() && self.missing() == 0
    }
}

type Shared = Rc<RefCell<Ledger>>;

pub(crate) async fn run(options: &Options) -> Outcome {
    let client = Client::new(Config::new(&options.bootstrap))?;
    let epoch = Epoch::now();
    let ledger = Rc::new(RefCell::new(Ledger {
        due: Vec::new(),
        acked: Vec::new(),
        read: Vec::new(),
        acks: Arrivals::new(epoch),
        reads: Arrivals::new(epoch),
        failed: Vec::new(),
        disordered: 0,
    }));
    let reading = spawn_local(read(options.bootstrap.clone(), options.output.clone(), {
        let group = format!("{}-reader", options.group);
        (group, ledger.clone())
    }));
    let (producer, began) = (client.producer(ProducerConfig::default())?, Instant::now());
    let topic = producer.topic(&options.output).await?;
    let sent = produce(&topic, options.rate, &ledger).await?;
    producer.close().await?;
    let drained = Instant::now();
    while !ledger.borrow().is_complete() && drained.elapsed() < DRAIN && !reading.is_finished() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if reading.is_finished() {
        reading.await??;
        return Err("the consumer ended".into());
    }
    reading.abort();
    client.close().await;
    let ledger = ledger.borrow();
    let more = json!({
        "lost": ledger.missing(),
        "duplicates": ledger.read.iter().map(|read| read.saturating_sub(1)).sum::<u32>(),
        "disordered": ledger.disordered,
        "failed": ledger.failed,
        "acks": ledger.acks.json(),
        "reads": ledger.reads.json(),
    });
    report::print(options, sent, began.elapsed(), more);
    Ok(())
}

/// Sends until SIGTERM; how many records.
async fn produce(topic: &TopicHandle, rate: f64, ledger: &Shared) -> Result<u64, ProduceError> {
    let partitions = topic.partitions();
    let waiting: Vec<_> = (0..partitions)
        .map(|_| {
            let (sender, receipts) = mpsc::unbounded_channel();
            spawn_local(acknowledge(receipts, ledger.clone()));
            sender
        })
        .collect();
    let mut stop = std::pin::pin!(shutdown_signal());
    let (mut value, mut sent, began) = (Filled::new(), 0u64, Instant::now());
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = ticks.tick() => {}
        }
        let due_by_now = (began.elapsed().as_secs_f64() * rate) as u64;
        while sent < due_by_now {
            let due = began + Duration::from_secs_f64(sent as f64 / rate);
            {
                let mut ledger = ledger.borrow_mut();
                ledger.due.push(due);
                ledger.acked.push(false);
                ledger.read.push(0);
            }
            let partition = (sent % partitions as u64) as i32;
            let receipt = topic.send_with_receipt(partition, RecordRef::value(value.with(sent)));
            // The receiver lives as long as the sender.
            let _ = waiting[partition as usize].send((sent, receipt.await?));
            sent += 1;
        }
    }
    Ok(sent)
}

/// Notes the acknowledgements of one partition; they come in the order of sending.
async fn acknowledge(mut receipts: mpsc::UnboundedReceiver<(u64, Receipt)>, ledger: Shared) {
    while let Some((number, receipt)) = receipts.recv().await {
        let outcome: Result<_, ProduceError> = receipt.await;
        let mut ledger = ledger.borrow_mut();
        match outcome {
            Ok(_) => {
                ledger.acked[number as usize] = true;
                let due = ledger.due[number as usize];
                ledger.acks.arrived(due, Instant::now());
            }
            Err(error) => ledger.failed.push(error.to_string()),
        }
    }
}

async fn read(bootstrap: String, topic: String, (group, ledger): (String, Shared)) -> Outcome {
    let client = Client::new(Config::new(bootstrap))?;
    let config = ConsumerConfig::new(group, [topic.as_str()]).start(Start::Earliest);
    let mut consumer = client.consumer(config)?;
    let mut decompressor = Decompressor::default();
    let mut last = std::collections::HashMap::new();
    loop {
        let chunk = consumer.recv().await?;
        let now = Instant::now();
        let last = last.entry(chunk.partition().partition).or_insert(0);
        chunk.for_each(&mut decompressor, |record| {
            let Some(number) = record.value.and_then(values::sequence) else { return };
            let mut ledger = ledger.borrow_mut();
            let Some(due) = ledger.due.get(number as usize).copied() else { return };
            ledger.disordered += u64::from(number < *last);
            *last = number.max(*last);
            ledger.read[number as usize] += 1;
            ledger.reads.arrived(due, now);
        })?;
    }
}
