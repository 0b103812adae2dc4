//! The simplest whole program: counts words in a table.
use roka::{Config, Emitter, Group, Processor, Result, StoreKind, Stream};

const WORDS: Stream<String, String> = Stream::text("words");
const COUNTS: Group<String, u64> = Group::json("word-counts");

#[tokio::main]
async fn main() -> Result {
    let kafka = roka_broker::Cluster::builder().start_blocking()?; // an embedded Kafka
    kafka.create_topic("words", 4, 1)?;
    let config = Config { store: StoreKind::Memory, ..Config::new([kafka.bootstrap()]) };

    let mut graph = COUNTS.graph();
    graph.input(WORDS, |ctx, _word| ctx.update(|count| *count += 1));
    let processor = Processor::new(graph, config.clone())?;
    let (handle, running) = (processor.handle(), tokio::spawn(processor.run()));

    let words = Emitter::new(WORDS, &config).await?;
    for word in "to be or not to be".split(' ') {
        words.emit(word, &word.to_owned()).await?;
    }
    words.finish().await?;
    while handle.stats().totals.records < 6 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    println!("to: {:?}, or: {:?}", handle.get("to").await?, handle.get("or").await?);
    handle.stop(); // commits, then leaves the group
    Ok(running.await??)
}
