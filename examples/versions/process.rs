//! The framework: a processor counts, stops, and goes on where it stopped.

use std::time::Duration;

use roka::{Config, Emitter, Group, Processor, Result, StoreKind, Stream};

use crate::common::Kafka;

const WORDS: Stream<String, String> = Stream::text("versions-words");
const COUNTS: Group<String, u64> = Group::json("versions-counts");
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts words, twice with a new processor: the second one has its table from the changelog.
pub async fn run(kafka: &Kafka) -> Result {
    let config = Config { store: StoreKind::Memory, ..kafka.config.clone() };
    let round = async {
        let (to, or) = count(&config, "to be or not to be", 6).await?;
        let (again, still) = count(&config, "to", 1).await?;
        if (to, or, again, still) != (Some(2), Some(1), Some(3), Some(1)) {
            let counts = format!("wrong counts: {to:?} {or:?}, then {again:?} {still:?}");
            return Err(counts.into());
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, round).await.map_err(|_| "not done in a minute")?
}

/// Emits the words to a processor of their own, and gives the counts of "to" and "or" when all are counted.
async fn count(config: &Config, text: &str, words: u64) -> Result<(Option<u64>, Option<u64>)> {
    let mut graph = COUNTS.graph();
    graph.input(WORDS, |ctx, _word| ctx.update(|count| *count += 1));
    let processor = Processor::new(graph, config.clone())?;
    let handle = processor.handle();
    let running = tokio::spawn(processor.run());
    if !handle.wait_ready().await {
        running.await??;
        return Err("the processor ended".into());
    }
    let emitter = Emitter::new(WORDS, config).await?;
    for word in text.split(' ') {
        emitter.emit(word, &word.to_owned()).await?;
    }
    emitter.finish().await?;
    while handle.stats().totals.records < words && !running.is_finished() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    if running.is_finished() {
        running.await??;
        return Err("the processor ended".into());
    }
    let counts = (handle.get("to").await?, handle.get("or").await?);
    handle.stop();
    running.await??;
    Ok(counts)
}
