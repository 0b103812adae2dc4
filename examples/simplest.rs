//! The simplest whole program: counts words in a table, and reads the table.

use roka::{Config, Emitter, Group, Processor, Result, Stream, View};
use roka_broker::Cluster;

const WORDS: Stream<String, String> = Stream::text("words");
const COUNTS: Group<String, u64> = Group::json("word-counts");

#[tokio::main]
async fn main() -> Result {
    let kafka = Cluster::builder().start_blocking()?; // or name your brokers in the next line
    kafka.create_topic("words", 4, 1)?;
    let state_dir = std::env::temp_dir().join(format!("roka-simplest-{}", std::process::id()));
    let config = Config { state_dir, ..Config::new([kafka.bootstrap()]) };

    let words = Emitter::new(WORDS, &config).await?;
    for word in "to be or not to be".split(' ') {
        words.emit(word, &String::new()).await?;
    }
    words.finish().await?;

    let mut graph = COUNTS.graph();
    graph.input(WORDS, |ctx, _| ctx.update(|count| *count += 1));
    let processor = Processor::new(graph, config.clone())?;
    let handle = processor.handle();
    let running = tokio::spawn(processor.run());
    println!("ready: {}", handle.wait_ready().await);
    Ok(())
}
