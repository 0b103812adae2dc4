//! count, enrich, recover, latency and roll: a processor does the work, this file watches it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use roka::{
    Assignment, Config, GroupGraph, Hasher, Processor, ProcessorError, StoreKind, shutdown_signal,
};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    Outcome,
    graphs::{self, Key},
    options::Options,
    report,
};

/// How often progress is looked at. The time of the last record is known to this.
const TICK: Duration = Duration::from_millis(2);
/// Keys that recover looks up.
const SAMPLES: u64 = 1000;

fn config(options: &Options) -> Result<Config, String> {
    let mut config = Config {
        state_dir: options.state_dir.clone(),
        // As the workloads' inputs are placed.
        hasher: Hasher::Murmur2,
        assignment: Assignment::default(),
        ..Config::new(options.bootstrap.split(','))
    };
    if let Some(workers) = options.workers {
        config.workers = workers;
    }
    if let Some(linger) = options.linger {
        config.linger = linger;
    }
    config.store = match options.store.as_str() {
        "" => config.store,
        "sled" => StoreKind::Sled,
        "memory" => StoreKind::Memory,
        "log" => StoreKind::Log,
        other => return Err(format!("--store {other:?}: sled, log or memory")),
    };
    Ok(config)
}

/// count and enrich: until all inputs are processed, then until all is committed and closed.
async fn until_done<V: 'static + Send>(options: &Options, graph: GroupGraph<Key, V>) -> Outcome {
    let processor = Processor::new(graph, config(options)?)?;
    let handle = processor.handle();
    let running: JoinHandle<Result<(), ProcessorError>> =
        tokio::task::spawn_local(processor.run_until(std::future::pending()));
    let mut first = None;
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        let records = handle.stats().totals.records;
        if records > 0 {
            first.get_or_insert_with(Instant::now);
        }
        if records >= options.records {
            break;
        }
        if running.is_finished() {
            running.await??;
            return Err("the processor ended before its inputs did".into());
        }
    }
    let first = first.unwrap_or_else(Instant::now);
    let took = first.elapsed();
    handle.stop();
    running.await??;
    let committed = first.elapsed().as_secs_f64();
    report::print(options, options.records, took, json!({ "seconds_to_commit": committed }));
    Ok(())
}

pub(crate) async fn count(options: &Options) -> Outcome {
    until_done(options, graphs::count(options)).await
}

pub(crate) async fn enrich(options: &Options) -> Outcome {
    until_done(options, graphs::enrich(options)).await
}

/// latency and roll: until SIGTERM.
pub(crate) async fn flow(options: &Options) -> Outcome {
    let began = Instant::now();
    let processor = Processor::new(graphs::counted(options), config(options)?)?;
    let handle = processor.handle();
    processor.run_until(shutdown_signal()).await?;
    report::print(options, handle.stats().totals.records, began.elapsed(), json!({}));
    Ok(())
}

/// recover: until the table can be read.
pub(crate) async fn recover(options: &Options) -> Outcome {
    let processor = Processor::new(graphs::rows(options), config(options)?)?;
    let handle = processor.handle();
    let began = Instant::now();
    let running = tokio::task::spawn_local(processor.run_until(std::future::pending()));
    if !handle.wait_ready().await {
        running.await??;
        return Err("the processor ended before its table was there".into());
    }
    let took = began.elapsed();
    let step = (options.records / SAMPLES).max(1);
    let sampled = (0..options.records).step_by(usize::try_from(step)?).take(SAMPLES as usize);
    let (mut looked_up, mut found) = (0u64, 0u64);
    for number in sampled {
        let key = Bytes::from(format!("key-{number:08}"));
        looked_up += 1;
        found += u64::from(handle.get(&key).await?.is_some());
    }
    handle.stop();
    running.await??;
    report::print(options, options.records, took, json!({ "sampled": looked_up, "found": found }));
    Ok(())
}
