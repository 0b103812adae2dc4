use super::*;

const A: Uuid = Uuid([1; 16]);
const B: Uuid = Uuid([2; 16]);

fn node(node_id: i32, port: i32) -> MetadataResponseBroker {
    MetadataResponseBroker { node_id, host: "h".into(), port, rack: None }
}

fn part(partition_index: i32, leader_id: i32, leader_epoch: i32) -> MetadataResponsePartition {
    MetadataResponsePartition { partition_index, leader_id, leader_epoch, ..Default::default() }
}

fn topic(
    topic_id: Uuid,
    error_code: ErrorCode,
    partitions: Vec<MetadataResponsePartition>,
) -> MetadataResponseTopic {
    MetadataResponseTopic {
        name: Some("t".into()),
        topic_id,
        error_code: error_code.0,
        partitions,
        ..Default::default()
    }
}

fn answer(topics: Vec<MetadataResponseTopic>) -> Update {
    let brokers = vec![node(1, 91), node(2, 92)];
    Update::Answer(MetadataResponse { brokers, topics, controller_id: 1, ..Default::default() })
}

/// A snapshot of topic `t` with these partitions (number, leader, epoch).
fn known(id: Uuid, partitions: Vec<MetadataResponsePartition>) -> Metadata {
    let answer = answer(vec![topic(id, ErrorCode::NONE, partitions)]);
    Metadata::default().after(answer).unwrap()
}

fn leaders(metadata: &Metadata) -> Vec<(i32, i32)> {
    let partitions = &metadata.topic("t").unwrap().partitions;
    partitions.iter().map(|it| (it.leader.map_or(-1, |it| it.0), it.leader_epoch)).collect()
}

#[test]
fn only_news_changes_the_content() {
    let first = known(A, vec![part(0, 1, 5)]);
    assert_eq!((first.generation, first.changed), (1, 1));
    let same = first.after(answer(vec![topic(A, ErrorCode::NONE, vec![part(0, 1, 5)])])).unwrap();
    assert_eq!((same.generation, same.changed), (2, 1));
    let moved = same.after(answer(vec![topic(A, ErrorCode::NONE, vec![part(0, 2, 6)])])).unwrap();
    assert_eq!((moved.generation, moved.changed), (3, 3));
}

#[test]
fn an_answer_without_usable_brokers_is_none() {
    let before = known(A, vec![part(0, 1, 5)]);
    assert!(before.after(Update::Answer(MetadataResponse::default())).is_none());
    let brokers = vec![node(-1, 9), node(1, 0), node(2, 70_000), node(3, -1)];
    let bad = MetadataResponse { brokers, ..Default::default() };
    assert!(before.after(Update::Answer(bad)).is_none());
}

#[test]
fn an_older_epoch_is_ignored() {
    let before = known(A, vec![part(0, 1, 5), part(1, 1, 5)]);
    let stale = vec![part(0, 2, 4), part(1, -1, 4)];
    let after = before.after(answer(vec![topic(A, ErrorCode::NONE, stale)])).unwrap();
    assert_eq!(leaders(&after), [(1, 5), (1, 5)]);
    assert_eq!(after.changed, before.changed);
}

#[test]
fn a_leader_without_an_epoch_counts() {
    // A broker before 2.1 in a mixed cluster: it knows the leader, not the epoch.
    let before = known(A, vec![part(0, 1, 5)]);
    let after =
        before.after(answer(vec![topic(A, ErrorCode::NONE, vec![part(0, 2, -1)])])).unwrap();
    assert_eq!(leaders(&after), [(2, -1)]);
}

#[test]
fn a_leaderless_partition_keeps_its_epoch() {
    let before = known(A, vec![part(0, 1, 5)]);
    let leaderless = vec![part(0, -1, -1)];
    let after = before.after(answer(vec![topic(A, ErrorCode::NONE, leaderless)])).unwrap();
    assert_eq!(leaders(&after), [(-1, 5)]);
    assert_eq!(after.leader("t", 0), None);
}

#[test]
fn another_id_is_another_topic() {
    let before = known(A, vec![part(0, 1, 5), part(1, 1, 5)]);
    let new = vec![topic(B, ErrorCode::NONE, vec![part(0, 2, 0)])];
    let after = before.after(answer(new)).unwrap();
    assert_eq!(leaders(&after), [(2, 0)]);
    assert_eq!(after.topic("t").unwrap().id, B);
    assert!(after.topic_by_id(A).is_none());
}

#[test]
fn an_error_keeps_what_was_known() {
    let before = known(A, vec![part(0, 1, 5)]);
    for error in [ErrorCode::LEADER_NOT_AVAILABLE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION] {
        let after = before.after(answer(vec![topic(A, error, vec![])])).unwrap();
        assert_eq!(leaders(&after), [(1, 5)]);
        assert_eq!(after.topic("t").unwrap().error, error);
        let again = answer(vec![topic(A, ErrorCode::NONE, vec![part(0, 1, 5)])]);
        assert!(after.after(again).unwrap().topic("t").unwrap().error.is_ok());
    }
    let unknown = vec![topic(Uuid::default(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, vec![])];
    let fresh = Metadata::default().after(answer(unknown)).unwrap();
    assert!(fresh.topic("t").unwrap().partitions.is_empty());
}

#[test]
fn partitions_that_an_answer_leaves_out_stay() {
    let before = known(A, vec![part(0, 1, 5), part(1, 2, 5)]);
    let fewer = vec![topic(A, ErrorCode::NONE, vec![part(0, 1, 6)])];
    assert_eq!(leaders(&before.after(answer(fewer)).unwrap()), [(1, 6), (2, 5)]);
    // Without ids it may be a smaller topic of the same name.
    let before = known(Uuid::default(), vec![part(0, 1, 5), part(1, 2, 5)]);
    let fewer = vec![topic(Uuid::default(), ErrorCode::NONE, vec![part(0, 1, 6)])];
    assert_eq!(leaders(&before.after(answer(fewer)).unwrap()), [(1, 6)]);
}

#[test]
fn wild_partition_numbers_allocate_nothing() {
    let wild = vec![part(i32::MAX, 1, 1), part(-1, 1, 1), part(0, 1, 1), part(0, 2, 2)];
    let metadata = known(A, wild);
    assert_eq!(metadata.topic("t").unwrap().partitions.len(), 4);
    assert_eq!(leaders(&metadata)[0], (2, 2));
}

#[test]
fn hints_need_a_newer_epoch_and_a_known_broker() {
    let before = known(A, vec![part(0, 1, 5)]);
    let hint = |leader, leader_epoch, partition| Update::Hints {
        leaders: vec![Hint { topic: "t".into(), partition, leader: NodeId(leader), leader_epoch }],
        brokers: Vec::new(),
    };
    for ignored in [hint(2, 5, 0), hint(2, 4, 0), hint(9, 6, 0), hint(2, 6, 1), hint(2, 6, -1)] {
        assert!(before.after(ignored).is_none(), "it is nothing newer");
    }
    assert_eq!(leaders(&before.after(hint(2, 6, 0)).unwrap()), [(2, 6)]);
}

#[test]
fn a_hint_may_bring_its_broker_and_removes_none() {
    let before = known(A, vec![part(0, 1, 5)]);
    let broker = |id, port| Broker { id: NodeId(id), address: Address::new("x", port), rack: None };
    let hint = Hint { topic: "t".into(), partition: 0, leader: NodeId(3), leader_epoch: 6 };
    let brokers = vec![broker(3, 93), broker(1, 99)];
    let after = before.after(Update::Hints { leaders: vec![hint], brokers }).unwrap();
    assert_eq!(leaders(&after), [(3, 6)]);
    assert_eq!(after.brokers.len(), 3);
    assert_eq!(after.brokers[&NodeId(1)].address.port, 99, "the same number at a new address");
}

#[test]
fn topics_not_asked_for_stay() {
    let before = known(A, vec![part(0, 1, 5)]);
    let after = before.after(answer(vec![])).unwrap();
    assert_eq!(leaders(&after), [(1, 5)]);
    let forgotten = after.after(Update::Forget(vec!["t".into()])).unwrap();
    assert!(forgotten.topic("t").is_none());
}
