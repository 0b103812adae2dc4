//! S1: a producer is told that a partition's leader moved. It finds the new one at once, asks no more than needed, and
//! neither loses, doubles nor reorders anything.

use std::time::Duration;

use roka_client::producer::{Obstacle, ProduceError, ProducerConfig, RecordRef};
use roka_client::{ApiKey, Config, ErrorCode};

use crate::log::values;
use crate::support::{Since, another, attempts, client, cluster, ms, until};
use crate::table::{Row, Scenario, row};
use crate::writer::Writer;

const COUNTED: &[ApiKey] = &[ApiKey::Metadata, ApiKey::Produce];

pub(crate) fn rows() -> Vec<Scenario> {
    vec![
        row("S1a", "5 in flight: 5 refused Produce, then the new leader; 0 Metadata", s1a),
        row("S1b", "1 Metadata, 1 refused Produce", s1b),
        row("S1c", "2 s: <= 6 Metadata, <= 6 Produce at the old leader", s1c),
        row("S1d", "1000 partitions: 1 or 2 Metadata, <= 12 Produce", s1d),
        row("S1e", "leaderless 6 s: 0 Produce; Metadata by back-off 100 to 1000 ms +-20 %", s1e)
            .changed(
                "was <= 1 Metadata/s: the same table asks for back-off from 100 ms, so the first second has 4 to 5, and \
                 jitter of -20 % allows 1.25/s later",
            ),
        row("S1f", "DeliveryTimeout with the reason; 0 OUT_OF_ORDER afterwards", s1f),
        row("S1g", "an older hint is ignored: 1 Metadata, 0 Produce where it pointed", s1g),
        row("S1h", "1 dial, to the new address; 0 Metadata; old connections closed", s1h),
        row("S1i", "each of 13 codes: 1 retry, 0 failures", s1i),
    ]
}

async fn s1a(row: Row) {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster).await;
    let client = writer.client.clone();
    let old = cluster.leader("t", 0).unwrap().unwrap();
    let since = Since::now(&cluster, &client, COUNTED);
    cluster.hang(old).unwrap();
    writer.fill(5).await;
    writer.send(20).await;
    cluster.move_leader("t", 0, another(&cluster, "t", 0)).unwrap();
    let moved = std::time::Instant::now();
    cluster.resume(old).unwrap();
    writer.producer.flush().await.unwrap();
    row.measured(format!("{} after the move", ms(moved.elapsed())));
    assert_eq!(since.got(ApiKey::Metadata), 0);
    assert_eq!(since.errors(ApiKey::Produce), 5, "what was in flight, no more");
    row.measured(since.agreed());
    row.measured("5 refused");
    // And in a row, without anything in flight: one refusal each.
    let since = Since::now(&cluster, &client, COUNTED);
    for _ in 0..10 {
        cluster.move_leader("t", 0, another(&cluster, "t", 0)).unwrap();
        writer.write(1).await;
    }
    assert_eq!((since.got(ApiKey::Metadata), since.got(ApiKey::Produce)), (0, 20));
    row.measured(format!("10 moves: {}", since.agreed()));
    writer.check(&cluster).await;
}

async fn s1b(row: Row) {
    let cluster = cluster(1);
    cluster.leader_hints(false);
    let mut writer = Writer::new(&cluster).await;
    let client = writer.client.clone();
    let since = Since::now(&cluster, &client, COUNTED);
    cluster.move_leader("t", 0, another(&cluster, "t", 0)).unwrap();
    writer.write(1).await;
    assert_eq!((since.got(ApiKey::Metadata), since.got(ApiKey::Produce)), (1, 2));
    assert_eq!((since.errors(ApiKey::Produce), since.retries(ApiKey::Produce)), (1, 1));
    row.measured(since.agreed());
    writer.check(&cluster).await;
}

async fn s1c(row: Row) {
    let cluster = cluster(1);
    cluster.leader_hints(false);
    let mut writer = Writer::new(&cluster).await;
    let client = writer.client.clone();
    let old = cluster.leader("t", 0).unwrap().unwrap();
    cluster.freeze_metadata();
    cluster.move_leader("t", 0, another(&cluster, "t", 0)).unwrap();
    let (since, before) =
        (Since::now(&cluster, &client, COUNTED), cluster.requests_at(old, ApiKey::Produce));
    writer.send(1).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let asked = since.got(ApiKey::Metadata);
    let refused = cluster.requests_at(old, ApiKey::Produce).unwrap() - before.unwrap();
    let allowed = attempts(100, since.elapsed());
    assert!((3..=allowed).contains(&asked), "{asked} Metadata, {allowed} allowed");
    assert!((3..=allowed).contains(&refused), "{refused} Produce, {allowed} allowed");
    row.measured(format!("{asked} Metadata, {refused} Produce in {}", ms(since.elapsed())));
    cluster.thaw_metadata();
    let thawed = std::time::Instant::now();
    writer.producer.flush().await.unwrap();
    row.measured(format!("delivered {} after the truth", ms(thawed.elapsed())));
    writer.check(&cluster).await;
}

async fn s1d(row: Row) {
    const PARTITIONS: i32 = 1000;
    let cluster = cluster(PARTITIONS);
    cluster.leader_hints(false);
    let client = client(&cluster);
    // Nothing goes before the flush, so that the requests are the fewest.
    let config = ProducerConfig::default().linger(Duration::from_secs(60));
    let producer = client.producer(config).unwrap();
    let topic = producer.topic("t").await.unwrap();
    let write = async || {
        for p in 0..PARTITIONS {
            topic.send(p, RecordRef::value(b"v")).await.unwrap();
        }
        producer.flush().await.unwrap();
    };
    write().await;
    for p in 0..PARTITIONS {
        let leader = cluster.leader("t", p).unwrap().unwrap();
        cluster.move_leader("t", p, leader % 3 + 1).unwrap();
    }
    let since = Since::now(&cluster, &client, COUNTED);
    write().await;
    let asked = since.got(ApiKey::Metadata);
    assert!((1..=2).contains(&asked), "{asked} Metadata");
    // Three to old leaders and three to new ones, or a few more where answers came one by one.
    assert!((6..=12).contains(&since.got(ApiKey::Produce)), "{}", since.summary());
    row.measured(since.agreed());
    assert!((0..PARTITIONS).all(|p| cluster.end_offset("t", p).unwrap() == 2));
}

async fn s1e(row: Row) {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster).await;
    let client = writer.client.clone();
    cluster.leaderless("t", 0).unwrap();
    let since = Since::now(&cluster, &client, COUNTED);
    writer.send(10).await;
    until("the first refusal", || since.errors(ApiKey::Produce) > 0).await;
    until("the client knows", || client.metadata().leader("t", 0).is_none()).await;
    let (sent, begin) = (since.got(ApiKey::Produce), since.elapsed());
    writer.send(10).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(since.got(ApiKey::Produce), sent, "nobody to send to");
    let (asked, allowed) = (since.got(ApiKey::Metadata), attempts(100, since.elapsed()));
    assert!((6..=allowed).contains(&asked), "{asked} Metadata, {allowed} allowed");
    row.measured(format!("{sent} Produce until known ({}), then 0", ms(begin)));
    row.measured(format!("{asked} Metadata in {}, {allowed} allowed", ms(since.elapsed())));
    cluster.elect("t", 0).unwrap();
    let elected = std::time::Instant::now();
    writer.producer.flush().await.unwrap();
    row.measured(format!("delivered {} after the election", ms(elected.elapsed())));
    writer.check(&cluster).await;
}

async fn s1f(row: Row) {
    let cluster = cluster(1);
    let timeout = Duration::from_secs(2);
    let config = ProducerConfig::default().delivery_timeout(timeout).linger(Duration::ZERO);
    let client = roka_client::Client::new(
        Config::new(cluster.bootstrap()).request_timeout(Duration::from_secs(1)),
    );
    let producer = client.unwrap().producer(config).unwrap();
    let topic = producer.topic("t").await.unwrap();
    let write = async |value: &str| {
        let receipt = topic.send_with_receipt(0, RecordRef::value(value.as_bytes())).await.unwrap();
        receipt.await
    };
    write("a").await.unwrap();

    // Refused, so surely not written: the sequence is used again.
    cluster.leaderless("t", 0).unwrap();
    let begin = std::time::Instant::now();
    let error = write("lost").await.unwrap_err();
    row.measured(format!("failed after {}", ms(begin.elapsed())));
    assert!(begin.elapsed() >= timeout, "{:?}", begin.elapsed());
    let leaderless = matches!(
        &error,
        ProduceError::DeliveryTimeout { last: Some(last), .. } if matches!(**last, Obstacle::Leaderless)
    );
    assert!(leaderless, "{error}");
    cluster.elect("t", 0).unwrap();
    write("b").await.unwrap();

    // Sent and not answered, so perhaps written: a new epoch.
    let leader = cluster.leader("t", 0).unwrap().unwrap();
    cluster.hang(leader).unwrap();
    let receipt = topic.send_with_receipt(0, RecordRef::value(b"unknown")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    cluster.leaderless("t", 0).unwrap();
    let error = receipt.await.unwrap_err();
    assert!(matches!(error, ProduceError::DeliveryTimeout { maybe_written: true, .. }), "{error}");
    cluster.resume(leader).unwrap();
    cluster.elect("t", 0).unwrap();
    write("c").await.unwrap();
    write("d").await.unwrap();
    let mut written = values(&cluster, "t", 0);
    written.retain(|it| it != "unknown");
    assert_eq!(written, ["a", "b", "c", "d"]);
}

async fn s1g(row: Row) {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster).await;
    let client = writer.client.clone();
    for _ in 0..3 {
        cluster.move_leader("t", 0, another(&cluster, "t", 0)).unwrap();
        writer.write(1).await;
    }
    let old = cluster.leader("t", 0).unwrap().unwrap();
    let (new, third) = (old % 3 + 1, (old + 1) % 3 + 1);
    cluster.move_leader("t", 0, new).unwrap();
    cluster.hint_at("t", 0, Some((third, 1))).unwrap();
    let since = Since::now(&cluster, &client, COUNTED);
    let before = cluster.requests_at(third, ApiKey::Produce).unwrap();
    writer.write(1).await;
    assert_eq!((since.got(ApiKey::Metadata), since.got(ApiKey::Produce)), (1, 2));
    assert_eq!(cluster.requests_at(third, ApiKey::Produce).unwrap(), before);
    row.measured(since.agreed());
    writer.check(&cluster).await;
}

async fn s1h(row: Row) {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster).await;
    let client = writer.client.clone();
    let old = cluster.leader("t", 0).unwrap().unwrap();
    let (new, third) = (old % 3 + 1, (old + 1) % 3 + 1);
    // Connected to all of them as their leader.
    for node in [new, third, old] {
        cluster.move_leader("t", 0, node).unwrap();
        writer.write(1).await;
    }
    cluster.freeze_metadata();
    cluster.readdress(new).unwrap();
    cluster.move_leader("t", 0, new).unwrap();
    let since = Since::now(&cluster, &client, COUNTED);
    let dials = |node| cluster.connects(node).unwrap();
    let before = [dials(old), dials(new), dials(third)];
    writer.write(1).await;
    assert_eq!(since.got(ApiKey::Metadata), 0);
    assert_eq!([dials(old), dials(new), dials(third)], [before[0], before[1] + 1, before[2]]);
    until("the old connections are closed", || cluster.connections(new).unwrap() == 1).await;
    row.measured(since.agreed());
    row.measured("dials: 0 old, 1 new, 0 third");
    writer.check(&cluster).await;
}

async fn s1i(row: Row) {
    let codes = [2, 3, 5, 6, 7, 19, 20, 56, 72, 74, 75, 89, 100];
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster).await;
    let client = writer.client.clone();
    let since = Since::now(&cluster, &client, COUNTED);
    for (count, code) in (1..).zip(codes) {
        cluster.fail(ApiKey::Produce, ErrorCode(code), 1);
        writer.write(1).await;
        assert_eq!(since.errors(ApiKey::Produce), count, "{code}");
        assert_eq!(since.retries(ApiKey::Produce), count, "{code}");
    }
    let asked = since.got(ApiKey::Metadata);
    assert!(asked <= 2 * codes.len() as u64, "{asked} Metadata for {} errors", codes.len());
    assert_eq!(since.got(ApiKey::Produce), 2 * codes.len() as u64);
    row.measured(since.agreed());
    writer.check(&cluster).await;
}
