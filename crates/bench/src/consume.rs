//! consume: reads the keyless records as a group of one member and adds up their sequence numbers.

use std::{ops::ControlFlow, time::Instant};

use roka_client::{
    Client, Config,
    consumer::{ConsumerConfig, Start},
    records::Decompressor,
};
use serde_json::json;

use crate::{Outcome, options::Options, report, values};

pub(crate) async fn run(options: &Options) -> Outcome {
    let client = Client::new(Config::new(&options.bootstrap))?;
    let config = ConsumerConfig::new(options.group.as_str(), [options.input.as_str()]);
    let mut consumer = client.consumer(config.start(Start::Earliest))?;
    let mut decompressor = Decompressor::default();
    let (mut records, mut sum) = (0u64, 0u64);
    let mut began = None;
    while records < options.records {
        let chunk = consumer.recv().await?;
        began.get_or_insert_with(Instant::now);
        let flow = chunk.try_for_each(&mut decompressor, |record| {
            records += 1;
            match record.value.and_then(values::sequence) {
                Some(sequence) => sum += sequence,
                None => return ControlFlow::Break(record.offset),
            }
            ControlFlow::Continue(())
        })?;
        if let ControlFlow::Break(offset) = flow {
            let partition = chunk.partition();
            return Err(format!("{partition}@{offset}: the value has no sequence number").into());
        }
    }
    let took = began.map(|began| began.elapsed()).unwrap_or_default();
    consumer.commit().await?;
    report::print(options, records, took, json!({ "seq_sum": sum }));
    consumer.close().await?;
    client.close().await;
    Ok(())
}
