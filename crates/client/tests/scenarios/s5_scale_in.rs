//! S5: brokers leave the cluster. What is under way at them goes to the new leaders at once, nothing is lost or doubled, and
//! nothing of them stays behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use roka_broker::Fault;
use roka_client::consumer::{
    Consumer, ConsumerConfig, FetchEvent, FetcherConfig, ResetPolicy, Start,
};
use roka_client::producer::{ProducerConfig, RecordRef};
use roka_client::{ApiKey, Client, Config, TcpTransport, TopicPartition};

use crate::support::{PATIENCE, Since, another, attempts, client, cluster, ms, until};
use crate::table::{Row, Scenario, row};
use crate::writer::Writer;

const COUNTED: &[ApiKey] = &[ApiKey::Metadata, ApiKey::Produce];

pub(crate) fn rows() -> Vec<Scenario> {
    vec![
        row("S5a", "5 in flight go to the new leader without waiting: 1 Metadata, 0 back-offs", s5a),
        row("S5b", "1 s: dials by back-off 50 to 1000 ms, <= 6; Metadata by back-off 100 to 1000 ms", s5b)
            .changed(
                "was <= 3 Metadata: back-off 100 to 1000 ms asks at 0, 100, 300 and 700 ms, which is 4, 5 with jitter of -20 %",
            ),
        row("S5c", "20 s of back-off are cut short by the news", s5c),
        row("S5d", "a late answer counts: 0 doubled", s5d),
        row("S5e", "fetch follows although max_wait is 20 s", s5e),
        row("S5f", "scale-in of the coordinator: same generation, 1 or 2 FindCoordinator", s5f),
        row("S5g", "3 to 1 and back to 3: 0 connections to removed brokers, no tasks left behind", s5g),
    ]
}

async fn s5a(row: Row) {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster).await;
    let client = writer.client.clone();
    let leaving = cluster.leader("t", 0).unwrap().unwrap();
    // It answers questions for metadata, so that none has to go to another first.
    cluster.inject(Fault::swallow().on(ApiKey::Produce).at(leaving).times(5));
    writer.fill(5).await;
    // Leaders move, metadata drops the node, the client hears of it, then the connection ends.
    cluster.move_leader("t", 0, another(&cluster, "t", 0)).unwrap();
    cluster.hide(leaving).unwrap();
    let since = Since::now(&cluster, &client, COUNTED);
    client.refresh_metadata().await.unwrap();
    cluster.remove_node(leaving).unwrap();
    writer.producer.flush().await.unwrap();
    assert_eq!(since.sent(ApiKey::Metadata), 1);
    assert!((1..=5).contains(&since.sent(ApiKey::Produce)), "{}", since.summary());
    row.measured(format!("dropped, then closed: {}", since.summary()));
    writer.write(10).await;
    writer.check(&cluster).await;
}

async fn s5b(row: Row) {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster).await;
    let client = writer.client.clone();
    let leaving = cluster.leader("t", 0).unwrap().unwrap();
    cluster.freeze_metadata();
    cluster.stop(leaving).unwrap();
    let since = Since::now(&cluster, &client, COUNTED);
    writer.send(10).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (dials, asked) = (since.failed_dials(), since.sent(ApiKey::Metadata));
    let time = since.elapsed();
    assert!((2..=attempts(50, time)).contains(&dials), "{dials} dials in {time:?}");
    assert!((2..=attempts(100, time)).contains(&asked), "{asked} Metadata in {time:?}");
    row.measured(format!("{dials} failed dials, {asked} Metadata in {}", ms(time)));
    cluster.thaw_metadata();
    let thawed = Instant::now();
    writer.producer.flush().await.unwrap();
    row.measured(format!("delivered {} after the truth", ms(thawed.elapsed())));
    writer.check(&cluster).await;
}

async fn s5c(row: Row) {
    let cluster = cluster(1);
    cluster.create_topic("other", 1, 3).unwrap();
    let backoff = Duration::from_secs(20);
    let config = Config::new(cluster.bootstrap())
        .retry_backoff(backoff)
        .retry_backoff_max(backoff)
        .reconnect_backoff(backoff)
        .reconnect_backoff_max(backoff);
    let mut writer = Writer::with(config, ProducerConfig::default()).await;
    let client = writer.client.clone();
    let leaving = cluster.leader("t", 0).unwrap().unwrap();
    cluster.freeze_metadata();
    cluster.stop(leaving).unwrap();
    let since = Since::now(&cluster, &client, COUNTED);
    writer.send(1).await;
    until("the dial failed", || since.failed_dials() > 0).await;
    until("old metadata came", || since.sent(ApiKey::Metadata) > 0).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    cluster.thaw_metadata();
    // Whoever asks: a topic that is new to the client is asked for at once.
    let told = Instant::now();
    writer.producer.topic("other").await.unwrap();
    writer.producer.flush().await.unwrap();
    assert!(told.elapsed() < backoff / 2, "{:?}", told.elapsed());
    row.measured(format!("delivered {} after the news; {}", ms(told.elapsed()), since.summary()));
    writer.check(&cluster).await;
}

async fn s5d(row: Row) {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster).await;
    let client = writer.client.clone();
    let old = cluster.leader("t", 0).unwrap().unwrap();
    let late = Fault::answer_late(Duration::from_millis(700)).on(ApiKey::Produce).at(old);
    cluster.inject(late);
    let since = Since::now(&cluster, &client, COUNTED);
    writer.fill(1).await;
    until("it is written", || cluster.end_offset("t", 0).unwrap() == 2).await;
    cluster.move_leader("t", 0, another(&cluster, "t", 0)).unwrap();
    client.refresh_metadata().await.unwrap();
    writer.send(20).await;
    writer.producer.flush().await.unwrap();
    row.measured(since.summary());
    writer.write(5).await;
    writer.check(&cluster).await;
}

async fn s5e(row: Row) {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster).await;
    for hint in [true, false] {
        cluster.leader_hints(hint);
        let client = client(&cluster);
        let wait = Duration::from_secs(20);
        let fetcher = client.fetcher(FetcherConfig::default().max_wait(wait)).unwrap();
        let queue = fetcher.queue(1 << 20);
        let end = Start::Latest;
        fetcher.assign(TopicPartition::new("t", 0), end, ResetPolicy::Fail, &queue, 0);
        let leaving = cluster.leader("t", 0).unwrap().unwrap();
        let polled = || cluster.requests_at(leaving, ApiKey::Fetch).unwrap();
        let before = polled();
        until("a long poll at the leader", || polled() > before).await;
        let since = Since::now(&cluster, &client, &[ApiKey::Metadata, ApiKey::Fetch]);
        cluster.move_leader("t", 0, another(&cluster, "t", 0)).unwrap();
        cluster.stop(leaving).unwrap();
        writer.write(1).await;
        let begin = Instant::now();
        loop {
            let event = tokio::time::timeout(PATIENCE, queue.recv()).await.unwrap().unwrap();
            match event {
                FetchEvent::Data(_) => break,
                FetchEvent::Failed { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
        assert!(begin.elapsed() < wait / 2, "{:?}", begin.elapsed());
        let (asked, fetched) = (since.sent(ApiKey::Metadata), since.sent(ApiKey::Fetch));
        assert!(asked <= 3, "{asked} Metadata");
        assert!((1..=6).contains(&fetched), "{fetched} Fetch");
        row.measured(format!(
            "hint {hint}: {} after it was written, {}",
            ms(begin.elapsed()),
            since.summary()
        ));
        cluster.start(leaving).unwrap();
    }
    writer.check(&cluster).await;
}

async fn read(consumer: &mut Consumer) {
    tokio::time::timeout(PATIENCE, consumer.recv()).await.unwrap().unwrap();
}

async fn s5f(row: Row) {
    let cluster = cluster(1);
    let mut writer = Writer::new(&cluster).await;
    let client = client(&cluster);
    let config = ConsumerConfig::new("g", ["t"]).auto_commit(None);
    let mut consumer = client.consumer(config).unwrap();
    read(&mut consumer).await;
    consumer.commit().await.unwrap();
    let before = consumer.group().metadata();
    for round in 0..2 {
        let leaving = cluster.coordinator("g").unwrap();
        let counted = [ApiKey::FindCoordinator, ApiKey::JoinGroup, ApiKey::OffsetCommit];
        let since = Since::now(&cluster, &client, &counted);
        cluster.stop(leaving).unwrap();
        writer.write(1).await;
        read(&mut consumer).await;
        consumer.commit().await.unwrap();
        assert_eq!(consumer.group().metadata(), before, "no rebalance");
        assert_eq!(since.sent(ApiKey::JoinGroup), 0);
        let asked = since.sent(ApiKey::FindCoordinator);
        assert!((1..=2).contains(&asked), "{asked} FindCoordinator");
        row.measured(format!("{round}: {}", since.summary()));
        // It stays where it is when the other comes back.
        cluster.move_coordinator("g", cluster.coordinator("g").unwrap()).unwrap();
        cluster.start(leaving).unwrap();
    }
    let committed = consumer.group().committed(&[TopicPartition::new("t", 0)]).await.unwrap();
    let offset = committed.values().next().unwrap().as_ref().unwrap().position.offset;
    assert_eq!(offset, 3);
    writer.check(&cluster).await;
}

async fn s5g(row: Row) {
    let cluster = cluster(3);
    let config = Config::new(cluster.bootstrap());
    // On this runtime, so that its tasks can be counted.
    let handle = tokio::runtime::Handle::current();
    let client = Client::on_runtime(config, Arc::new(TcpTransport), handle.clone()).unwrap();
    let producer = client.producer(ProducerConfig::default().linger(Duration::ZERO)).unwrap();
    let topic = producer.topic("t").await.unwrap();
    let write = async || {
        for p in 0..3 {
            topic.send(p, RecordRef::value(b"v")).await.unwrap();
        }
        producer.flush().await.unwrap();
    };
    write().await;
    client.admin().list_groups().await.unwrap();
    let tasks = handle.metrics().num_alive_tasks();
    let open = |node| cluster.connections(node).unwrap();
    for round in 0..3 {
        for node in [2, 3] {
            // It hands over, metadata drops it, it still serves: the client closes by itself.
            for p in 0..3 {
                cluster.move_leader("t", p, 1).unwrap();
            }
            cluster.hide(node).unwrap();
        }
        write().await;
        client.refresh_metadata().await.unwrap();
        until("connections to leaving brokers are closed", || open(2) + open(3) == 0).await;
        for node in [2, 3] {
            cluster.stop(node).unwrap();
        }
        write().await;
        let least = handle.metrics().num_alive_tasks();
        for node in [2, 3] {
            cluster.start(node).unwrap();
            cluster.unhide(node).unwrap();
        }
        for p in 0..3 {
            cluster.move_leader("t", p, p + 1).unwrap();
        }
        write().await;
        client.refresh_metadata().await.unwrap();
        client.admin().list_groups().await.unwrap();
        let alive = || handle.metrics().num_alive_tasks();
        until("no more tasks than before", || alive() <= tasks).await;
        row.measured(format!(
            "round {round}: tasks {tasks}, {least} with one broker, {} after",
            alive()
        ));
    }
    assert!((0..3).all(|p| cluster.end_offset("t", p).unwrap() == 10));
}
