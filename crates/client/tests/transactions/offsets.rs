//! A group's positions are committed with the transaction or not at all, and only by a member that still is one.

use roka_client::consumer::{ConsumerConfig, Position};
use roka_client::group::GroupMetadata;
use roka_client::producer::{RecordRef, Recovery};
use roka_client::{ErrorCode, TopicPartition};

use crate::support::{PATIENCE, Place, send};

async fn position(place: &Place, group: &str) -> Option<i64> {
    let partition = [place.partition(0)];
    let admin = place.client.admin();
    let listed = admin.list_group_offsets_of(group, &partition).await.unwrap();
    listed.into_iter().next().unwrap().committed.unwrap().map(|it| it.offset)
}

pub(crate) async fn positions_go_with_the_transaction(place: Place) {
    let producer = place.producer().await;
    let topic = producer.topic(&place.name).await.unwrap();
    let group = GroupMetadata::without_member(format!("group-{}", place.name));
    for (offset, commit) in [(3, true), (5, false), (7, true), (9, false)] {
        let mut transaction = producer.begin().await.unwrap();
        send(&topic, 0, "v").await;
        let positions = [(place.partition(0), Position::at(offset))];
        transaction.send_offsets(&group, positions).await.unwrap();
        if commit {
            transaction.commit().await.unwrap();
        } else {
            transaction.abort().await.unwrap();
        }
        let expected = if offset < 7 { 3 } else { 7 };
        assert_eq!(position(&place, &group.group_id).await, Some(expected));
    }
    // Positions alone are a transaction too.
    let mut transaction = producer.begin().await.unwrap();
    let positions = [(place.partition(0), Position::at(11))];
    transaction.send_offsets(&group, positions).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(position(&place, &group.group_id).await, Some(11));
}

pub(crate) async fn who_is_no_member_any_more_commits_nothing(place: Place) {
    let producer = place.producer().await;
    let topic = producer.topic(&place.name).await.unwrap();
    let group_id = format!("group-{}", place.name);
    let mut consumer = {
        let mut transaction = producer.begin().await.unwrap();
        send(&topic, 0, "input").await;
        transaction.commit().await.unwrap();
        let config = ConsumerConfig::new(group_id.as_str(), [place.name.as_str()]);
        place.client.consumer(config.auto_commit(None)).unwrap()
    };
    let chunk = tokio::time::timeout(PATIENCE, consumer.recv()).await.unwrap().unwrap();
    let member = consumer.group().metadata();
    assert!(member.generation > 0 && !member.member_id.is_empty());

    let stale = GroupMetadata { generation: member.generation - 1, ..member.clone() };
    let stranger = GroupMetadata { member_id: "stranger".into(), ..member.clone() };
    for (wrong, code) in
        [(stale, ErrorCode::ILLEGAL_GENERATION), (stranger, ErrorCode::UNKNOWN_MEMBER_ID)]
    {
        let mut transaction = producer.begin().await.unwrap();
        send(&topic, 0, "output").await;
        let positions = [(place.partition(0), chunk.next())];
        let error = transaction.send_offsets(&wrong, positions).await.unwrap_err();
        assert_eq!((error.recovery(), error.code()), (Recovery::Abort, Some(code)), "{error}");
        let refused = topic.send(0, RecordRef::value(b"more")).await.is_err();
        assert!(refused, "a transaction that failed takes nothing more");
        // A commit aborts and says so.
        let error = transaction.commit().await.unwrap_err();
        assert_eq!((error.recovery(), error.code()), (Recovery::Abort, Some(code)), "{error}");
        transaction.abort().await.unwrap();
    }
    assert_eq!(position(&place, &group_id).await, None);

    let mut transaction = producer.begin().await.unwrap();
    send(&topic, 0, "output").await;
    let positions = [(place.partition(0), chunk.next())];
    transaction.send_offsets(&member, positions).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(position(&place, &group_id).await, Some(chunk.next().offset));
    assert_eq!(place.committed(0).await, ["input", "output"]);
    consumer.close().await.unwrap();
}

pub(crate) async fn positions_of_a_topic_that_is_not_there_can_be_given_up(place: Place) {
    let client = {
        let config = place.client.config().clone().api_timeout(std::time::Duration::from_secs(2));
        roka_client::Client::new(config).unwrap()
    };
    let config = roka_client::producer::TransactionalConfig::new(place.name.as_str());
    let producer = client.transactional_producer(config).await.unwrap();
    let topic = producer.topic(&place.name).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    send(&topic, 0, "v").await;
    let group = GroupMetadata::without_member(format!("group-{}", place.name));
    let nowhere = TopicPartition::new("there-is-no-such-topic", 0);
    let error = transaction.send_offsets(&group, [(nowhere, Position::at(1))]).await.unwrap_err();
    assert_eq!(error.recovery(), Recovery::Retry, "{error}");
    assert_eq!(error.code(), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), "{error}");
    transaction.abort().await.unwrap();
    assert!(place.committed(0).await.is_empty());
}
