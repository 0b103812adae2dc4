//! produce: keyless records to all partitions, acknowledged by all in-sync replicas, idempotent.

use std::time::{Duration, Instant};

use roka_client::{
    Client, Config,
    producer::{ProducerConfig, RecordRef},
};
use serde_json::json;

use crate::{Outcome, options::Options, report, values::Filled};

/// As the other contenders have it.
const LINGER: Duration = Duration::from_millis(20);

pub(crate) async fn run(options: &Options) -> Outcome {
    let client = Client::new(Config::new(&options.bootstrap))?;
    let config = ProducerConfig::default()
        .linger(options.linger.unwrap_or(LINGER))
        .compression(options.compression);
    let producer = client.producer(config)?;
    let topic = producer.topic(&options.output).await?;
    let mut value = Filled::new();
    let began = Instant::now();
    for sequence in 0..options.records {
        let record = RecordRef::value(value.with(sequence));
        topic.send_keyed(record).await?;
    }
    producer.flush().await?;
    report::print(options, options.records, began.elapsed(), json!({}));
    producer.close().await?;
    client.close().await;
    Ok(())
}
