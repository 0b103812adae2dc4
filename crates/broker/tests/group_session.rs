//! A member that goes silent is out after its session timeout, which the broker's settings bound.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode,
    messages::{heartbeat::HeartbeatRequest, join_group::JoinGroupRequest},
};
use support::{RawClient, group::Member, until};

#[test]
fn a_silent_member_is_out_and_the_others_hear_of_it() {
    let cluster =
        Cluster::builder().config("group.min.session.timeout.ms", "50").start_blocking().unwrap();
    let mut silent = Member::new(&cluster);
    silent.session_timeout_ms = 300;
    silent.join_alone();
    let mut lively = Member::new(&cluster);
    lively.start_join();
    // The silent one never joins again: its session ends long before the rebalance timeout.
    assert_eq!(lively.joined().unwrap().generation_id, 2);
    assert_eq!(silent.heartbeat(), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_stable_member_expires_without_anybody_asking() {
    let cluster =
        Cluster::builder().config("group.min.session.timeout.ms", "50").start_blocking().unwrap();
    let mut member = Member::new(&cluster);
    member.session_timeout_ms = 100;
    member.join_alone();
    let mut observer = RawClient::of(&cluster);
    until("the group is empty", || support::group::state(&mut observer) == "Empty");
    assert_eq!(member.heartbeat(), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_session_timeout_out_of_range_is_refused() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    for timeout in [5_999, 1_800_001, -1] {
        let mut member = Member::fixed(&cluster, "one");
        member.session_timeout_ms = timeout;
        assert_eq!(member.join().unwrap_err(), ErrorCode::INVALID_SESSION_TIMEOUT, "{timeout}");
    }
}

#[test]
fn a_group_needs_a_name() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    let mut client = RawClient::of(&cluster);
    let join = JoinGroupRequest { session_timeout_ms: 10_000, ..Default::default() };
    assert_eq!(ErrorCode(client.call(9, &join).error_code), ErrorCode::INVALID_GROUP_ID);
    let heartbeat = HeartbeatRequest::default();
    assert_eq!(ErrorCode(client.call(4, &heartbeat).error_code), ErrorCode::INVALID_GROUP_ID);
}
