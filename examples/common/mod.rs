//! What the examples share: a cluster to run on.
//!
//! Without `--brokers` it is the embedded cluster, in this process, with nothing to install. With it the same program
//! runs on real Kafka.
#![allow(dead_code, unreachable_pub, reason = "each example uses a part")]

use clap::Parser;
use roka::{Config, Result};
use roka_broker::Cluster;
use roka_client::{Client, ErrorCode, admin::NewTopic};
use tempfile::TempDir;

/// The cluster that an example runs on.
pub struct Kafka {
    /// For processors, emitters and views.
    pub config: Config,
    /// Nothing of an embedded cluster outlives the program, so neither does local state.
    _embedded: Option<(Cluster, TempDir)>,
}

/// Options of every example.
#[derive(Parser, Debug)]
pub struct Where {
    /// Brokers of a real Kafka cluster, host:port,host:port. Default: an embedded cluster.
    #[arg(long)]
    pub brokers: Option<String>,
}

impl Kafka {
    /// Starts the embedded cluster, or looks for the one that was named. Logs go to standard error (`RUST_LOG`).
    pub fn start(place: &Where) -> Result<Self> {
        let filter = tracing_subscriber::EnvFilter::try_from_default_env();
        let filter = filter.unwrap_or_else(|_| "error".into());
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        // Another subscriber is as good.
        let _ = log.try_init();
        if let Some(brokers) = &place.brokers {
            println!("on Kafka at {brokers}");
            return Ok(Self { config: Config::new(brokers.split(',')), _embedded: None });
        }
        let cluster = Cluster::builder().nodes(3).start_blocking()?;
        println!("on an embedded cluster of 3 nodes; --brokers host:port runs this on real Kafka");
        let folder = TempDir::new()?;
        let state_dir = folder.path().to_owned();
        let config = Config { state_dir, ..Config::new(cluster.bootstrap().split(',')) };
        Ok(Self { config, _embedded: Some((cluster, folder)) })
    }

    /// Makes topics that are not there yet: streams by their name, tables with `compact`.
    pub async fn make_topics(&self, topics: impl IntoIterator<Item = NewTopic>) -> Result {
        let client = Client::new(roka_client::Config::new(self.config.brokers.join(",")))?;
        let topics: Vec<NewTopic> = topics.into_iter().collect();
        for made in client.admin().create_topics(&topics).await {
            match made {
                Err(error) if error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) => {}
                made => drop(made?),
            }
        }
        client.close().await;
        Ok(())
    }
}

/// A stream's topic.
pub fn stream(name: &str, partitions: i32) -> NewTopic {
    NewTopic::new(name, partitions, -1)
}

/// A table's topic: Kafka keeps the latest row of each key.
pub fn table(name: &str, partitions: i32) -> NewTopic {
    NewTopic::new(name, partitions, -1).config("cleanup.policy", "compact")
}
