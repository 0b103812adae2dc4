//! Consumers in a group read everything at least once, whatever happens to them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod consuming;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use consuming::*;
use roka_broker::Cluster;
use roka_client::{
    ApiKey, ErrorCode,
    consumer::{Chunk, Consumer, ConsumerConfig, ConsumerError, FetchError, Position},
    group::assignor::{Assignor, CooperativeSticky, Range},
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

const GROUP: &str = "readers";
const PARTITIONS: i32 = 6;

async fn groups() -> Cluster {
    let cluster = Cluster::builder()
        .nodes(3)
        .config("group.min.session.timeout.ms", "100")
        .start()
        .await
        .unwrap();
    cluster.create_topic(TOPIC, PARTITIONS, 3).unwrap();
    cluster.cap_versions(ApiKey::Produce, 0..=12);
    cluster
}

fn config() -> ConsumerConfig {
    let mut config = ConsumerConfig::new(GROUP, [TOPIC]);
    config.group = config.group.heartbeat_interval(Duration::from_millis(50));
    config.auto_commit(Duration::from_millis(50))
}

async fn next(consumer: &mut Consumer) -> Chunk {
    timeout(PATIENCE, consumer.recv()).await.expect("nothing came").unwrap()
}

/// How often each number of each partition was read.
type Seen = Arc<Mutex<BTreeMap<(i32, u64), usize>>>;

fn note(seen: &Seen, chunk: &Chunk) {
    let mut seen = seen.lock().unwrap();
    for number in numbers(chunk) {
        *seen.entry((chunk.partition().partition, number)).or_default() += 1;
    }
}

/// A consumer that reads until it is told to stop.
struct Reader {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Reader {
    fn start(cluster: &Cluster, config: ConsumerConfig, seen: &Seen) -> Self {
        let client = client(cluster);
        let mut consumer = client.consumer(config).unwrap();
        let (stop, mut stopped) = watch::channel(false);
        let seen = seen.clone();
        let task = tokio::spawn(async move {
            loop {
                // Dropped in the middle of anything, as users do.
                tokio::select! {
                    chunk = consumer.recv() => note(&seen, &chunk.unwrap()),
                    _ = stopped.changed() => break,
                }
            }
            consumer.close().await.unwrap();
        });
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        timeout(PATIENCE, self.task).await.expect("did not stop").unwrap();
    }
}

async fn all_seen(seen: &Seen, count: u64) {
    let wanted = usize::try_from(count).unwrap() * PARTITIONS as usize;
    until("everything read", || seen.lock().unwrap().len() >= wanted).await;
}

#[tokio::test]
async fn reads_from_the_committed_offset_on() {
    let cluster = groups().await;
    let writer = client(&cluster);
    for partition in 0..PARTITIONS {
        produce(&writer, partition, 0..10).await;
    }
    let seen = Seen::default();
    let reader = Reader::start(&cluster, config(), &seen);
    all_seen(&seen, 10).await;
    reader.stop().await;
    for partition in 0..PARTITIONS {
        produce(&writer, partition, 10..20).await;
    }
    let reader = Reader::start(&cluster, config(), &seen);
    all_seen(&seen, 20).await;
    reader.stop().await;
    assert!(seen.lock().unwrap().values().all(|times| *times == 1), "committed, but read again");
}

#[tokio::test]
async fn members_that_come_and_go_read_everything() {
    for assignor in [Arc::new(Range) as Arc<dyn Assignor>, Arc::new(CooperativeSticky)] {
        let cluster = groups().await;
        let mut config = config();
        config.assignors = vec![assignor];
        let seen = Seen::default();
        let writer = client(&cluster);
        let mut readers = vec![Reader::start(&cluster, config.clone(), &seen)];
        for round in 0..6 {
            for partition in 0..PARTITIONS {
                produce(&writer, partition, round * 20..round * 20 + 20).await;
            }
            match round {
                0 | 1 => readers.push(Reader::start(&cluster, config.clone(), &seen)),
                2 | 4 => readers.remove(0).stop().await,
                _ => {
                    let node = cluster.nodes()[round as usize % 3];
                    cluster.move_coordinator(GROUP, node).unwrap();
                }
            }
            all_seen(&seen, round * 20 + 20).await;
        }
        for reader in readers {
            reader.stop().await;
        }
        let seen = seen.lock().unwrap();
        // All of it was let go of in order, so nothing had to be read twice.
        let twice = seen.values().filter(|times| **times > 1).count();
        assert_eq!(twice, 0, "of {}", seen.len());
    }
}

#[tokio::test]
async fn what_a_dead_member_did_not_commit_is_read_again() {
    let cluster = groups().await;
    let writer = client(&cluster);
    for partition in 0..PARTITIONS {
        produce(&writer, partition, 0..10).await;
    }
    let mut config = config().auto_commit(None);
    config.group = config.group.session_timeout(Duration::from_secs(3));
    let dying = client(&cluster);
    let mut consumer = dying.consumer(config.clone()).unwrap();
    let first = next(&mut consumer).await;
    consumer.commit().await.unwrap();
    let second = next(&mut consumer).await;
    dying.close().await;
    let seen = Seen::default();
    let reader = Reader::start(&cluster, config, &seen);
    let wanted = 10 * PARTITIONS as usize - numbers(&first).len();
    until("the rest", || seen.lock().unwrap().len() >= wanted).await;
    reader.stop().await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), wanted);
    assert!(seen.contains_key(&(second.partition().partition, 0)), "read, but not committed");
    assert!(!seen.contains_key(&(first.partition().partition, 0)), "committed");
}

#[tokio::test]
async fn offsets_are_committed_only_after_the_user_came_back() {
    let cluster = groups().await;
    let client = client(&cluster);
    produce(&client, 0, 0..10).await;
    let mut consumer = client.consumer(config()).unwrap();
    let chunk = next(&mut consumer).await;
    // Processing takes longer than the interval, which is that of the heartbeats too.
    let beats = cluster.requests(ApiKey::Heartbeat);
    until("heartbeats", || cluster.requests(ApiKey::Heartbeat) >= beats + 3).await;
    let committed = consumer.group().committed(&[part(0)]).await.unwrap();
    assert_eq!(committed[&part(0)], None);
    assert_eq!(chunk.next().offset, 10);
    // Coming back commits, without anything new to read.
    let group = consumer.group().clone();
    let committed = async {
        while group.committed(&[part(0)]).await.unwrap()[&part(0)].is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        chunk = consumer.recv() => panic!("there is nothing more: {chunk:?}"),
        committed = timeout(PATIENCE, committed) => committed.expect("never committed"),
    }
}

#[tokio::test]
async fn a_topic_made_anew_is_never_read_on_as_the_old_one() {
    let cluster = groups().await;
    let writer = client(&cluster);
    for partition in 0..PARTITIONS {
        produce(&writer, partition, 0..10).await;
    }
    let reader = client(&cluster);
    let mut consumer = reader.consumer(config().auto_commit(None)).unwrap();
    for _ in 0..PARTITIONS {
        assert_eq!(numbers(&next(&mut consumer).await), (0..10).collect::<Vec<_>>());
    }
    writer.admin().delete_topic(TOPIC).await.unwrap();
    cluster.create_topic(TOPIC, PARTITIONS, 3).unwrap();
    let writer = client(&cluster);
    for partition in 0..PARTITIONS {
        // Longer than the old one, so that the old position exists in it.
        produce(&writer, partition, 100..110).await;
        produce(&writer, partition, 110..120).await;
    }
    // Each partition either fails, typed, or was given up and assigned anew: the new topic is read from its beginning.
    let mut read: BTreeMap<i32, i64> = BTreeMap::new();
    while read.values().filter(|next| **next == 20).count() < PARTITIONS as usize {
        match timeout(PATIENCE, consumer.recv()).await.expect("nothing came") {
            Err(ConsumerError::Fetch(FetchError::TopicRecreated { partition, was, is })) => {
                assert_ne!(was, is);
                consumer.seek(&partition, Position::at(0));
            }
            Err(error) => panic!("{error}"),
            Ok(chunk) => {
                let next = read.entry(chunk.partition().partition).or_default();
                assert!([0, *next].contains(&chunk.offset()), "in the midst: {}", chunk.offset());
                let first = u64::try_from(chunk.offset()).unwrap() + 100;
                assert_eq!(numbers(&chunk)[0], first, "of the new topic");
                *next = chunk.next().offset;
            }
        }
    }
}

#[tokio::test]
async fn a_partition_that_fails_is_named_and_the_others_go_on() {
    let cluster = groups().await;
    let client = client(&cluster);
    for partition in 0..PARTITIONS {
        produce(&client, partition, 0..10).await;
    }
    let mut consumer = client.consumer(config().auto_commit(None)).unwrap();
    next(&mut consumer).await;
    // An offset that is not in the log.
    consumer.commit_at(part(2), Position::at(500)).await.unwrap();
    consumer.close().await.unwrap();
    let mut consumer = client.consumer(config()).unwrap();
    let (mut chunks, mut failed) = (0, 0);
    while chunks < PARTITIONS {
        match timeout(PATIENCE, consumer.recv()).await.expect("nothing came") {
            Ok(chunk) => {
                chunks += 1;
                assert_eq!(numbers(&chunk), (0..10).collect::<Vec<_>>());
            }
            Err(ConsumerError::Fetch(FetchError::OutOfRange {
                partition, offset: 500, ..
            })) => {
                failed += 1;
                consumer.seek(&partition, Position::at(0));
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(failed, 1);
}

#[tokio::test]
async fn errors_that_pass_do_not_reach_the_user() {
    let cluster = groups().await;
    let writer = client(&cluster);
    for (api, code) in [
        (ApiKey::OffsetFetch, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
        (ApiKey::OffsetCommit, ErrorCode::NOT_COORDINATOR),
        (ApiKey::Fetch, ErrorCode::NOT_LEADER_OR_FOLLOWER),
        (ApiKey::ListOffsets, ErrorCode::LEADER_NOT_AVAILABLE),
        (ApiKey::Heartbeat, ErrorCode::COORDINATOR_NOT_AVAILABLE),
        (ApiKey::JoinGroup, ErrorCode::NOT_COORDINATOR),
        (ApiKey::SyncGroup, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
    ] {
        cluster.fail(api, code, 3);
    }
    let seen = Seen::default();
    let reader = Reader::start(&cluster, config(), &seen);
    for round in 0..5 {
        for partition in 0..PARTITIONS {
            produce(&writer, partition, round * 10..round * 10 + 10).await;
        }
        all_seen(&seen, round * 10 + 10).await;
    }
    reader.stop().await;
    assert!(seen.lock().unwrap().values().all(|times| *times == 1));
}

#[tokio::test]
async fn brokers_die_and_come_back_under_a_group() {
    let cluster = groups().await;
    let writer = client(&cluster);
    let seen = Seen::default();
    let readers: Vec<_> = (0..2).map(|_| Reader::start(&cluster, config(), &seen)).collect();
    for round in 0..6 {
        let node = cluster.nodes()[round as usize % 3];
        cluster.kill(node).unwrap();
        for partition in 0..PARTITIONS {
            produce(&writer, partition, round * 10..round * 10 + 10).await;
        }
        all_seen(&seen, round * 10 + 10).await;
        cluster.start(node).unwrap();
    }
    for reader in readers {
        reader.stop().await;
    }
}
