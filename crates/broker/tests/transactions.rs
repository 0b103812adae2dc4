//! Transactions: all of their records and positions come into force, or none (KIP-98), in both versions of the protocol
//! (KIP-890).
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode,
    messages::{
        add_partitions_to_txn::{
            AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
        },
        list_transactions::ListTransactionsRequest,
        write_txn_markers::{WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest},
    },
};
use support::{
    RawClient, batch_of,
    group::{Member, commit_request},
    sequenced_batch,
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

#[test]
fn positions_are_kept_for_members_of_the_present_generation_only() {
    let cluster = cluster();
    let mut member = Member::new(&cluster);
    member.join_alone();
    let producer = Producer::new(&cluster, "tx", Version::Second);
    let (id, generation) = (member.id.as_str(), member.generation);
    let commit = |member, generation| producer.commit_offset_as("g", (member, generation), "t", 3);
    assert_eq!(commit(id, generation + 1), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(commit("stranger", generation), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(commit(id, generation), ErrorCode::NONE);
    // A producer from before KIP-447 names no member.
    assert_eq!(commit("", -1), ErrorCode::NONE);
}

#[test]
fn a_position_committed_outside_of_the_transaction_since_then_stays() {
    let cluster = cluster();
    let mut producer = Producer::new(&cluster, "tx", Version::Second);
    assert_eq!(producer.commit_offset("g", "t", 3), ErrorCode::NONE);
    let node = cluster.coordinator("g").unwrap();
    let committed = RawClient::at(&cluster, node).call(8, &commit_request("t", 0, 8));
    assert_eq!(committed.topics[0].partitions[0].error_code, 0);
    producer.end(true);
    assert_eq!(position(&cluster, "g", "t", true).committed_offset, 8);
}

#[test]
fn every_node_lists_the_transactions_that_it_coordinates() {
    let cluster = cluster();
    let mut open = Producer::new(&cluster, "open", Version::Second);
    open.write("t", 0, &["x"]);
    let idle = Producer::new(&cluster, "idle", Version::Second);
    let list = |states: &[&str], ids: &[i64], duration: i64| {
        let request = ListTransactionsRequest {
            state_filters: states.iter().map(|&it| it.to_owned()).collect(),
            producer_id_filters: ids.to_vec(),
            duration_filter: duration,
            ..Default::default()
        };
        let mut found = Vec::new();
        for node in cluster.nodes() {
            let response = RawClient::at(&cluster, node).call(1, &request);
            found.extend(response.transaction_states.into_iter().map(|it| it.transactional_id));
        }
        found.sort();
        found
    };
    assert_eq!(list(&[], &[], -1), ["idle", "open"]);
    assert_eq!(list(&["Ongoing", "Nonsense"], &[], -1), ["open"]);
    assert_eq!(list(&[], &[idle.producer_id], -1), ["idle"]);
    assert!(list(&[], &[], 600_000).is_empty());
}

#[test]
fn a_tool_may_end_a_transaction_in_a_partition_by_hand() {
    let cluster = cluster();
    let mut producer = Producer::new(&cluster, "tx", Version::Second);
    producer.write("t", 0, &["x"]);
    let mut leader = RawClient::of_leader(&cluster, "t", 0);
    let mut mark = |epoch: i16| {
        let topic = WritableTxnMarkerTopic { name: "t".to_owned(), partition_indexes: vec![0] };
        let marker = WritableTxnMarker {
            producer_id: producer.producer_id,
            producer_epoch: epoch,
            topics: vec![topic],
            ..Default::default()
        };
        let response = leader.call(1, &WriteTxnMarkersRequest { markers: vec![marker] });
        ErrorCode(response.markers[0].topics[0].partitions[0].error_code)
    };
    assert_eq!(mark(producer.epoch - 1), ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(last_stable(&cluster, "t", 0), 0);
    assert_eq!(mark(producer.epoch), ErrorCode::NONE);
    assert_eq!(last_stable(&cluster, "t", 0), 2);
    assert!(committed(&cluster, "t", 0).is_empty());
}

#[test]
fn brokers_add_and_verify_partitions_of_several_transactions_at_once() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    let one = Producer::new(&cluster, "one", Version::First);
    let two = Producer::new(&cluster, "two", Version::First);
    let ask = |of: &Producer<'_>, verify_only, partitions: &[i32]| AddPartitionsToTxnTransaction {
        transactional_id: of.id.clone(),
        producer_id: of.producer_id,
        producer_epoch: of.epoch,
        verify_only,
        topics: vec![AddPartitionsToTxnTopic {
            name: "t".to_owned(),
            partitions: partitions.to_vec(),
        }],
    };
    let call = |transactions| {
        let request = AddPartitionsToTxnRequest { transactions, ..Default::default() };
        let response = RawClient::of(&cluster).call(5, &request);
        let results = response.results_by_transaction.into_iter();
        let codes = results.map(|it| {
            let partitions = it.topic_results[0].results_by_partition.iter();
            partitions.map(|it| ErrorCode(it.partition_error_code)).collect::<Vec<_>>()
        });
        codes.collect::<Vec<_>>()
    };
    let abortable = ErrorCode::TRANSACTION_ABORTABLE;
    let added = call(vec![ask(&one, false, &[0]), ask(&two, true, &[0])]);
    assert_eq!(added, [vec![ErrorCode::NONE], vec![abortable]]);
    let checked = call(vec![ask(&one, true, &[0, 1])]);
    assert_eq!(checked, [vec![ErrorCode::NONE, abortable]]);
    let missing = call(vec![ask(&two, false, &[0, 7])]);
    let not_attempted = ErrorCode::OPERATION_NOT_ATTEMPTED;
    assert_eq!(missing, [vec![not_attempted, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]]);
}
