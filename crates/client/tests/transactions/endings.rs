//! What is committed is seen, what is not is not; one id has one producer.

use std::time::Duration;

use roka_client::ApiKey;
use roka_client::consumer::Isolation;
use roka_client::producer::{ProduceError, RecordRef, Recovery};

use crate::support::{PATIENCE, Place, send};

pub(crate) async fn a_commit_is_seen_and_an_abort_is_not(place: Place) {
    let producer = place.producer().await;
    let topic = producer.topic(&place.name).await.unwrap();
    for round in 0..6 {
        let mut transaction = producer.begin().await.unwrap();
        send(&topic, 0, &format!("a{round}")).await;
        send(&topic, 1, &format!("b{round}")).await;
        if round == 3 {
            // Some of it reaches the log.
            producer.flush().await.unwrap();
            send(&topic, 1, "dropped").await;
        }
        if round % 2 == 0 {
            transaction.commit().await.unwrap();
        } else {
            transaction.abort().await.unwrap();
        }
    }
    assert_eq!(place.committed(0).await, ["a0", "a2", "a4"]);
    assert_eq!(place.committed(1).await, ["b0", "b2", "b4"]);
    let all = place.values(0, Isolation::ReadUncommitted).await;
    assert!(all.contains(&"a3".to_owned()), "{all:?}");
    producer.close().await.unwrap();
}

pub(crate) async fn many_transactions_in_a_row(place: Place) {
    let producer = place.producer().await;
    let topic = producer.topic(&place.name).await.unwrap();
    let before = place.client.counters();
    for round in 0..50 {
        let mut transaction = producer.begin().await.unwrap();
        for partition in 0..3 {
            for i in 0..5 {
                send(&topic, partition, &format!("{round}-{i}")).await;
            }
        }
        transaction.commit().await.unwrap();
    }
    let after = place.client.counters();
    let asked = |api| after.requests(api) - before.requests(api);
    assert_eq!(asked(ApiKey::EndTxn), 50);
    assert_eq!(asked(ApiKey::InitProducerId), 0, "no epoch is needed in the steady state");
    let expected: Vec<_> = (0..50).flat_map(|r| (0..5).map(move |i| format!("{r}-{i}"))).collect();
    for partition in 0..3 {
        assert_eq!(place.committed(partition).await, expected);
    }
}

pub(crate) async fn a_transaction_without_anything_asks_nobody(place: Place) {
    let producer = place.producer().await;
    let before = place.client.counters().requests_total();
    for commit in [true, false, true] {
        let mut transaction = producer.begin().await.unwrap();
        if commit {
            transaction.commit().await.unwrap();
        } else {
            transaction.abort().await.unwrap();
        }
    }
    let counters = place.client.counters();
    assert_eq!(counters.requests(ApiKey::EndTxn), 0);
    assert!(counters.requests_total() - before <= 2, "metadata at most");
}

pub(crate) async fn a_transaction_that_is_dropped_is_aborted(place: Place) {
    let producer = place.producer().await;
    let topic = producer.topic(&place.name).await.unwrap();
    let transaction = producer.begin().await.unwrap();
    send(&topic, 0, "lost").await;
    producer.flush().await.unwrap();
    drop(transaction);
    let mut transaction = producer.begin().await.unwrap();
    send(&topic, 0, "kept").await;
    transaction.commit().await.unwrap();
    assert_eq!(place.committed(0).await, ["kept"]);
    // Closing aborts too: readers are not held up by what was left.
    let transaction = producer.begin().await.unwrap();
    send(&topic, 0, "open").await;
    producer.flush().await.unwrap();
    producer.close().await.unwrap();
    drop(transaction);
    assert_eq!(place.committed(0).await, ["kept"]);
}

pub(crate) async fn records_of_an_aborted_transaction_are_told(place: Place) {
    let producer = place.producer().await;
    let topic = producer.topic(&place.name).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    let receipt = topic.send_with_receipt(0, RecordRef::value(b"a")).await.unwrap();
    transaction.abort().await.unwrap();
    // It was sent before the abort or dropped by it.
    if let Err(error) = receipt.await {
        assert!(matches!(error, ProduceError::Aborted { records: 1, .. }), "{error}");
    }
    assert!(place.committed(0).await.is_empty());
    // The next transaction knows nothing of it.
    let mut transaction = producer.begin().await.unwrap();
    send(&topic, 0, "b").await;
    producer.flush().await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(place.committed(0).await, ["b"]);
}

pub(crate) async fn a_second_producer_ends_the_first_and_what_it_left(place: Place) {
    let first = place.producer().await;
    let topic = first.topic(&place.name).await.unwrap();
    let mut transaction = first.begin().await.unwrap();
    send(&topic, 0, "zombie").await;
    first.flush().await.unwrap();

    let second = place.producer().await;
    let topic = second.topic(&place.name).await.unwrap();
    let mut successor = second.begin().await.unwrap();
    send(&topic, 0, "alive").await;
    successor.commit().await.unwrap();

    let error = transaction.commit().await.unwrap_err();
    assert_eq!(error.recovery(), Recovery::Fatal, "{error}");
    assert!(error.is_fenced(), "{error}");
    assert!(error.to_string().contains(&place.name), "{error}");
    let error = first.begin().await.unwrap_err();
    assert!(error.is_fenced(), "{error}");
    assert_eq!(place.committed(0).await, ["alive"]);
}

pub(crate) async fn a_zombie_that_sends_is_fenced(place: Place) {
    let first = place.producer().await;
    let topic = first.topic(&place.name).await.unwrap();
    let mut transaction = first.begin().await.unwrap();
    send(&topic, 0, "zombie").await;
    first.flush().await.unwrap();
    let second = place.producer().await;
    // Its records do not get into the log, or not into what is committed.
    let _ = topic.send(0, RecordRef::value(b"late")).await;
    let error = transaction.commit().await.unwrap_err();
    assert!(matches!(error.recovery(), Recovery::Fatal | Recovery::Abort), "{error}");
    if error.recovery() == Recovery::Abort {
        let error = first.begin().await.err();
        assert!(error.is_none_or(|it| it.recovery() == Recovery::Fatal));
    }
    let mut successor = second.begin().await.unwrap();
    send(&second.topic(&place.name).await.unwrap(), 0, "alive").await;
    successor.commit().await.unwrap();
    assert_eq!(place.committed(0).await, ["alive"]);
}

pub(crate) async fn a_commit_that_nobody_waits_for_takes_place_all_the_same(place: Place) {
    let producer = place.producer().await;
    let topic = producer.topic(&place.name).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    send(&topic, 0, "a").await;
    // Long enough to be asked for, and then it is gone on with.
    let _ = tokio::time::timeout(Duration::from_micros(1), transaction.commit()).await;
    tokio::time::timeout(PATIENCE, transaction.commit()).await.unwrap().unwrap();
    let mut transaction = producer.begin().await.unwrap();
    send(&topic, 0, "b").await;
    let _ = tokio::time::timeout(Duration::from_micros(1), transaction.commit()).await;
    drop(transaction);
    let next = tokio::time::timeout(PATIENCE, producer.begin()).await.unwrap().unwrap();
    drop(next);
    assert_eq!(place.committed(0).await, ["a", "b"]);
}
