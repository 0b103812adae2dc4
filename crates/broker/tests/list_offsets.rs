//! Offsets are found by time, to the record.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use roka_broker::Cluster;
use roka_protocol::records::{Compression, ProducerFields};
use support::{NO_HEADERS, RawClient, builder, now_ms};

#[test]
fn the_first_record_at_or_after_a_time_is_found() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic_with("t", 1, 1, &[("segment.bytes", "2000")]).unwrap();
    let mut client = RawClient::of(&cluster);
    let start = now_ms() - 10_000;
    for (compression, batch) in Compression::ALL.iter().cycle().zip(0..50) {
        let mut builder = builder(*compression);
        for record in 0..10 {
            let at = start + batch * 100 + record * 10;
            builder.push(at, None, Some(b"some value"), NO_HEADERS).unwrap();
        }
        let batch = builder.build(ProducerFields::NONE).unwrap();
        assert_eq!(client.produce("t", 0, batch).error_code, 0);
    }
    for (asked, offset) in [(0, 0), (10, 1), (11, 2), (1230, 123), (1231, 124), (4990, 499)] {
        let found = client.list_offset("t", 0, start + asked);
        assert_eq!(found, (offset, start + offset * 10), "{asked} ms");
    }
    assert_eq!(client.list_offset("t", 0, start + 4991), (-1, -1));
    assert_eq!(client.list_offset("t", 0, -3), (499, start + 4990));
}
