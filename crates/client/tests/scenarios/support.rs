//! What rows share: clusters, waiting, and counting requests from a moment on.

use std::time::{Duration, Instant};

use roka_broker::Cluster;
use roka_client::{ApiKey, Client, Config, Counters};

/// How long anything may take before a row fails. A wait that is measured is far shorter.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

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

/// A node that does not lead the partition.
pub(crate) fn another(cluster: &Cluster, topic: &str, partition: i32) -> i32 {
    let leader = cluster.leader(topic, partition).unwrap().unwrap();
    cluster.nodes().into_iter().find(|node| *node != leader).unwrap()
}

/// Waits for a condition, not for luck.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How many attempts a back-off that begins with `initial`, doubles up to a second and is jittered by 20 % allows within
/// `time` at most, with the first one at its beginning.
pub(crate) fn attempts(initial_ms: u32, time: Duration) -> u64 {
    let (mut wait, mut at, mut count) = (initial_ms, 0.0, 1);
    loop {
        at += f64::from(wait) * 0.8;
        if at > time.as_secs_f64() * 1000.0 {
            return count;
        }
        count += 1;
        wait = (wait * 2).min(1000);
    }
}

/// Milliseconds, for the table.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1000.0)
}

/// Both sides' counts since a moment.
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

    /// How many of the API were refused, or remained without answer.
    pub(crate) fn errors(&self, api: ApiKey) -> u64 {
        self.client.counters().api(api).errors - self.before.api(api).errors
    }

    /// How many of the API repeated an earlier one.
    pub(crate) fn retries(&self, api: ApiKey) -> u64 {
        self.client.counters().api(api).retries - self.before.api(api).retries
    }

    /// Dials that failed.
    pub(crate) fn failed_dials(&self) -> u64 {
        self.client.counters().connect_failures - self.before.connect_failures
    }

    /// Time since then.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// All counts and the time, for the table. Both sides must agree, which they do where every request arrives.
    pub(crate) fn agreed(&self) -> String {
        for (api, _) in &self.apis {
            assert_eq!(self.got(*api), self.sent(*api), "{api}: what brokers got, what was sent");
        }
        self.summary()
    }

    /// All counts of the client and the time, for the table.
    pub(crate) fn summary(&self) -> String {
        let mut parts: Vec<_> =
            self.apis.iter().map(|(api, _)| format!("{} {api}", self.sent(*api))).collect();
        parts.push(ms(self.elapsed()));
        parts.join(", ")
    }
}
