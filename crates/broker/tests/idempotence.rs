//! Batches of idempotent producers are appended once and in order (KIP-98).
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use roka_broker::Cluster;
use roka_protocol::{ErrorCode, messages::init_producer_id::InitProducerIdRequest};
use support::{RawClient, sequenced_batch};

fn producer(client: &mut RawClient) -> (i64, i16) {
    let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let response = client.call(4, &request);
    assert_eq!(response.error_code, 0);
    (response.producer_id, response.producer_epoch)
}

fn cluster() -> (Cluster, RawClient) {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let client = RawClient::of(&cluster);
    (cluster, client)
}

#[test]
fn every_producer_gets_an_id_of_its_own() {
    let (_cluster, mut client) = cluster();
    let (first, epoch) = producer(&mut client);
    let (second, _) = producer(&mut client);
    assert!(first != second && epoch == 0);
}

#[test]
fn one_of_the_last_five_batches_again_gets_its_old_offset() {
    let (_cluster, mut client) = cluster();
    let (id, epoch) = producer(&mut client);
    for sequence in 0..7 {
        let response = client.produce("t", 0, sequenced_batch(id, epoch, sequence, &["x"]));
        assert_eq!((response.error_code, response.base_offset), (0, i64::from(sequence)));
    }
    for sequence in 2..7 {
        let response = client.produce("t", 0, sequenced_batch(id, epoch, sequence, &["x"]));
        assert_eq!((response.error_code, response.base_offset), (0, i64::from(sequence)));
    }
    // Older ones are forgotten, and so out of order.
    let response = client.produce("t", 0, sequenced_batch(id, epoch, 1, &["x"]));
    assert_eq!(ErrorCode(response.error_code), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(client.values("t", 0, 0).len(), 7);
}

#[test]
fn a_gap_is_refused() {
    let (_cluster, mut client) = cluster();
    let (id, epoch) = producer(&mut client);
    client.produce("t", 0, sequenced_batch(id, epoch, 0, &["a", "b"]));
    let gap = client.produce("t", 0, sequenced_batch(id, epoch, 3, &["d"]));
    assert_eq!(ErrorCode(gap.error_code), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(client.produce("t", 0, sequenced_batch(id, epoch, 2, &["c"])).base_offset, 2);
}

#[test]
fn a_new_epoch_begins_at_zero_and_fences_the_old() {
    let (_cluster, mut client) = cluster();
    let (id, epoch) = producer(&mut client);
    client.produce("t", 0, sequenced_batch(id, epoch, 0, &["a"]));
    let not_zero = client.produce("t", 0, sequenced_batch(id, epoch + 1, 1, &["b"]));
    assert_eq!(ErrorCode(not_zero.error_code), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(client.produce("t", 0, sequenced_batch(id, epoch + 1, 0, &["b"])).error_code, 0);
    let old = client.produce("t", 0, sequenced_batch(id, epoch, 1, &["c"]));
    assert_eq!(ErrorCode(old.error_code), ErrorCode::INVALID_PRODUCER_EPOCH);
}

#[test]
fn sequences_wrap_to_zero() {
    let (_cluster, mut client) = cluster();
    let (id, epoch) = producer(&mut client);
    // An unknown producer may begin anywhere: its state may have gone with its records.
    let first = client.produce("t", 0, sequenced_batch(id, epoch, i32::MAX - 1, &["a", "b", "c"]));
    assert_eq!(first.error_code, 0);
    let next = client.produce("t", 0, sequenced_batch(id, epoch, 1, &["d"]));
    assert_eq!((next.error_code, next.base_offset), (0, 3));
}
