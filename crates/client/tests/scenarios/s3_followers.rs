//! S3: a consumer in another rack than the leader is sent to the follower in its own (KIP-392), which lags, has another log
//! start, refuses or is gone; and logs that lost records (KIP-320). It reads on from where it can, at once, resets nothing
//! that the leader has, and skips nothing silently.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use roka_broker::{Cluster, Follower};
use roka_client::{
    ApiKey, Client, Config, ErrorCode, TopicPartition,
    consumer::{
        Chunk, Decompressor, FetchError, FetchEvent, FetchQueue, Fetcher, FetcherConfig, Position,
        Reset, ResetPolicy, ResetReason, Start,
    },
    producer::{Producer, ProducerConfig, RecordRef},
    protocol::messages::delete_records::{
        DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
    },
};

use crate::support::{Since, until};
use crate::table::{Row, Scenario, row};

pub(crate) fn rows() -> Vec<Scenario> {
    vec![
        row(
            "S3a",
            "1 Fetch at the follower, then the leader at the same offset; 0 ListOffsets",
            s3a,
        ),
        row("S3b", "<= 2 Fetch/s at the bad follower; records flow from the leader", s3b),
        row(
            "S3c",
            "0 resets, 0 ListOffsets, 0 records lost; back at the follower once it has caught up",
            s3c,
        ),
        row(
            "S3d",
            "the policy, with 1 ListOffsets; none: typed error, other partitions go on",
            s3d,
        ),
        row("S3e", "back to the leader with <= 1 dial and a refresh of metadata", s3e),
        row("S3f", "leader and refresh of metadata for each code", s3f),
        row(
            "S3g",
            "typed truncation, or the policy from where the logs part; nothing skipped",
            s3g,
        ),
    ]
}

const WAIT: Duration = Duration::from_secs(30);
const APIS: &[ApiKey] =
    &[ApiKey::Fetch, ApiKey::ListOffsets, ApiKey::Metadata, ApiKey::OffsetForLeaderEpoch];

fn part(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// Three nodes in racks of their own. Node 1 leads the topic `t`; the reader is in the rack of node 2.
struct Bench {
    cluster: Cluster,
    producer: Producer,
    client: Client,
    fetcher: Fetcher,
    queue: FetchQueue,
    written: Cell<u64>,
}

impl Bench {
    fn new(partitions: i32) -> Self {
        let bench = Self::with_replicas(partitions, 3);
        for partition in 0..partitions {
            // So that there are epochs before the present one.
            bench.cluster.move_leader("t", partition, 2).unwrap();
            bench.cluster.move_leader("t", partition, 1).unwrap();
        }
        bench
    }

    fn with_replicas(partitions: i32, replicas: i16) -> Self {
        let cluster = Cluster::builder().nodes(3).racks().start_blocking().unwrap();
        cluster.create_topic("t", partitions, replicas).unwrap();
        let writer = Client::new(Config::new(cluster.bootstrap())).unwrap();
        let config = ProducerConfig::default().linger(Duration::ZERO);
        let producer = writer.producer(config).unwrap();
        let client =
            Client::new(Config::new(cluster.bootstrap()).rack("rack-2".to_owned())).unwrap();
        let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
        let queue = fetcher.queue(1 << 20);
        Self { cluster, producer, client, fetcher, queue, written: Cell::new(0) }
    }

    /// Appends numbers to partition 0, each in a batch of its own.
    async fn write(&self, numbers: u64) {
        let topic = self.producer.topic("t").await.unwrap();
        for _ in 0..numbers {
            let value = self.written.get().to_string();
            topic.send(0, RecordRef::value(value.as_bytes())).await.unwrap();
            self.producer.flush().await.unwrap();
            self.written.set(self.written.get() + 1);
        }
    }

    fn assign(&self, partition: i32, start: impl Into<Start>, policy: ResetPolicy) {
        self.fetcher.assign(part(partition), start, policy, &self.queue, partition as u64);
    }

    async fn event(&self) -> FetchEvent {
        let event = tokio::time::timeout(WAIT, self.queue.recv()).await;
        event.expect("nothing came").expect("the queue ended")
    }

    async fn chunk(&self) -> Chunk {
        match self.event().await {
            FetchEvent::Data(chunk) => chunk,
            other => panic!("{other:?}"),
        }
    }

    async fn reset(&self) -> Reset {
        match self.event().await {
            FetchEvent::Reset(reset) => reset,
            other => panic!("{other:?}"),
        }
    }

    /// Reads until the number `last`; each must follow the one before.
    async fn read(&self, mut next: u64, last: u64) {
        while next <= last {
            for number in numbers(&self.chunk().await) {
                assert_eq!(number, next);
                next += 1;
            }
        }
    }

    fn fetches_at(&self, node: i32) -> u64 {
        self.cluster.requests_at(node, ApiKey::Fetch).unwrap()
    }

    fn since(&self) -> Since<'_> {
        Since::now(&self.cluster, &self.client, APIS)
    }

    /// The reader reads at the follower.
    async fn settle(&self) {
        self.write(1).await;
        self.assign(0, Position::at(0), ResetPolicy::Fail);
        self.read(0, 0).await;
        until("it reads at the follower", || self.fetches_at(2) > 0).await;
    }
}

fn numbers(chunk: &Chunk) -> Vec<u64> {
    let mut all = Vec::new();
    chunk
        .for_each(&mut Decompressor::new(), |record| {
            all.push(std::str::from_utf8(record.value.unwrap()).unwrap().parse().unwrap());
        })
        .unwrap();
    all
}

async fn s3a(row: Row) {
    let bench = Bench::new(1);
    bench.write(200).await;
    bench.cluster.set_follower("t", 0, 2, Follower::new(100, 200)).unwrap();
    // So that what follows is not the first request of a client.
    bench.client.refresh_metadata().await.unwrap();
    let since = bench.since();
    bench.assign(0, Position::at(50), ResetPolicy::Earliest);
    let chunk = bench.chunk().await;
    let took = since.elapsed();
    assert_eq!(numbers(&chunk)[0], 50);
    assert_eq!(bench.fetches_at(2), 1, "out of range at the follower, once");
    assert_eq!(since.got(ApiKey::ListOffsets), 0);
    let next = numbers(&chunk).last().unwrap() + 1;
    bench.read(next, 199).await;
    assert_eq!(since.got(ApiKey::ListOffsets), 0);
    row.measured(format!("1 Fetch at the follower, first record after {:.0} ms", ms(took)));
    row.measured(since.summary());
}

async fn s3b(row: Row) {
    let bench = Bench::new(1);
    bench.settle().await;
    // The leader insists on a follower that has nothing the reader wants.
    bench.cluster.name_replica("t", 0, Some(2)).unwrap();
    bench.cluster.set_follower("t", 0, 2, Follower::new(1 << 40, 1 << 40)).unwrap();
    let (at_bad, since) = (bench.fetches_at(2), bench.since());
    let begin = Instant::now();
    let mut slowest = Duration::ZERO;
    while begin.elapsed() < Duration::from_secs(5) {
        let (next, sent) = (bench.written.get(), Instant::now());
        bench.write(1).await;
        bench.read(next, next).await;
        slowest = slowest.max(sent.elapsed());
    }
    let at_bad = bench.fetches_at(2) - at_bad;
    let seconds = begin.elapsed().as_secs();
    assert!(at_bad <= 2 * seconds, "{at_bad} in {seconds} s");
    assert_eq!(since.got(ApiKey::ListOffsets), 0);
    row.measured(format!(
        "{at_bad} Fetch at the bad follower in {seconds} s while {} records flowed, slowest {:.0} ms",
        bench.written.get() - 1,
        ms(slowest)
    ));
}

async fn s3c(row: Row) {
    let bench = Bench::new(1);
    bench.settle().await;
    bench.write(99).await;
    bench.read(1, 99).await;
    // From here on the follower lags: its end lies before where the reader is.
    bench.cluster.set_follower("t", 0, 2, Follower::new(0, 60)).unwrap();
    let since = bench.since();
    bench.write(50).await;
    bench.read(100, 149).await;
    let took = since.elapsed();
    assert_eq!(since.got(ApiKey::ListOffsets), 0);
    bench.cluster.catch_up("t", 0, 2).unwrap();
    let before = bench.fetches_at(2);
    until("it reads at the follower again", || bench.fetches_at(2) > before + 1).await;
    bench.write(1).await;
    bench.read(150, 150).await;
    row.measured(format!("50 records past a lagging follower in {:.0} ms", ms(took)));
    row.measured(since.summary());
}

/// The log of partition 0 begins there.
async fn delete_before(bench: &Bench, offset: i64) {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
    let topic = DeleteRecordsTopic { name: "t".into(), partitions };
    let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 5000 };
    let response = bench.client.call_leader("t", 0, request).await.unwrap();
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
}

async fn s3d(row: Row) {
    let hour = Duration::from_secs(3600);
    let bench = Bench::new(2);
    bench.write(100).await;
    delete_before(&bench, 40).await;
    for (policy, to) in [
        (ResetPolicy::Earliest, 40),
        (ResetPolicy::Latest, 100),
        // All records are younger than an hour.
        (ResetPolicy::Ago(hour), 40),
        (ResetPolicy::Ago(Duration::ZERO), 100),
    ] {
        let since = bench.since();
        bench.assign(0, Position::at(3), policy);
        let reset = bench.reset().await;
        assert_eq!((reset.from, reset.to), (Some(3), to), "{policy:?}");
        assert_eq!(reset.reason, ResetReason::OutOfRange);
        // Nothing is as young as nothing: the end is asked for then.
        let asked = if policy == ResetPolicy::Ago(Duration::ZERO) { 2 } else { 1 };
        assert_eq!(since.got(ApiKey::ListOffsets), asked, "{policy:?}");
        row.measured(format!("{policy:?}: {asked} ListOffsets, {:.0} ms", ms(since.elapsed())));
        bench.fetcher.unassign(&part(0));
    }
    let since = bench.since();
    bench.assign(1, Position::at(0), ResetPolicy::Fail);
    bench.assign(0, Position::at(3), ResetPolicy::Fail);
    match bench.event().await {
        FetchEvent::Failed {
            error: FetchError::OutOfRange { partition, offset: 3, .. }, ..
        } => {
            assert_eq!(partition, part(0));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(since.got(ApiKey::ListOffsets), 0);
    let topic = bench.producer.topic("t").await.unwrap();
    topic.send(1, RecordRef::value(b"7")).await.unwrap();
    bench.producer.flush().await.unwrap();
    let chunk = bench.chunk().await;
    assert_eq!((chunk.partition(), numbers(&chunk)), (&part(1), vec![7]));
    row.measured("Fail: typed error, 0 ListOffsets, the other partition went on");
}

async fn s3e(row: Row) {
    // No broker at all.
    let bench = Bench::new(1);
    bench.write(10).await;
    bench.client.refresh_metadata().await.unwrap();
    bench.cluster.name_replica("t", 0, Some(77)).unwrap();
    let since = bench.since();
    bench.assign(0, Position::at(0), ResetPolicy::Fail);
    bench.read(0, 9).await;
    let took = since.elapsed();
    assert_eq!(bench.fetches_at(2) + bench.fetches_at(3), 0);
    assert_eq!(bench.client.counters().connect_failures, 0, "nobody to dial");
    until("metadata is asked for", || since.got(ApiKey::Metadata) >= 1).await;
    row.measured(format!("unknown: 0 dials, records after {:.0} ms", ms(took)));
    // One that refuses, and of which the leader does not know that it is gone.
    let bench = Bench::new(1);
    bench.settle().await;
    let (since, failures) = (bench.since(), bench.client.counters().connect_failures);
    bench.cluster.name_replica("t", 0, Some(2)).unwrap();
    bench.cluster.kill(2).unwrap();
    bench.write(10).await;
    bench.read(1, 10).await;
    let took = since.elapsed();
    let dials = bench.client.counters().connect_failures - failures;
    assert!(dials <= 1, "{dials} dials");
    until("metadata is asked for", || since.got(ApiKey::Metadata) >= 1).await;
    row.measured(format!("refusing: {dials} failed dials, 10 records in {:.0} ms", ms(took)));
    row.measured(since.summary());
}

async fn s3f(row: Row) {
    // Followers that have not heard of the epoch yet, and that have heard of a later one.
    for (epoch, code) in
        [(0, ErrorCode::UNKNOWN_LEADER_EPOCH), (99, ErrorCode::FENCED_LEADER_EPOCH)]
    {
        let bench = Bench::new(1);
        bench.settle().await;
        let since = bench.since();
        let (follower, leader) = (bench.fetches_at(2), bench.fetches_at(1));
        let held = Follower::new(0, 1).leader_epoch(epoch);
        bench.cluster.set_follower("t", 0, 2, held).unwrap();
        until("metadata is asked for", || since.got(ApiKey::Metadata) >= 1).await;
        bench.write(10).await;
        bench.read(1, 10).await;
        assert!(bench.fetches_at(1) > leader, "{code:?}");
        assert_eq!(since.got(ApiKey::ListOffsets), 0, "{code:?}");
        let asked = bench.fetches_at(2) - follower;
        row.measured(format!("{code:?}: {asked} Fetch at the follower, {}", since.summary()));
    }
    // A node that is no replica.
    let bench = Bench::with_replicas(1, 1);
    bench.write(10).await;
    let leader = bench.cluster.leader("t", 0).unwrap();
    let other = bench.cluster.nodes().into_iter().find(|node| Some(*node) != leader).unwrap();
    bench.client.refresh_metadata().await.unwrap();
    bench.cluster.name_replica("t", 0, Some(other)).unwrap();
    let since = bench.since();
    bench.assign(0, Position::at(0), ResetPolicy::Fail);
    bench.read(0, 9).await;
    assert_eq!(bench.fetches_at(other), 1);
    assert_eq!(since.got(ApiKey::ListOffsets), 0);
    until("metadata is asked for", || since.got(ApiKey::Metadata) >= 1).await;
    row.measured(format!("NOT_LEADER_OR_FOLLOWER: 1 Fetch there, {}", since.summary()));
}

async fn s3g(row: Row) {
    for versions in [0..=18, 4..=11] {
        for policy in [ResetPolicy::Fail, ResetPolicy::Latest] {
            let bench = Bench::new(1);
            bench.cluster.cap_versions(ApiKey::Fetch, versions.clone());
            bench.write(10).await;
            bench.assign(0, Position::at(0), policy);
            bench.read(0, 9).await;
            // Node 3 had only 6 of the 10 that were read; it becomes leader, and others are written in their place.
            bench.cluster.set_follower("t", 0, 3, Follower::new(0, 6)).unwrap();
            let since = bench.since();
            assert_eq!(bench.cluster.elect_unclean("t", 0, 3).unwrap(), 6);
            bench.written.set(1000);
            bench.write(10).await;
            match (policy, bench.event().await) {
                (ResetPolicy::Fail, FetchEvent::Failed { error, .. }) => {
                    let FetchError::Truncated { offset: 10, agrees_to: 6, .. } = error else {
                        panic!("{error}")
                    };
                    bench.fetcher.seek(&part(0), Position::at(6));
                }
                (ResetPolicy::Latest, FetchEvent::Reset(reset)) => {
                    assert_eq!((reset.from, reset.to), (Some(10), 6));
                    assert_eq!(reset.reason, ResetReason::Truncated);
                }
                (_, other) => panic!("{policy:?}: {other:?}"),
            }
            bench.read(1000, 1009).await;
            assert_eq!(since.got(ApiKey::ListOffsets), 0);
            let asked = since.got(ApiKey::OffsetForLeaderEpoch);
            assert_eq!(asked > 0, *versions.end() < 12, "the old way asks");
            row.measured(format!("Fetch v{}, {policy:?}: {}", versions.end(), since.summary()));
        }
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
