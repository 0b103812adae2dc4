//! Records that were produced are fetched with their offsets, in every version that carries batches.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use roka_broker::Cluster;
use support::{RawClient, batch_of};

#[test]
fn records_come_back_in_order_with_ascending_offsets() {
    let cluster = Cluster::builder().nodes(3).start_blocking().unwrap();
    cluster.create_topic("t", 2, 3).unwrap();
    for partition in 0..2 {
        let mut client = RawClient::of_leader(&cluster, "t", partition);
        assert_eq!(client.produce_values("t", partition, &["a", "b"]), 0);
        assert_eq!(client.produce_values("t", partition, &["c"]), 2);
        let values = client.values("t", partition, 0);
        let expected = [(0, "a"), (1, "b"), (2, "c")].map(|(at, it)| (at, it.to_owned()));
        assert_eq!(values, expected);
        assert_eq!(client.values("t", partition, 1), expected[1..]);
        assert_eq!(client.list_offset("t", partition, -1).0, 3);
        assert_eq!(client.list_offset("t", partition, -2).0, 0);
    }
}

#[test]
fn every_version_with_batches_produces() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut client = RawClient::of(&cluster);
    for (version, offset) in (3..=12).zip(0..) {
        let response = client.produce_with(version, "t", 0, batch_of(&["x"]), 1);
        assert_eq!((response.error_code, response.base_offset), (0, offset), "version {version}");
    }
}

#[test]
fn many_appends_are_read_across_their_borders() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut client = RawClient::of(&cluster);
    let text: Vec<String> = (0..3000).map(|it| format!("{it}-{}", "x".repeat(it % 97))).collect();
    let mut reader = RawClient::of(&cluster);
    for (at, value) in text.iter().enumerate() {
        client.produce_values("t", 0, &[value]);
        // A close reader cuts the log into small pieces.
        if at % 3 == 0 {
            assert_eq!(reader.fetch("t", 0, at as i64).high_watermark, at as i64 + 1);
        }
    }
    let values = client.values("t", 0, 0);
    assert!(values.iter().map(|(_, it)| it).eq(text.iter()));
    assert!(values.iter().zip(0..).all(|((at, _), expected)| *at == expected));
}
