//! Members join, the leader assigns, and everybody learns their share; who comes or goes makes a new generation.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use roka_broker::Cluster;
use roka_protocol::ErrorCode;
use support::{group::Member, until};

#[test]
fn two_members_share_and_the_one_that_stays_takes_all() {
    let cluster = Cluster::builder().nodes(3).start_blocking().unwrap();
    let mut first = Member::new(&cluster);
    first.join_alone();
    assert_eq!(first.generation, 1);
    assert_eq!(first.heartbeat(), ErrorCode::NONE);

    let mut second = Member::new(&cluster);
    second.start_join();
    until("the first hears of the rebalance", || {
        first.heartbeat() == ErrorCode::REBALANCE_IN_PROGRESS
    });
    let of_first = first.join().unwrap();
    let of_second = second.joined().unwrap();
    assert_eq!((of_first.generation_id, of_second.generation_id), (2, 2));
    assert_eq!((&of_first.leader, &of_second.leader), (&first.id, &first.id));
    let mut ids: Vec<_> = of_first.members.iter().map(|it| it.member_id.clone()).collect();
    let mut expected = vec![first.id.clone(), second.id.clone()];
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected);
    assert!(of_second.members.is_empty(), "only the leader is told of the others");
    assert_eq!(&of_first.members[0].metadata[..], b"subscription");

    second.start_sync(&[]);
    let (a, b) = (first.id.clone(), second.id.clone());
    assert_eq!(first.sync(&[(&a, "one"), (&b, "two")]).as_deref(), Ok("one"));
    assert_eq!(second.synced().as_deref(), Ok("two"));
    assert_eq!(second.heartbeat(), ErrorCode::NONE);

    assert_eq!(second.leave(), ErrorCode::NONE);
    assert_eq!(second.heartbeat(), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(first.heartbeat(), ErrorCode::REBALANCE_IN_PROGRESS);
    first.join_alone();
    assert_eq!(first.generation, 3);
}
