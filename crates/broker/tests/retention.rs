//! Retention by age and by size, and deleting records on request, move the log start.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode,
    messages::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic},
};
use support::{RawClient, batch_at, now_ms};

fn cluster(settings: &[(&str, &str)]) -> (Cluster, RawClient) {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic_with("t", 1, 1, settings).unwrap();
    let client = RawClient::of(&cluster);
    (cluster, client)
}

fn bounds(client: &mut RawClient) -> (i64, i64) {
    (client.list_offset("t", 0, -2).0, client.list_offset("t", 0, -1).0)
}

#[test]
fn old_segments_go_even_the_active_one() {
    let (cluster, mut client) = cluster(&[("retention.ms", "60000"), ("segment.bytes", "100")]);
    let old = now_ms() - 120_000;
    for timestamp in [old, old, now_ms()] {
        assert_eq!(client.produce("t", 0, batch_at(timestamp, &["some value"])).error_code, 0);
    }
    cluster.enforce_retention();
    assert_eq!(bounds(&mut client), (2, 3));

    let (cluster, mut client) = self::cluster(&[("retention.ms", "60000")]);
    assert_eq!(client.produce("t", 0, batch_at(old, &["a", "b"])).error_code, 0);
    cluster.enforce_retention();
    assert_eq!(bounds(&mut client), (2, 2));
    assert_eq!(client.produce_values("t", 0, &["c"]), 2);
    assert_eq!(client.values("t", 0, 2), [(2, "c".to_owned())]);
    let gone = client.fetch("t", 0, 0);
    assert_eq!(ErrorCode(gone.error_code), ErrorCode::OFFSET_OUT_OF_RANGE);
}

#[test]
fn a_log_keeps_at_least_the_bytes_it_is_allowed() {
    let (cluster, mut client) = cluster(&[("retention.bytes", "250"), ("segment.bytes", "100")]);
    for _ in 0..10 {
        // 72 bytes each, one per segment.
        assert_eq!(client.produce("t", 0, batch_at(now_ms(), &["abcd"])).error_code, 0);
    }
    cluster.enforce_retention();
    assert_eq!(bounds(&mut client), (6, 10));
}

#[test]
fn records_are_deleted_up_to_an_offset_within_a_batch() {
    let (_cluster, mut client) = cluster(&[]);
    client.produce_values("t", 0, &["a", "b", "c"]);
    let delete = |offset| DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: "t".into(),
            partitions: vec![DeleteRecordsPartition { partition_index: 0, offset }],
        }],
        timeout_ms: 1000,
    };
    let result = client.call(2, &delete(1)).topics.remove(0).partitions.remove(0);
    assert_eq!((result.error_code, result.low_watermark), (0, 1));
    assert_eq!(bounds(&mut client), (1, 3));
    assert_eq!(client.values("t", 0, 1).len(), 2);
    let beyond = client.call(2, &delete(4)).topics.remove(0).partitions.remove(0);
    assert_eq!(ErrorCode(beyond.error_code), ErrorCode::OFFSET_OUT_OF_RANGE);
    let all = client.call(2, &delete(-1)).topics.remove(0).partitions.remove(0);
    assert_eq!((all.error_code, all.low_watermark), (0, 3));
}
