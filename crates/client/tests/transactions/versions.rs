//! Clusters that change their mind about the protocol of transactions, and clusters of old.

use roka_client::producer::{Recovery, TransactionCause, TransactionError};
use roka_client::{ApiKey, ErrorCode};

use crate::faults::run;
use crate::support::{Place, send};

pub(crate) async fn the_level_may_change_between_transactions(place: Place) {
    let Some(cluster) = &place.cluster else { return };
    let producer = place.producer().await;
    let mut expected = Vec::new();
    for round in 0..6 {
        let level = [place.level, 3 - place.level][round % 2];
        cluster.set_transaction_version(level).unwrap();
        // It is told on new connections.
        cluster.nodes().into_iter().for_each(|node| cluster.cut(node).unwrap());
        let announced = cluster.requests(ApiKey::AddPartitionsToTxn);
        for i in 0..2 {
            let value = format!("{round} {i}");
            run(&place, &producer, &value).await.unwrap();
            expected.push(value);
        }
        let announced = cluster.requests(ApiKey::AddPartitionsToTxn) - announced;
        if round > 0 {
            // The first transaction after a change may still be of the level before.
            let wanted = if level == 1 { 1..=9 } else { 0..=4 };
            assert!(wanted.contains(&announced), "round {round}: {announced} at level {level}");
        }
    }
    assert_eq!(place.committed(0).await, expected);
}

pub(crate) async fn every_release_that_has_transactions(place: Place) {
    let Some(cluster) = &place.cluster else { return };
    let mut expected = Vec::new();
    for release in ["1.0", "1.1", "2.0", "2.4", "2.8", "3.3", "3.9", "4.0", "4.3"] {
        cluster.pretend(release).unwrap();
        cluster.nodes().into_iter().for_each(|node| cluster.cut(node).unwrap());
        let producer = place.producer_with(&format!("{} as {release}", place.name)).await.unwrap();
        for i in 0..2 {
            let value = format!("{release} {i}");
            run(&place, &producer, &value).await.unwrap_or_else(|error| panic!("{value}: {error}"));
            expected.push(value);
        }
        // A hole in the sequences: before 2.5 nobody gives another epoch.
        let topic = producer.topic(&place.name).await.unwrap();
        let mut transaction = producer.begin().await.unwrap();
        cluster.fail(ApiKey::Produce, ErrorCode::INVALID_RECORD, 1);
        send(&topic, 0, "refused").await;
        let error = transaction.commit().await.unwrap_err();
        let bumps = !["1.0", "1.1", "2.0", "2.4"].contains(&release);
        if bumps {
            assert_eq!(error.recovery(), Recovery::Abort, "{release}: {error}");
            run(&place, &producer, "after").await.unwrap();
            expected.push("after".to_owned());
        } else {
            let TransactionError::Fatal { cause, maybe_committed: false, .. } = &error else {
                panic!("{release}: {error}")
            };
            assert!(matches!(**cause, TransactionCause::NoBump(_)), "{release}: {error}");
        }
        producer.close().await.unwrap();
    }
    assert_eq!(place.committed(0).await, expected);
}
