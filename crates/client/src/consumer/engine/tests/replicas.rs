//! Replicas that leaders send us to, and leaders whose log differs from what was read.

use roka_protocol::messages::fetch::EpochEndOffset;

use super::*;

/// Reads from replica 2, to which the leader 1 sent it.
fn at_replica(offset: i64) -> (Bench, Sent) {
    let mut bench = Bench::new(&[(Some(1), 0)]);
    bench.assign(0, Position::at(offset), ResetPolicy::Earliest);
    let sent = bench.fetch();
    bench.answer(&sent, 0, vec![preferring(2)]);
    let sent = bench.fetch();
    assert_eq!(sent.node, NodeId(2));
    (bench, sent)
}

fn preferring(replica: i32) -> PartitionData {
    PartitionData { preferred_read_replica: replica, ..data(0, ErrorCode::NONE, None) }
}

#[test]
fn out_of_range_at_a_replica_goes_back_to_the_leader_at_the_same_offset() {
    let (mut bench, sent) = at_replica(50);
    bench.refuse(&sent, 0, ErrorCode::OFFSET_OUT_OF_RANGE);
    let actions = bench.poll();
    let [Action::Fetch { node: NodeId(1), plan, .. }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(plan.session.wants[0].1.offset, 50);
    assert!(!plan.replicas, "the leader must not send it there again");
    assert!(bench.events().is_empty(), "nothing was reset");
}

#[test]
fn a_replica_that_lags_is_not_believed_that_the_log_was_truncated() {
    let mut bench = Bench::new(&[(Some(1), 4)]);
    bench.assign(0, Position { offset: 50, leader_epoch: Some(4) }, ResetPolicy::Fail);
    let sent = bench.fetch();
    bench.answer(&sent, 0, vec![preferring(2)]);
    let sent = bench.fetch();
    assert_eq!((sent.node, sent.want().last_fetched_epoch), (NodeId(2), 4));
    // As Kafka's followers answer: their log of that epoch ends before what was read.
    let diverging_epoch = EpochEndOffset { epoch: 4, end_offset: 40 };
    let data = PartitionData { diverging_epoch, ..data(0, ErrorCode::NONE, None) };
    bench.answer(&sent, 0, vec![data]);
    let sent = bench.fetch();
    assert_eq!((sent.node, sent.wants()), (NodeId(1), vec![(0, 50)]));
    assert!(bench.events().is_empty(), "nothing was truncated");
}

#[test]
fn a_replica_that_failed_is_left_alone_for_longer_each_time() {
    let (mut bench, mut sent) = at_replica(50);
    let mut waits = Vec::new();
    for _ in 0..4 {
        bench.refuse(&sent, 0, ErrorCode::OFFSET_OUT_OF_RANGE);
        let start = bench.now;
        // The leader insists on the replica, for ever.
        loop {
            let at_leader = bench.fetch();
            if at_leader.node == NodeId(2) {
                sent = at_leader;
                break;
            }
            bench.answer(&at_leader, 0, vec![preferring(2)]);
            bench.now += 20 * MS;
        }
        waits.push(bench.now - start);
    }
    assert!(waits[0] >= 800 * MS, "{waits:?}");
    assert!(waits.windows(2).all(|pair| pair[1] > pair[0]), "{waits:?}");
}

#[test]
fn a_replica_that_cannot_be_reached_is_left_at_once_and_not_taken_again_soon() {
    let (mut bench, sent) = at_replica(50);
    bench.engine.fetched(sent.node, sent.slot, Err(FetchFailure::Unanswered), bench.now);
    let sent = bench.fetch();
    assert_eq!((sent.node, sent.plan.replicas), (NodeId(1), false));
    // A leader that insists does not hold up the reading.
    bench.answer(&sent, 0, vec![preferring(2)]);
    assert_eq!(bench.fetch().node, NodeId(1));
}

#[test]
fn a_replica_that_is_no_known_broker_is_not_dialled_but_asked_about() {
    let mut bench = Bench::new(&[(Some(1), 0)]);
    bench.assign(0, Position::at(50), ResetPolicy::Fail);
    let sent = bench.fetch();
    bench.answer(&sent, 0, vec![preferring(77)]);
    let actions = bench.poll();
    assert!(needs_refresh(&actions), "{actions:?}");
    let fetched = actions.iter().find_map(|action| match action {
        Action::Fetch { node, plan, .. } => Some((*node, plan.session.wants[0].1.offset)),
        _ => None,
    });
    assert_eq!(fetched, Some((NodeId(1), 50)));
}

#[test]
fn every_refusal_of_a_replica_leads_back_to_the_leader() {
    for code in [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::UNKNOWN_LEADER_EPOCH,
        ErrorCode::FENCED_LEADER_EPOCH,
        ErrorCode::OFFSET_NOT_AVAILABLE,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::UNKNOWN_TOPIC_ID,
    ] {
        let (mut bench, sent) = at_replica(50);
        bench.refuse(&sent, 0, code);
        let actions = bench.poll();
        let fetched = actions.iter().find_map(|action| match action {
            Action::Fetch { node, plan, .. } => Some((*node, plan.session.wants[0].1.offset)),
            _ => None,
        });
        assert_eq!(fetched, Some((NodeId(1), 50)), "{code}");
        assert!(bench.events().is_empty(), "{code}");
    }
}

#[test]
fn a_replica_is_given_back_after_its_lease() {
    let (mut bench, sent) = at_replica(50);
    bench.now += Duration::from_secs(301);
    bench.answer(&sent, 0, vec![records(0, 50, 1)]);
    assert_eq!(bench.fetch().node, NodeId(1));
}

#[test]
fn a_new_leader_is_validated_before_going_on() {
    let mut bench = Bench::new(&[(Some(1), 3)]);
    let position = Position { offset: 50, leader_epoch: Some(3) };
    bench.assign(0, position, ResetPolicy::Fail);
    let sent = bench.fetch();
    assert_eq!((sent.want().leader_epoch, sent.want().last_fetched_epoch), (3, 3));
    bench.refuse(&sent, 0, ErrorCode::FENCED_LEADER_EPOCH);
    bench.leaders(&[(Some(2), 4)]);
    let actions = bench.poll();
    let wants = actions.iter().find_map(|action| match action {
        Action::Validate { node: NodeId(2), wants } => Some(wants),
        _ => None,
    });
    let want = &wants.expect("not validated")[0];
    assert_eq!(want.position, position);
    bench.engine.validated(want, Ok(Some(Position::at(60))), bench.now);
    assert_eq!(bench.fetch().wants(), [(0, 50)]);
}

#[test]
fn truncation_is_told_or_followed() {
    for (policy, inline) in
        [(ResetPolicy::Fail, true), (ResetPolicy::Latest, true), (ResetPolicy::Fail, false)]
    {
        let mut bench = Bench::new(&[(Some(1), 4)]);
        let position = Position { offset: 50, leader_epoch: Some(3) };
        bench.assign(0, position, policy);
        let actions = bench.poll();
        let [Action::Validate { wants, .. }] = &actions[..] else { panic!("{actions:?}") };
        let end = Position { offset: 40, leader_epoch: Some(2) };
        if inline {
            // The broker compares by itself, and says so with the Fetch.
            bench.engine.validated(&wants[0], Ok(None), bench.now);
            let sent = bench.fetch();
            let diverging_epoch = EpochEndOffset { epoch: 2, end_offset: 40 };
            let data = PartitionData { diverging_epoch, ..data(0, ErrorCode::NONE, None) };
            bench.answer(&sent, 0, vec![data]);
        } else {
            bench.engine.validated(&wants[0], Ok(Some(end)), bench.now);
        }
        match (policy, bench.event()) {
            (ResetPolicy::Fail, FetchEvent::Failed { error, .. }) => {
                let FetchError::Truncated { offset: 50, epoch: 3, agrees_to: 40, .. } = error
                else {
                    panic!("{error}")
                };
                assert!(bench.fetches().is_empty(), "stopped");
            }
            (_, FetchEvent::Reset(reset)) => {
                assert_eq!((reset.to, reset.reason), (40, ResetReason::Truncated));
                let want = bench.fetch().want();
                assert_eq!((want.offset, want.last_fetched_epoch), (40, 2));
            }
            (_, other) => panic!("{other:?}"),
        }
    }
}
