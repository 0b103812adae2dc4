//! S4: brokers lose their partitions, their version, their coordinators, all of them at once. The processor goes on by itself.

use std::time::{Duration, Instant};

use roka::{Config, State};
use roka_broker::Fault;
use roka_client::{ApiKey, Client, ErrorCode};

use crate::{
    common::until,
    support::{Load, Name, Rig, Watch, commits, finish},
    table::{Row, Scenario, row},
};

pub(crate) fn rows() -> Vec<Scenario> {
    vec![
        row("S4a", "0 exits; stall <= leaderless window + 2 s", s4a),
        row("S4b", "waits with <= 2 ListOffsets/s per broker, then recovers", s4b).changed(
            "per broker and recovering partition: each asks for itself, so that one that waits holds up no other",
        ),
        row("S4c", "each connection negotiates by itself; no UNSUPPORTED_VERSION", s4c),
        row("S4d", "commits at the new coordinator; 0 JoinGroup", s4d),
        row("S4e", "resumes within the reconnect back-off (1 s) and one refresh", s4e),
        row("S4f", "all brokers at new addresses, their name moved: one re-bootstrap", s4f),
    ]
}

/// How long partitions are without leader, or all brokers down. The scenarios say 5 to 60 s; the test waits less.
const WINDOW: Duration = Duration::from_secs(5);
/// Partitions of each topic.
const PARTITIONS: u64 = 4;
/// What a busy machine may add before a row fails. What was measured is printed.
const SLACK: Duration = Duration::from_secs(15);

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

async fn s4a(row: Row) {
    let rig = Rig::new().await;
    let processor = rig.start(rig.env.config("a"));
    processor.ready().await;
    let load = Load::start(&rig).await;
    commits(&processor, "it counts").await;
    let watch = Watch::start(&processor);
    for node in rig.cluster().nodes() {
        let led = |(topic, partition): &(String, i32)| {
            rig.cluster().leader(topic, *partition).unwrap() == Some(node)
        };
        let led: Vec<_> = rig.partitions().into_iter().filter(led).collect();
        watch.longest();
        for (topic, partition) in &led {
            rig.cluster().leaderless(topic, *partition).unwrap();
        }
        rig.cluster().stop(node).unwrap();
        let begin = Instant::now();
        tokio::time::sleep(WINDOW).await;
        rig.cluster().start(node).unwrap();
        for (topic, partition) in &led {
            rig.cluster().elect(topic, *partition).unwrap();
        }
        let window = begin.elapsed();
        commits(&processor, "it commits again").await;
        let stall = watch.longest();
        assert!(stall <= window + SLACK, "{stall:?} with {window:?} leaderless");
        row.measured(format!(
            "node {node}: {} partitions leaderless for {}, longest stall of a partition {}",
            led.len(),
            seconds(window),
            seconds(stall)
        ));
    }
    let records = finish(&rig, processor, load).await;
    row.measured(format!("{records} records, table exact"));
}

async fn s4b(row: Row) {
    let rig = Rig::new().await;
    let processor = rig.start(rig.env.config("a"));
    processor.ready().await;
    let load = Load::start(&rig).await;
    commits(&processor, "it counts").await;
    let truth = load.end().await;
    rig.env.drained(&rig.group, &rig.input).await;
    processor.stop().await.unwrap();
    for code in [ErrorCode::LEADER_NOT_AVAILABLE, ErrorCode::NOT_LEADER_OR_FOLLOWER] {
        // Without local state, so that the table is read.
        let folder = format!("without-{}", code.0);
        let cluster = rig.cluster();
        let at = |node: i32| cluster.requests_at(node, ApiKey::ListOffsets).unwrap();
        let before: Vec<_> = cluster.nodes().into_iter().map(at).collect();
        cluster.inject(Fault::fail(code).on(ApiKey::ListOffsets).times(u32::MAX));
        let processor = rig.start(rig.env.config(&folder));
        until("it asks where the table ends", async || {
            cluster.nodes().into_iter().map(at).sum::<u64>() > before.iter().sum::<u64>()
        })
        .await;
        let begin = Instant::now();
        tokio::time::sleep(2 * WINDOW).await;
        let (seen, asked): (Duration, Vec<u64>) =
            (begin.elapsed(), cluster.nodes().into_iter().map(at).collect());
        cluster.clear_faults();
        let cleared = Instant::now();
        assert_eq!(processor.handle.state(), State::Recovering, "it waits");
        let asked: Vec<_> = asked.iter().zip(&before).map(|(now, before)| now - before).collect();
        processor.ready().await;
        let most = asked.iter().max().copied().unwrap();
        let allowed = 2 * seen.as_secs() * PARTITIONS;
        assert!(most <= allowed, "{asked:?} in {seen:?}");
        row.measured(format!(
            "{code}: {asked:?} ListOffsets by broker in {}, {allowed} allowed; ready {} after",
            seconds(seen),
            seconds(cleared.elapsed())
        ));
        for (key, count) in &truth {
            assert_eq!(processor.handle.get(key).await.unwrap(), Some(*count), "{key}");
        }
        processor.stop().await.unwrap();
    }
}

async fn s4c(row: Row) {
    let rig = Rig::new().await;
    let releases = ["2.8", "3.3", "4.3"];
    for (node, release) in rig.cluster().nodes().into_iter().zip(releases) {
        rig.cluster().pretend_at(node, release).unwrap();
        rig.cluster().cut(node).unwrap();
    }
    let processor = rig.start(rig.env.config("a"));
    processor.ready().await;
    let load = Load::start(&rig).await;
    commits(&processor, "it counts").await;
    let watch = Watch::start(&processor);
    let mut changes = 0;
    // Up, node by node, and down again; also to the least that transactions and headers need, and back.
    for release in ["3.3", "4.3", "3.9", "2.8", "2.0", "4.0"] {
        for node in rig.cluster().nodes() {
            rig.cluster().pretend_at(node, release).unwrap();
            // As an upgrade does: a broker changes its version only by a restart.
            rig.cluster().stop(node).unwrap();
            rig.cluster().start(node).unwrap();
            changes += 1;
            commits(&processor, &format!("it commits with node {node} at {release}")).await;
        }
    }
    row.measured(format!(
        "2.8 + 3.3 + 4.3, then {changes} changes of version, longest pause {}",
        seconds(watch.longest())
    ));
    let records = finish(&rig, processor, load).await;
    row.measured(format!("{records} records, table exact"));
}

async fn s4d(row: Row) {
    let rig = Rig::new().await;
    let processor = rig.start(rig.env.config("a"));
    processor.ready().await;
    let load = Load::start(&rig).await;
    commits(&processor, "it counts").await;
    let watch = Watch::start(&processor);
    for round in 0..3 {
        let cluster = rig.cluster();
        let coordinator = cluster.coordinator(&rig.group).unwrap();
        let joins = cluster.requests(ApiKey::JoinGroup);
        let lookups = cluster.requests(ApiKey::FindCoordinator);
        let hold = Duration::from_secs(10);
        cluster.inject(Fault::delay(hold).on(ApiKey::OffsetCommit).at(coordinator));
        until("a commit is under way", async || cluster.faults_left() == 0).await;
        watch.longest();
        let begin = Instant::now();
        cluster.kill(coordinator).unwrap();
        commits(&processor, "it commits at the new coordinator").await;
        let took = begin.elapsed();
        assert_ne!(cluster.coordinator(&rig.group), Some(coordinator));
        assert_eq!(cluster.requests(ApiKey::JoinGroup), joins, "the generation is kept");
        let lookups = cluster.requests(ApiKey::FindCoordinator) - lookups;
        row.measured(format!(
            "round {round}: 3 commits after {}, {lookups} FindCoordinator, 0 JoinGroup",
            seconds(took)
        ));
        cluster.start(coordinator).unwrap();
        commits(&processor, "it commits with all brokers").await;
    }
    let records = finish(&rig, processor, load).await;
    row.measured(format!(
        "{records} records, table exact, longest pause {}",
        seconds(watch.longest())
    ));
}

async fn s4e(row: Row) {
    let rig = Rig::new().await;
    let processor = rig.start(rig.env.config("a"));
    processor.ready().await;
    let load = Load::start(&rig).await;
    commits(&processor, "it counts").await;
    for node in rig.cluster().nodes() {
        rig.cluster().stop(node).unwrap();
    }
    tokio::time::sleep(2 * WINDOW).await;
    assert_eq!(processor.handle.state(), State::Running);
    let cluster = rig.cluster();
    let metadata = cluster.requests(ApiKey::Metadata);
    let before = processor.handle.stats().totals;
    let begin = Instant::now();
    for node in cluster.nodes() {
        cluster.start(node).unwrap();
    }
    until("it processes", async || processor.handle.stats().totals.records > before.records).await;
    let processes = begin.elapsed();
    until("it commits", async || processor.handle.stats().totals.commits > before.commits).await;
    let committed = begin.elapsed();
    let metadata = cluster.requests(ApiKey::Metadata) - metadata;
    assert!(committed < SLACK, "{committed:?}");
    row.measured(format!(
        "all brokers down for {}: processes after {}, commits after {}, {metadata} Metadata of all clients",
        seconds(2 * WINDOW),
        seconds(processes),
        seconds(committed)
    ));
    let records = finish(&rig, processor, load).await;
    row.measured(format!("{records} records, table exact"));
}

async fn s4f(row: Row) {
    let mut rig = Rig::new().await;
    let name = Name::of(rig.cluster().address(1).unwrap()).await;
    let through = |config: Config| Config { brokers: vec![name.address.to_string()], ..config };
    let processor = rig.start(through(rig.env.config("a")));
    processor.ready().await;
    let load = Load::through(&rig, through(rig.env.memory())).await;
    commits(&processor, "it counts").await;
    for round in 0..2 {
        let cluster = rig.cluster();
        for node in cluster.nodes() {
            cluster.kill(node).unwrap();
            cluster.readdress(node).unwrap();
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = processor.handle.stats().totals;
        let begin = Instant::now();
        for node in cluster.nodes() {
            cluster.start(node).unwrap();
        }
        name.move_to(cluster.address(2).unwrap());
        until("it commits", async || processor.handle.stats().totals.commits > before.commits)
            .await;
        let committed = begin.elapsed();
        assert!(committed < SLACK, "{committed:?}");
        row.measured(format!("round {round}: commits {} after all were there", seconds(committed)));
        commits(&processor, "it commits on").await;
    }
    // The test's own client was given addresses that nobody has any more.
    rig.env.client = Client::new(roka_client::Config::new(rig.cluster().bootstrap())).unwrap();
    let records = finish(&rig, processor, load).await;
    row.measured(format!("{records} records, table exact"));
}
