//! Coordinators that are busy, move, answer late or not at all; leaders that move; brokers that come and go.

use std::time::Duration;

use roka_broker::{Cluster, Fault};
use roka_client::consumer::Position;
use roka_client::group::GroupMetadata;
use roka_client::producer::{
    Recovery, Transaction, TransactionError, TransactionalConfig, TransactionalProducer,
};
use roka_client::{ApiKey, Client, ErrorCode};

use crate::support::{PATIENCE, Place, send};

/// What a transaction asks at that level, besides Produce.
fn steps(level: i16) -> &'static [ApiKey] {
    match level {
        2 => &[ApiKey::TxnOffsetCommit, ApiKey::EndTxn],
        _ => &[
            ApiKey::AddPartitionsToTxn,
            ApiKey::AddOffsetsToTxn,
            ApiKey::TxnOffsetCommit,
            ApiKey::EndTxn,
        ],
    }
}

/// One transaction with a record for partition 0 and a position.
pub(crate) async fn run(
    place: &Place,
    producer: &TransactionalProducer,
    value: &str,
) -> Result<(), TransactionError> {
    let topic = producer.topic(&place.name).await?;
    let mut transaction = producer.begin().await?;
    send(&topic, 0, value).await;
    let group = GroupMetadata::without_member(format!("group-{}", place.name));
    let sent = transaction.send_offsets(&group, [(place.partition(0), Position::at(1))]).await;
    if let Err(error) = sent {
        if error.recovery() == Recovery::Abort {
            transaction.abort().await?;
        }
        return Err(error);
    }
    transaction.commit().await
}

pub(crate) async fn what_passes_at_a_coordinator_is_waited_for(place: Place) {
    let Some(cluster) = &place.cluster else { return };
    let codes = [
        ErrorCode::CONCURRENT_TRANSACTIONS,
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
    ];
    let mut expected = Vec::new();
    for code in codes {
        cluster.fail(ApiKey::InitProducerId, code, 2);
        let producer = place.producer().await;
        assert_eq!(cluster.faults_left(), 0, "{code}");
        for &api in steps(place.level) {
            cluster.fail(api, code, 2);
            let value = format!("{api} {code}");
            run(&place, &producer, &value).await.unwrap_or_else(|error| panic!("{value}: {error}"));
            assert_eq!(cluster.faults_left(), 0, "{value}");
            expected.push(value);
        }
        producer.close().await.unwrap();
    }
    assert_eq!(place.committed(0).await, expected);
}

pub(crate) async fn an_end_without_an_answer_is_asked_for_again(mut place: Place) {
    let Some(cluster) = place.cluster.take() else { return };
    let config = place.client.config().clone().request_timeout(Duration::from_millis(500));
    place.client = Client::new(config).unwrap();
    let producer = place.producer().await;
    let topic = producer.topic(&place.name).await.unwrap();
    let faults = [Fault::disconnect, Fault::drop_response, Fault::swallow, Fault::repeat];
    let mut expected = Vec::new();
    for (round, fault) in (0..8).zip(faults.into_iter().cycle()) {
        let commit = round < 4;
        let mut transaction = producer.begin().await.unwrap();
        send(&topic, 0, &round.to_string()).await;
        producer.flush().await.unwrap();
        cluster.inject(fault().on(ApiKey::EndTxn));
        if commit {
            transaction.commit().await.unwrap();
            expected.push(round.to_string());
        } else {
            transaction.abort().await.unwrap();
        }
        assert_eq!(cluster.faults_left(), 0, "round {round}");
    }
    assert_eq!(place.committed(0).await, expected);
}

pub(crate) async fn coordinators_and_leaders_move(place: Place) {
    let Some(cluster) = &place.cluster else { return };
    let producer = place.producer().await;
    let topic = producer.topic(&place.name).await.unwrap();
    let mut expected = Vec::new();
    for round in 0..9 {
        let node = round % 3 + 1;
        let mut transaction = producer.begin().await.unwrap();
        send(&topic, 0, &format!("{round} a")).await;
        cluster.move_leader(&place.name, 0, node).unwrap();
        send(&topic, 0, &format!("{round} b")).await;
        producer.flush().await.unwrap();
        cluster.move_coordinator(&place.name, node).unwrap();
        send(&topic, 1, "x").await;
        transaction.commit().await.unwrap();
        expected.extend([format!("{round} a"), format!("{round} b")]);
    }
    assert_eq!(place.committed(0).await, expected);
    assert_eq!(place.committed(1).await.len(), 9);
}

pub(crate) async fn a_failure_of_records_aborts_and_the_next_transaction_goes_on(place: Place) {
    let Some(cluster) = &place.cluster else { return };
    let producer = place.producer().await;
    let topic = producer.topic(&place.name).await.unwrap();
    let codes = [
        ErrorCode::INVALID_RECORD,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::INVALID_TXN_STATE,
        ErrorCode::TRANSACTION_ABORTABLE,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode(9999),
    ];
    let mut expected = Vec::new();
    for code in codes {
        let mut transaction = producer.begin().await.unwrap();
        send(&topic, 0, "first").await;
        producer.flush().await.unwrap();
        cluster.fail(ApiKey::Produce, code, 1);
        send(&topic, 0, "second").await;
        let error = transaction.commit().await.unwrap_err();
        assert_eq!((error.recovery(), error.code()), (Recovery::Abort, Some(code)), "{error}");
        assert_eq!(cluster.faults_left(), 0, "{code}");
        // It is aborted already; saying so again does no harm.
        transaction.abort().await.unwrap();
        for i in 0..2 {
            let mut transaction = producer.begin().await.unwrap();
            let value = format!("{code} {i}");
            send(&topic, 0, &value).await;
            transaction.commit().await.unwrap_or_else(|error| panic!("after {code}: {error}"));
            expected.push(value);
        }
    }
    assert_eq!(place.committed(0).await, expected);
    assert_eq!(producer.buffered_bytes(), 0);
}

pub(crate) async fn fenced_at_any_step_is_the_end(place: Place) {
    let Some(cluster) = &place.cluster else { return };
    for &api in steps(place.level).iter().chain(&[ApiKey::Produce]) {
        let producer = place.producer().await;
        cluster.fail(api, ErrorCode::PRODUCER_FENCED, 1);
        let error = run(&place, &producer, "zombie").await.unwrap_err();
        assert!(error.is_fenced(), "{api}: {error}");
        let error = producer.begin().await.unwrap_err();
        assert!(error.is_fenced(), "{api}: {error}");
        assert_eq!(cluster.faults_left(), 0, "{api}");
    }
    // The next one with the id settles what they left.
    let producer = place.producer().await;
    run(&place, &producer, "alive").await.unwrap();
    assert_eq!(place.committed(0).await, ["alive"]);
}

pub(crate) async fn a_transaction_waits_for_the_one_before_to_be_completed(place: Place) {
    let Some(cluster) = &place.cluster else { return };
    let producer = place.producer().await;
    let topic = producer.topic(&place.name).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    send(&topic, 0, "a").await;
    producer.flush().await.unwrap();
    cluster.hold_markers(true);
    transaction.commit().await.unwrap();
    let mut next = producer.begin().await.unwrap();
    send(&topic, 0, "b").await;
    let ending = async { next.commit().await };
    let release = async {
        let api = if place.level == 2 { ApiKey::Produce } else { ApiKey::AddPartitionsToTxn };
        let asked = cluster.requests(api);
        // It is refused and asks again.
        while cluster.requests(api) < asked + 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        cluster.hold_markers(false);
    };
    let both = async { tokio::join!(ending, release) };
    tokio::time::timeout(PATIENCE, both).await.unwrap().0.unwrap();
    assert_eq!(place.committed(0).await, ["a", "b"]);
}

/// What a worker does: inputs in order, each with an output and its position, all of it in transactions.
struct Worker {
    producer: TransactionalProducer,
    group: GroupMetadata,
}

impl Worker {
    async fn new(place: &Place, client: &Client) -> Self {
        let id = place.name.as_str();
        let producer = loop {
            // A dead cluster for a while is no reason to give up.
            match client.transactional_producer(TransactionalConfig::new(id)).await {
                Ok(producer) => break producer,
                Err(error) => assert_eq!(error.recovery(), Recovery::Retry, "{error}"),
            }
        };
        let group = GroupMetadata::without_member(format!("group-{id}"));
        Self { producer, group }
    }

    /// Processes inputs from `from` to before `to`.
    async fn process(&self, place: &Place, from: i64, to: i64) -> Result<(), TransactionError> {
        let topic = self.producer.topic(&place.name).await?;
        let mut transaction = self.producer.begin().await?;
        for input in from..to {
            let value = input.to_string();
            let record = roka_client::producer::RecordRef::value(value.as_bytes());
            if topic.send((input % 2) as i32, record).await.is_err() {
                // The commit says why.
                break;
            }
        }
        let sent = transaction.send_offsets(&self.group, [(place.partition(0), Position::at(to))]);
        if let Err(error) = sent.await
            && error.recovery() == Recovery::Fatal
        {
            return Err(error);
        }
        commit(&mut transaction).await
    }
}

async fn commit(transaction: &mut Transaction) -> Result<(), TransactionError> {
    loop {
        match transaction.commit().await {
            Err(error) if error.recovery() == Recovery::Retry => {}
            ended => return ended,
        }
    }
}

fn disturb(cluster: &Cluster, place: &Place, round: i64) {
    let node = (round / 8 % 3 + 1) as i32;
    match round % 8 {
        0 => cluster.kill(node).unwrap(),
        1 | 5 => cluster.start(node).unwrap(),
        2 => cluster.inject(Fault::disconnect().on(ApiKey::EndTxn)),
        3 => cluster.inject(Fault::disconnect().on(ApiKey::Produce)),
        4 => cluster.stop(node).unwrap(),
        6 => cluster.move_coordinator(&place.name, node).unwrap(),
        _ => cluster.inject(Fault::disconnect().on(ApiKey::TxnOffsetCommit)),
    }
}

pub(crate) async fn every_input_counts_once_while_brokers_come_and_go(place: Place) {
    const INPUTS: i64 = 480;
    let Some(cluster) = &place.cluster else { return };
    let group = format!("group-{}", place.name);
    let mut worker = Worker::new(&place, &place.client).await;
    let (mut at, mut round, mut failures) = (0, 0, 0);
    while at < INPUTS {
        disturb(cluster, &place, round);
        round += 1;
        match worker.process(&place, at, at + 10).await {
            Ok(()) => at += 10,
            Err(error) => {
                failures += 1;
                assert!(failures < 200, "it does not get on: {error}");
                if error.recovery() == Recovery::Fatal {
                    worker = Worker::new(&place, &place.client).await;
                }
                let admin = place.client.admin();
                let listed = admin.list_group_offsets_of(&group, &[place.partition(0)]).await;
                let listed = listed.unwrap().remove(0).committed.unwrap();
                at = listed.map_or(0, |it| it.offset);
            }
        }
    }
    for node in cluster.nodes() {
        // Those that run already say so.
        let _ = cluster.start(node);
    }
    for partition in 0..2 {
        let inputs = (0..INPUTS).filter(|it| it % 2 == i64::from(partition));
        let expected: Vec<_> = inputs.map(|it| it.to_string()).collect();
        assert_eq!(place.committed(partition).await, expected, "partition {partition}");
    }
}
