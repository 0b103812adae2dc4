//! Transactions when something is in the way: timeouts, moves, missing leaders, held markers, crashes.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use roka_broker::Cluster;
use roka_protocol::{ApiKey, ErrorCode, messages::api_versions::ApiVersionsRequest};
use support::{
    RawClient, sequenced_batch,
    txn::{Producer, Version, committed, describe, last_stable, position},
    until,
};

const BOTH: [Version; 2] = [Version::First, Version::Second];
const CONCURRENT: ErrorCode = ErrorCode::CONCURRENT_TRANSACTIONS;

fn cluster() -> Cluster {
    let cluster = Cluster::builder().nodes(3).start_blocking().unwrap();
    cluster.create_topic("t", 3, 3).unwrap();
    cluster
}

fn state(cluster: &Cluster, id: &str) -> String {
    describe(cluster, id).transaction_state
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted() {
    for version in BOTH {
        let cluster = cluster();
        let mut producer = Producer::new(&cluster, "tx", version);
        assert_eq!(producer.try_init(50), ErrorCode::NONE);
        producer.write("t", 0, &["lost"]);
        until("the timeout", || state(&cluster, "tx") == "CompleteAbort");
        // The record and its marker.
        assert_eq!(last_stable(&cluster, "t", 0), 2);
        assert_eq!(producer.try_write("t", 0, &["late"]), ErrorCode::INVALID_PRODUCER_EPOCH);
        let ended = producer.try_end(true);
        assert!(
            matches!(ended, ErrorCode::PRODUCER_FENCED | ErrorCode::INVALID_TXN_STATE),
            "{ended}"
        );
        assert!(committed(&cluster, "t", 0).is_empty());
    }
}

#[test]
fn timeouts_have_bounds() {
    let cluster =
        Cluster::builder().config("transaction.max.timeout.ms", "5000").start_blocking().unwrap();
    let mut producer = Producer {
        cluster: &cluster,
        id: "tx".to_owned(),
        producer_id: -1,
        epoch: -1,
        sequence: 0,
        version: Version::Second,
    };
    assert_eq!(producer.try_init(0), ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    assert_eq!(producer.try_init(5001), ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    assert_eq!(producer.try_init(5000), ErrorCode::NONE);
}

#[test]
fn nothing_begins_while_markers_are_missing() {
    for version in BOTH {
        let cluster = cluster();
        let mut producer = Producer::new(&cluster, "tx", version);
        producer.write("t", 0, &["a"]);
        if version == Version::First {
            assert_eq!(producer.add_offsets("g"), ErrorCode::NONE);
        }
        assert_eq!(producer.commit_offset("g", "t", 3), ErrorCode::NONE);
        cluster.hold_markers(true);
        producer.end(true);
        assert_eq!(state(&cluster, "tx"), "PrepareCommit");
        assert_eq!(producer.add("t", &[0]), CONCURRENT);
        assert_eq!(producer.try_write_in(12, "t", 1, &["b"]), CONCURRENT);
        assert_eq!(producer.try_write_in(11, "t", 1, &["b"]), ErrorCode::NOT_ENOUGH_REPLICAS);
        assert_eq!(producer.try_init(60_000), CONCURRENT);
        assert!(committed(&cluster, "t", 0).is_empty());
        let pending = position(&cluster, "g", "t", true);
        assert_eq!(ErrorCode(pending.error_code), ErrorCode::UNSTABLE_OFFSET_COMMIT);
        cluster.hold_markers(false);
        until("the markers", || state(&cluster, "tx") == "CompleteCommit");
        assert_eq!(committed(&cluster, "t", 0), ["a"]);
        assert_eq!(position(&cluster, "g", "t", true).committed_offset, 3);
    }
}

#[test]
fn markers_wait_for_leaders_and_deleted_topics_need_none() {
    let cluster = cluster();
    cluster.create_topic("gone", 1, 1).unwrap();
    let mut producer = Producer::new(&cluster, "tx", Version::Second);
    producer.write("t", 0, &["a"]);
    producer.sequence = 0;
    producer.write("t", 1, &["b"]);
    producer.sequence = 0;
    producer.write("gone", 0, &["c"]);
    cluster.leaderless("t", 1).unwrap();
    let request = roka_protocol::messages::delete_topics::DeleteTopicsRequest {
        topic_names: vec!["gone".to_owned()],
        timeout_ms: 1000,
        ..Default::default()
    };
    assert_eq!(RawClient::of(&cluster).call(5, &request).responses[0].error_code, 0);
    producer.end(true);
    assert_eq!(committed(&cluster, "t", 0), ["a"]);
    assert_eq!(state(&cluster, "tx"), "PrepareCommit");
    let left = describe(&cluster, "tx").topics;
    assert_eq!((left.len(), &left[0].partitions), (1, &vec![1]));
    cluster.elect("t", 1).unwrap();
    until("the last marker", || state(&cluster, "tx") == "CompleteCommit");
    assert_eq!(committed(&cluster, "t", 1), ["b"]);
}

#[test]
fn a_coordinator_moves_with_its_transactions() {
    let cluster = cluster();
    let mut producer = Producer::new(&cluster, "tx", Version::Second);
    producer.write("t", 0, &["a"]);
    let former = cluster.coordinator("tx").unwrap();
    let mut old = RawClient::at(&cluster, former);
    cluster.move_coordinator("tx", former % 3 + 1).unwrap();
    let request = roka_protocol::messages::end_txn::EndTxnRequest {
        transactional_id: "tx".to_owned(),
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
        committed: true,
    };
    let refused = ErrorCode(old.call(5, &request).error_code);
    assert_eq!(refused, ErrorCode::NOT_COORDINATOR);
    cluster.fail(ApiKey::EndTxn, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, 1);
    assert_eq!(producer.try_end(true), ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    cluster.kill(cluster.coordinator("tx").unwrap()).unwrap();
    producer.end(true);
    assert_eq!(committed(&cluster, "t", 0), ["a"]);
}

#[test]
fn a_commit_whose_answer_was_lost_is_repeated_and_not_turned_round() {
    for version in BOTH {
        let cluster = cluster();
        let mut producer = Producer::new(&cluster, "tx", version);
        producer.write("t", 0, &["a"]);
        let (id, epoch) = (producer.producer_id, producer.epoch);
        producer.end(true);
        let next = producer.epoch;
        (producer.producer_id, producer.epoch) = (id, epoch);
        assert_eq!(producer.try_end(false), ErrorCode::INVALID_TXN_STATE);
        producer.end(true);
        assert_eq!((producer.producer_id, producer.epoch), (id, next));
        assert_eq!(last_stable(&cluster, "t", 0), 2, "one marker");
    }
}

#[test]
fn the_feature_says_which_version_clients_shall_use() {
    let level = |cluster: &Cluster| {
        let request = ApiVersionsRequest {
            client_software_name: "raw".to_owned(),
            client_software_version: "1".to_owned(),
            ..Default::default()
        };
        let response = RawClient::of(cluster).call(3, &request);
        let features = response.finalized_features;
        let found = features.iter().find(|it| it.name == "transaction.version");
        (found.map(|it| it.max_version_level), response.finalized_features_epoch)
    };
    let cluster = Cluster::builder().transaction_version(1).start_blocking().unwrap();
    let (first, epoch) = level(&cluster);
    assert_eq!(first, Some(1));
    cluster.set_transaction_version(2).unwrap();
    assert_eq!(level(&cluster), (Some(2), epoch + 1));
    assert!(cluster.set_transaction_version(3).is_err());
    cluster.pretend("3.9").unwrap();
    assert_eq!(level(&cluster), (None, -1));
}

#[test]
fn a_restart_completes_what_was_decided_and_keeps_what_was_not() {
    for version in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let builder = || Cluster::builder().nodes(3).data_dir(dir.path());
        let cluster = builder().start_blocking().unwrap();
        cluster.create_topic("t", 2, 3).unwrap();
        let mut decided = Producer::new(&cluster, "decided", version);
        let mut open = Producer::new(&cluster, "open", version);
        let mut aborted = Producer::new(&cluster, "aborted", version);
        aborted.write("t", 0, &["never"]);
        aborted.end(false);
        if version == Version::First {
            assert_eq!(decided.add_offsets("g"), ErrorCode::NONE);
            assert_eq!(open.add_offsets("h"), ErrorCode::NONE);
        }
        decided.write("t", 0, &["a"]);
        assert_eq!(decided.commit_offset("g", "t", 4), ErrorCode::NONE);
        open.write("t", 1, &["b"]);
        assert_eq!(open.commit_offset("h", "t", 6), ErrorCode::NONE);
        cluster.hold_markers(true);
        decided.end(true);
        let (open_id, open_epoch, sequence) = (open.producer_id, open.epoch, open.sequence);
        cluster.shutdown();

        let cluster = builder().start_blocking().unwrap();
        until("the markers", || state(&cluster, "decided") == "CompleteCommit");
        assert_eq!(committed(&cluster, "t", 0), ["a"]);
        assert_eq!(position(&cluster, "g", "t", true).committed_offset, 4);
        assert_eq!(state(&cluster, "open"), "Ongoing");
        assert_eq!(last_stable(&cluster, "t", 1), 0);
        let pending = position(&cluster, "h", "t", true);
        assert_eq!(ErrorCode(pending.error_code), ErrorCode::UNSTABLE_OFFSET_COMMIT);
        let mut open = Producer {
            cluster: &cluster,
            id: "open".to_owned(),
            producer_id: open_id,
            epoch: open_epoch,
            sequence,
            version,
        };
        open.write("t", 1, &["c"]);
        open.end(true);
        assert_eq!(committed(&cluster, "t", 1), ["b", "c"]);
        assert_eq!(position(&cluster, "h", "t", true).committed_offset, 6);
        cluster.shutdown();

        let cluster = builder().start_blocking().unwrap();
        assert_eq!(committed(&cluster, "t", 0), ["a"]);
        assert_eq!(committed(&cluster, "t", 1), ["b", "c"]);
        if version == Version::Second {
            // The marker has raised the epoch, and the partition remembers.
            let late = sequenced_batch(open_id, open_epoch, sequence + 1, &["late"]);
            let response = RawClient::of_leader(&cluster, "t", 1).produce("t", 1, late);
            assert_eq!(ErrorCode(response.error_code), ErrorCode::INVALID_PRODUCER_EPOCH);
        }
    }
}
