//! What the cluster does by itself now and then: retention, compaction, forgetting producers.

use std::{io, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Partition, Shared, Topic, lock, now_ms};
use crate::{
    config::TopicConfig,
    log::{Retention, compact::Rules},
};

impl Shared {
    /// Deletes segments that are older or more than their topics keep.
    pub(crate) fn retain_all(&self) {
        let now_ms = now_ms();
        let forget_ms = self.config.number("producer.id.expiration.ms", 86_400_000);
        let mut moved = false;
        for topic in self.topics.all() {
            let config = topic.config();
            for partition in topic.partitions().iter() {
                let retained = retain(partition, &config, now_ms, now_ms.saturating_sub(forget_ms));
                moved |= retained.unwrap_or_else(|error| {
                    tracing::error!(topic = &*topic.name, partition = partition.index, %error, "retention failed");
                    false
                });
            }
        }
        if moved {
            self.save_or_warn();
        }
    }

    /// Compacts the topics whose logs have enough that no compaction has seen.
    pub(crate) fn compact_dirty(&self) {
        for topic in self.topics.all().iter().filter(|it| it.config().compact) {
            let least = topic.config().min_cleanable_ratio;
            for partition in topic.partitions().iter() {
                let ratio = partition.lock().log.dirty_ratio();
                if ratio > 0.0
                    && ratio >= least
                    && let Err(error) = compact(partition, &topic.config())
                {
                    tracing::error!(topic = &*topic.name, partition = partition.index, %error, "compaction failed");
                }
            }
        }
    }

    /// Ends the active segments of a topic and compacts all that came before.
    pub(crate) fn compact_now(topic: &Topic) -> io::Result<()> {
        for partition in topic.partitions().iter() {
            partition.lock().log.roll()?;
            compact(partition, &topic.config())?;
        }
        Ok(())
    }
}

fn retain(
    partition: &Partition,
    config: &TopicConfig,
    now_ms: i64,
    forget_before_ms: i64,
) -> io::Result<bool> {
    let mut state = partition.lock();
    if state.deleted {
        return Ok(false);
    }
    let log_start = state.log.start();
    state.log.producers.expire(forget_before_ms, log_start);
    if !config.delete {
        return Ok(false);
    }
    let (max_age_ms, max_bytes) = (config.retention_ms, config.retention_bytes);
    state.log.retain(Retention { now_ms, max_age_ms, max_bytes })
}

fn compact(partition: &Partition, config: &TopicConfig) -> io::Result<()> {
    // One at a time; appends and reads go on meanwhile.
    let _compacting = lock(&partition.compacting);
    let rules = Rules {
        now_ms: now_ms(),
        delete_retention_ms: config.delete_retention_ms,
        min_compaction_lag_ms: config.min_compaction_lag_ms,
    };
    let Some(compaction) = partition.lock().log.begin_compaction(rules) else { return Ok(()) };
    let cleaned = compaction.run();
    let mut state = partition.lock();
    if state.deleted {
        return Ok(());
    }
    state.log.finish_compaction(cleaned?)
}

/// Runs the upkeep for as long as the cluster lives, on threads that may block.
pub(crate) async fn run(shared: Arc<Shared>) {
    let every = |name: &str, fallback: i64| {
        Duration::from_millis(shared.config.number(name, fallback).max(1) as u64)
    };
    let ticks = |period: Duration| tokio::time::interval_at(Instant::now() + period, period);
    let mut retention = ticks(every("log.retention.check.interval.ms", 300_000));
    let mut compaction = ticks(every("log.cleaner.backoff.ms", 15_000));
    loop {
        // Both ticks can be dropped without loss.
        let retain = tokio::select! {
            _ = retention.tick() => true,
            _ = compaction.tick() => false,
        };
        let shared = shared.clone();
        let work = move || if retain { shared.retain_all() } else { shared.compact_dirty() };
        if let Err(error) = tokio::task::spawn_blocking(work).await {
            tracing::error!(%error, "upkeep failed");
        }
    }
}
