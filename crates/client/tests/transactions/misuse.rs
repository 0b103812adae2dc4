//! Wrong calls are typed errors and change nothing.

use roka_client::producer::{
    ProduceError, ProducerConfig, RecordRef, Recovery, TransactionError, TransactionalConfig,
};

use crate::support::{Place, send};

pub(crate) async fn records_need_a_transaction(place: Place) {
    let producer = place.producer().await;
    let topic = producer.topic(&place.name).await.unwrap();
    let refused = async || {
        let error = topic.send(0, RecordRef::value(b"v")).await.unwrap_err();
        assert!(matches!(error, ProduceError::NoTransaction { partition: 0, .. }), "{error}");
        assert!(error.to_string().contains("begin one"), "{error}");
    };
    refused().await;
    let mut transaction = producer.begin().await.unwrap();
    send(&topic, 0, "v").await;
    transaction.commit().await.unwrap();
    refused().await;
    let mut transaction = producer.begin().await.unwrap();
    transaction.abort().await.unwrap();
    refused().await;
    assert_eq!(place.committed(0).await, ["v"]);
    assert_eq!(producer.buffered_bytes(), 0);
}

pub(crate) async fn one_transaction_at_a_time_and_each_ends_once(place: Place) {
    let producer = place.producer().await;
    let topic = producer.topic(&place.name).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    let error = producer.begin().await.unwrap_err();
    assert!(matches!(error, TransactionError::Open { .. }), "{error}");
    assert_eq!(error.recovery(), Recovery::Misuse);
    send(&topic, 0, "v").await;
    transaction.commit().await.unwrap();
    transaction.commit().await.unwrap();
    let error = transaction.abort().await.unwrap_err();
    assert!(matches!(error, TransactionError::Ended { .. }), "{error}");
    let group = roka_client::group::GroupMetadata::without_member("g");
    let positions = [(place.partition(0), roka_client::consumer::Position::at(1))];
    let error = transaction.send_offsets(&group, positions).await.unwrap_err();
    assert!(matches!(error, TransactionError::Ended { .. }), "{error}");
    let mut next = producer.begin().await.unwrap();
    let error = transaction.abort().await.unwrap_err();
    assert!(
        matches!(error, TransactionError::Ended { .. }),
        "the next one is not touched: {error}"
    );
    send(&topic, 0, "w").await;
    next.commit().await.unwrap();
    assert_eq!(place.committed(0).await, ["v", "w"]);
}

pub(crate) async fn a_configuration_that_cannot_work_is_refused(place: Place) {
    let config =
        TransactionalConfig::new("t").producer(ProducerConfig::default().idempotent(false));
    let error = place.client.transactional_producer(config).await.unwrap_err();
    assert!(error.to_string().contains("idempotent"), "{error}");
    // More than transaction.max.timeout.ms of the broker.
    let day = std::time::Duration::from_secs(60 * 60 * 24);
    let config = TransactionalConfig::new(place.name.as_str()).transaction_timeout(day);
    let error = place.client.transactional_producer(config).await.unwrap_err();
    assert_eq!(error.recovery(), Recovery::Fatal);
    assert!(error.to_string().contains("transaction.max.timeout.ms"), "{error}");
}
