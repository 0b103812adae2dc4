//! Transactions: all of their records and positions come into force, or none (KIP-98), in both versions of the protocol
//! (KIP-890).
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use roka_broker::Cluster;
use roka_protocol::ErrorCode;
use support::{
    RawClient, batch_of, sequenced_batch,
    txn::{Producer, Version, committed, describe, fetch_committed, last_stable, position},
};

const BOTH: [Version; 2] = [Version::First, Version::Second];

fn cluster() -> Cluster {
    let cluster = Cluster::builder().nodes(3).start_blocking().unwrap();
    cluster.create_topic("t", 3, 3).unwrap();
    cluster
}

#[test]
fn committed_records_are_visible_and_aborted_ones_are_not() {
    for version in BOTH {
        let cluster = cluster();
        let mut producer = Producer::new(&cluster, "tx", version);
        producer.write("t", 0, &["a", "b"]);
        assert_eq!(describe(&cluster, "tx").transaction_state, "Ongoing");
        assert_eq!(last_stable(&cluster, "t", 0), 0);
        assert!(committed(&cluster, "t", 0).is_empty());
        producer.end(true);
        assert_eq!(describe(&cluster, "tx").transaction_state, "CompleteCommit");
        // Two records and the marker.
        assert_eq!(last_stable(&cluster, "t", 0), 3);
        producer.write("t", 0, &["c"]);
        producer.end(false);
        assert_eq!(describe(&cluster, "tx").transaction_state, "CompleteAbort");
        producer.write("t", 0, &["d"]);
        producer.end(true);
        assert_eq!(committed(&cluster, "t", 0), ["a", "b", "d"], "{version:?}");
        let all = RawClient::of_leader(&cluster, "t", 0).fetch("t", 0, 0);
        assert_eq!((all.high_watermark, all.last_stable_offset), (7, 7));
    }
}

#[test]
fn an_open_transaction_holds_up_what_others_write_after_it() {
    for version in BOTH {
        let cluster = cluster();
        let mut slow = Producer::new(&cluster, "slow", version);
        let mut quick = Producer::new(&cluster, "quick", version);
        slow.write("t", 1, &["first"]);
        quick.write("t", 1, &["second"]);
        quick.end(true);
        RawClient::of_leader(&cluster, "t", 1).produce("t", 1, batch_of(&["third"]));
        assert!(committed(&cluster, "t", 1).is_empty());
        slow.end(false);
        assert_eq!(committed(&cluster, "t", 1), ["second", "third"]);
        // Who reads on after the aborted records need not know of them.
        let later = fetch_committed(&cluster, "t", 1, 5).aborted_transactions;
        assert!(later.unwrap_or_default().is_empty());
    }
}

#[test]
fn positions_are_pending_until_the_end() {
    for version in BOTH {
        let cluster = cluster();
        let mut producer = Producer::new(&cluster, "tx", version);
        for (offset, commits) in [(5, true), (9, false), (7, true)] {
            let before = position(&cluster, "g", "t", true).committed_offset;
            if version == Version::First {
                assert_eq!(producer.commit_offset("g", "t", 1), ErrorCode::TRANSACTION_ABORTABLE);
                assert_eq!(producer.add_offsets("g"), ErrorCode::NONE);
            }
            assert_eq!(producer.commit_offset("g", "t", offset), ErrorCode::NONE);
            let stable = position(&cluster, "g", "t", true);
            assert_eq!(ErrorCode(stable.error_code), ErrorCode::UNSTABLE_OFFSET_COMMIT);
            let unstable = position(&cluster, "g", "t", false);
            assert_eq!((unstable.error_code, unstable.committed_offset), (0, before));
            let described = describe(&cluster, "tx");
            assert_eq!(described.topics[0].topic, "__consumer_offsets");
            producer.end(commits);
            let after = position(&cluster, "g", "t", true);
            let expected = if commits { offset } else { before };
            assert_eq!((after.error_code, after.committed_offset), (0, expected));
        }
    }
}

#[test]
fn only_the_newest_instance_of_a_producer_may_write() {
    for version in BOTH {
        let cluster = cluster();
        let mut old = Producer::new(&cluster, "tx", version);
        old.write("t", 0, &["lost"]);
        let mut new = Producer::new(&cluster, "tx", version);
        assert!(new.producer_id == old.producer_id && new.epoch > old.epoch);
        assert_eq!(describe(&cluster, "tx").transaction_state, "Empty");
        let late = old.try_write("t", 0, &["late"]);
        assert_eq!(late, ErrorCode::INVALID_PRODUCER_EPOCH);
        assert_eq!(old.add("t", &[0]), ErrorCode::PRODUCER_FENCED);
        assert_eq!(old.try_end(true), ErrorCode::PRODUCER_FENCED);
        assert_eq!(old.try_init(60_000), ErrorCode::PRODUCER_FENCED);
        new.write("t", 0, &["kept"]);
        new.end(true);
        assert_eq!(committed(&cluster, "t", 0), ["kept"]);
    }
}

#[test]
fn records_outside_of_a_transaction_are_refused() {
    let cluster = cluster();
    let mut first = Producer::new(&cluster, "first", Version::First);
    assert_eq!(first.try_write_in(10, "t", 0, &["x"]), ErrorCode::INVALID_TXN_STATE);
    assert_eq!(first.try_write_in(11, "t", 0, &["x"]), ErrorCode::TRANSACTION_ABORTABLE);
    first.write("t", 1, &["y"]);
    assert_eq!(first.try_write_in(10, "t", 0, &["x"]), ErrorCode::INVALID_TXN_STATE);
    // Its partition has an open transaction, which this record is no part of.
    let plain = sequenced_batch(first.producer_id, first.epoch, 1, &["z"]);
    let outside = RawClient::of_leader(&cluster, "t", 1).produce("t", 1, plain);
    assert_eq!(ErrorCode(outside.error_code), ErrorCode::INVALID_TXN_STATE);
    first.end(true);
    assert_eq!(first.try_write_in(10, "t", 1, &["x"]), ErrorCode::INVALID_TXN_STATE);

    let mut second = Producer::new(&cluster, "second", Version::Second);
    second.write("t", 2, &["a"]);
    let (id, epoch) = (second.producer_id, second.epoch);
    second.end(true);
    assert_eq!((second.producer_id, second.epoch), (id, epoch + 1));
    second.epoch = epoch;
    assert_eq!(second.try_write("t", 2, &["late"]), ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(committed(&cluster, "t", 2), ["a"]);
}
