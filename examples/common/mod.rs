//! What the examples share: a cluster to run on.
//!
//! Without `--brokers` it is the embedded cluster, in this process, with nothing to install. With it the same program
//! runs on real Kafka.
#![allow(dead_code, unreachable_pub, reason = "each example uses a part")]

use std::path::PathBuf;

use clap::Parser;
use roka::{
    Config, Result,
    security::{SaslConfig, TlsConfig},
};
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
    /// Speak TLS and trust the CAs in this PEM file; `system` trusts those of the system.
    #[arg(long, requires = "brokers")]
    pub tls_ca: Option<PathBuf>,
    /// The client's certificate, a PEM file.
    #[arg(long, requires_all = ["tls_ca", "tls_key"])]
    pub tls_cert: Option<PathBuf>,
    /// The key of the client's certificate, a PEM file.
    #[arg(long, requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Say by SASL who we are.
    #[arg(long, requires_all = ["brokers", "sasl_password_file"])]
    pub sasl_user: Option<String>,
    /// The file that holds the password.
    #[arg(long, requires = "sasl_user")]
    pub sasl_password_file: Option<PathBuf>,
    /// plain, scram-sha-256 or scram-sha-512.
    #[arg(long, default_value = "scram-sha-512")]
    pub sasl_mechanism: String,
}

impl Where {
    fn tls(&self) -> Option<TlsConfig> {
        let mut tls = TlsConfig::new();
        let ca = self.tls_ca.as_ref()?;
        if ca.as_os_str() != "system" {
            tls = tls.ca_file(ca);
        }
        if let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) {
            tls = tls.identity_files(cert, key);
        }
        Some(tls)
    }

    fn sasl(&self) -> Result<Option<SaslConfig>> {
        let (Some(user), Some(file)) = (&self.sasl_user, &self.sasl_password_file) else {
            return Ok(None);
        };
        let sasl = match self.sasl_mechanism.to_lowercase().as_str() {
            "plain" => SaslConfig::plain(user.as_str()),
            "scram-sha-256" => SaslConfig::scram_sha_256(user.as_str()),
            "scram-sha-512" => SaslConfig::scram_sha_512(user.as_str()),
            other => return Err(format!("--sasl-mechanism {other} is not known").into()),
        };
        Ok(Some(sasl.password_file(file)))
    }
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
            let (tls, sasl) = (place.tls(), place.sasl()?);
            let config = Config { tls, sasl, ..Config::new(brokers.split(',')) };
            return Ok(Self { config, _embedded: None });
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
        let client = Client::new(self.config.client())?;
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
