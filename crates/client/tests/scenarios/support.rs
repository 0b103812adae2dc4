//! What rows share: waiting, and counting requests from a moment on.

use std::time::{Duration, Instant};

use roka_broker::Cluster;
use roka_client::{ApiKey, Client, Config, Counters};

/// A cluster of three with the topic `t`, replicated thrice.
pub(crate) fn cluster(partitions: i32) -> Cluster {
    let cluster = Cluster::builder().nodes(3).start_blocking().unwrap();
    cluster.create_topic("t", partitions, 3).unwrap();
    cluster
}

/// A client with the defaults.
pub(crate) fn client(cluster: &Cluster) -> Client {
    Client::new(Config::new(cluster.bootstrap())).unwrap()
}

/// Both sides' counts of requests since a moment; they must agree where every request arrives.
pub(crate) struct Since<'a> {
    cluster: &'a Cluster,
    client: &'a Client,
    begin: Instant,
    apis: Vec<(ApiKey, u64)>,
    before: Counters,
}

impl<'a> Since<'a> {
    /// From now on, these APIs.
    pub(crate) fn now(cluster: &'a Cluster, client: &'a Client, apis: &[ApiKey]) -> Self {
        let apis = apis.iter().map(|api| (*api, cluster.requests(*api))).collect();
        Self { cluster, client, begin: Instant::now(), apis, before: client.counters() }
    }

    /// How many of the API the brokers got.
    pub(crate) fn got(&self, api: ApiKey) -> u64 {
        let before = self.apis.iter().find(|it| it.0 == api).expect("an API that is counted").1;
        self.cluster.requests(api) - before
    }

    /// How many of the API the client sent.
    pub(crate) fn sent(&self, api: ApiKey) -> u64 {
        self.client.counters().requests(api) - self.before.requests(api)
    }

    /// Time since then.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// All counts and the time, for the table.
    pub(crate) fn summary(&self) -> String {
        let mut parts: Vec<_> =
            self.apis.iter().map(|(api, _)| format!("{} {api}", self.got(*api))).collect();
        parts.push(format!("{:.0} ms", self.elapsed().as_secs_f64() * 1000.0));
        parts.join(", ")
    }
}
