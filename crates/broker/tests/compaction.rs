//! Compaction keeps the newest record of each key and every offset.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use roka_broker::Cluster;
use roka_protocol::records::Compression;
use support::{
    RawClient, keyed_batch,
    txn::{Producer, Version, committed},
};

fn compacted(settings: &[(&str, &str)]) -> (Cluster, RawClient) {
    let cluster = Cluster::builder().start_blocking().unwrap();
    let mut all = vec![("cleanup.policy", "compact")];
    all.extend(settings);
    cluster.create_topic_with("t", 1, 1, &all).unwrap();
    let client = RawClient::of(&cluster);
    (cluster, client)
}

fn produce(client: &mut RawClient, compression: Compression, records: &[(&str, Option<&str>)]) {
    assert_eq!(client.produce("t", 0, keyed_batch(compression, records)).error_code, 0);
}

fn read(client: &mut RawClient) -> Vec<(i64, String)> {
    client.values("t", 0, 0)
}

fn at(records: &[(i64, &str)]) -> Vec<(i64, String)> {
    records.iter().map(|&(offset, value)| (offset, value.to_owned())).collect()
}

#[test]
fn the_newest_record_of_each_key_stays_at_its_offset() {
    for compression in Compression::ALL {
        let (cluster, mut client) = compacted(&[]);
        produce(&mut client, compression, &[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))]);
        produce(&mut client, compression, &[("a", Some("3")), ("c", Some("1"))]);
        cluster.compact("t").unwrap();
        assert_eq!(read(&mut client), at(&[(1, "1"), (3, "3"), (4, "1")]), "{compression}");
        // The end stays, and what is new comes after it.
        produce(&mut client, compression, &[("b", Some("2"))]);
        assert_eq!(read(&mut client), at(&[(1, "1"), (3, "3"), (4, "1"), (5, "2")]));
        cluster.compact("t").unwrap();
        assert_eq!(read(&mut client), at(&[(3, "3"), (4, "1"), (5, "2")]));
        assert_eq!(client.list_offset("t", 0, -1).0, 6);
        assert_eq!(client.list_offset("t", 0, -2).0, 0);
    }
}

#[test]
fn the_active_segment_is_left_alone() {
    let cluster =
        Cluster::builder().config("log.cleaner.backoff.ms", "10").start_blocking().unwrap();
    let settings = [("cleanup.policy", "compact"), ("segment.bytes", "100")];
    cluster.create_topic_with("t", 1, 1, &settings).unwrap();
    let mut client = RawClient::of(&cluster);
    for value in ["1", "2", "3"] {
        produce(&mut client, Compression::None, &[("a", Some(value))]);
    }
    // Each record has a segment of its own: the newest of the sealed ones stays beside that of the active one.
    let expected = at(&[(1, "2"), (2, "3")]);
    support::until("the sealed segments are compacted", || read(&mut client) == expected);
}

#[test]
fn tombstones_stay_for_their_time_and_then_go() {
    let (cluster, mut client) = compacted(&[("delete.retention.ms", "3600000")]);
    produce(&mut client, Compression::None, &[("a", Some("1")), ("b", Some("1")), ("a", None)]);
    cluster.compact("t").unwrap();
    cluster.compact("t").unwrap();
    assert_eq!(read(&mut client), at(&[(1, "1"), (2, "")]));

    let (cluster, mut client) = compacted(&[("delete.retention.ms", "0")]);
    produce(&mut client, Compression::None, &[("a", Some("1")), ("b", Some("1")), ("a", None)]);
    cluster.compact("t").unwrap();
    assert_eq!(read(&mut client), at(&[(1, "1"), (2, "")]), "the first compaction only sees it");
    cluster.compact("t").unwrap();
    assert_eq!(read(&mut client), at(&[(1, "1")]));
    assert_eq!(client.list_offset("t", 0, -1).0, 3);
}

#[test]
fn a_fetch_in_a_gap_goes_on_after_it() {
    let (cluster, mut client) = compacted(&[]);
    for value in 0..10 {
        produce(&mut client, Compression::None, &[("a", Some(&value.to_string()))]);
    }
    produce(&mut client, Compression::None, &[("b", Some("end"))]);
    cluster.compact("t").unwrap();
    assert_eq!(client.values("t", 0, 3), at(&[(9, "9"), (10, "end")]));
}

#[test]
fn compaction_by_itself_follows_the_dirty_ratio() {
    let cluster =
        Cluster::builder().config("log.cleaner.backoff.ms", "20").start_blocking().unwrap();
    let settings = [("cleanup.policy", "compact"), ("segment.bytes", "200")];
    cluster.create_topic_with("t", 1, 1, &settings).unwrap();
    let mut client = RawClient::of(&cluster);
    for value in 0..50 {
        produce(&mut client, Compression::None, &[("a", Some(&value.to_string()))]);
    }
    support::until("the log is compacted", || read(&mut client).len() <= 4);
    assert_eq!(read(&mut client).last(), Some(&(49, "49".to_owned())));
}

/// How many markers the log holds.
fn markers(cluster: &Cluster, topic: &str) -> usize {
    let (mut offset, mut count) = (0, 0);
    let mut client = RawClient::of_leader(cluster, topic, 0);
    loop {
        let records = client.fetch(topic, 0, offset).records.unwrap_or_default();
        if records.is_empty() {
            return count;
        }
        count += roka_protocol::records::Batches::new(records.clone())
            .filter(|it| it.as_ref().unwrap().is_control())
            .count();
        offset = support::next_offset(&records);
    }
}

#[test]
fn transactions_leave_their_newest_records_and_as_many_markers_as_those_need() {
    for version in [Version::First, Version::Second] {
        let cluster = Cluster::builder().start_blocking().unwrap();
        let settings = [("cleanup.policy", "compact"), ("delete.retention.ms", "0")];
        cluster.create_topic_with("c", 1, 1, &settings).unwrap();
        let mut producer = Producer::new(&cluster, "tx", version);
        let mut write = |key: &str, value: &str, commits: bool| {
            producer.write_keyed("c", &[(key, value)]);
            producer.end(commits);
        };
        write("x", "1", true);
        write("y", "2", true);
        write("x", "aborted", false);
        write("x", "3", true);
        write("y", "aborted", false);
        write("z", "4", true);
        let seen = || committed(&cluster, "c", 0);
        assert_eq!(seen(), ["1", "2", "3", "4"]);
        cluster.compact("c").unwrap();
        assert_eq!(seen(), ["2", "3", "4"], "{version:?}");
        assert_eq!(markers(&cluster, "c"), 6, "their time has not come");
        write("z", "5", true);
        cluster.compact("c").unwrap();
        assert_eq!(seen(), ["2", "3", "5"]);
        // Those of y=2, x=3 and z=5; that of z=4 was seen for the first time.
        assert_eq!(markers(&cluster, "c"), 4);
        // An open transaction ends what may be compacted.
        producer.write_keyed("c", &[("x", "open")]);
        cluster.compact("c").unwrap();
        assert_eq!(seen(), ["2", "3", "5"]);
        producer.end(true);
        cluster.compact("c").unwrap();
        assert_eq!(seen(), ["2", "5", "open"]);
    }
}
