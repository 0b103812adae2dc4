//! The rules of the classic protocol, one by one.

use std::time::Duration;

use bytes::Bytes;
use roka_protocol::ErrorCode;

use super::{
    Limits, State,
    rehearsal::{REBALANCE, Rehearsal, SESSION, fixed, joining, rejoining, who},
    sync::Syncing,
};
use crate::group::member::{Identity, Joining};

const SECOND: Duration = Duration::from_secs(1);

fn group() -> Rehearsal {
    Rehearsal::new(Limits::default())
}

#[test]
fn the_first_member_leads_generation_one() {
    let mut it = group();
    let ticket = it.join(joining("a"));
    let joined = it.entered(ticket);
    assert_eq!((joined.generation, &*joined.leader, &*joined.protocol), (1, "a", "range"));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(it.group.state, State::CompletingRebalance);
    let ticket = it.sync("a", &[("a", "all")]);
    assert_eq!(it.synced(ticket).unwrap().as_deref(), Ok(&b"all"[..]));
    assert_eq!(it.heartbeat("a"), ErrorCode::NONE);
}

#[test]
fn a_client_that_knows_how_joins_with_the_id_it_was_given() {
    let mut it = group();
    let ticket = it.join(Joining { knows_required_id: true, ..joining("a") });
    assert_eq!(it.joined(ticket), Some(Err(ErrorCode::MEMBER_ID_REQUIRED)));
    assert_eq!(it.group.state, State::Empty, "it is no member yet");
    let ticket = it.join(rejoining("a"));
    assert_eq!(it.entered(ticket).generation, 1);
}

#[test]
fn an_id_that_is_not_used_is_forgotten() {
    let mut it = group();
    it.join(Joining { knows_required_id: true, ..joining("a") });
    it.pass(SESSION);
    let ticket = it.join(rejoining("a"));
    assert_eq!(it.joined(ticket), Some(Err(ErrorCode::UNKNOWN_MEMBER_ID)));
}

#[test]
fn a_rebalance_waits_for_everybody() {
    let mut it = group();
    it.stable(&["a"]);
    let second = it.join(joining("b"));
    assert_eq!(it.joined(second), None);
    assert_eq!(it.heartbeat("a"), ErrorCode::REBALANCE_IN_PROGRESS);
    let first = it.join(rejoining("a"));
    let (first, second) = (it.entered(first), it.entered(second));
    assert_eq!((first.generation, second.generation), (2, 2));
    assert_eq!((&*first.leader, &*second.leader), ("a", "a"));
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
}

#[test]
fn followers_wait_for_the_leader_and_get_their_own_share() {
    let mut it = group();
    it.stable(&["a", "b"]);
    it.join(joining("c"));
    it.join(rejoining("a"));
    it.join(rejoining("b"));
    let follower = it.sync("b", &[]);
    assert_eq!(it.synced(follower), None);
    it.sync("a", &[("a", "1"), ("b", "2"), ("c", "3")]);
    assert_eq!(it.synced(follower).unwrap().as_deref(), Ok(&b"2"[..]));
    let late = it.sync("c", &[]);
    assert_eq!(it.synced(late).unwrap().as_deref(), Ok(&b"3"[..]));
}

#[test]
fn who_does_not_come_back_in_time_is_out() {
    let mut it = group();
    it.stable(&["a", "b"]);
    let third = it.join(joining("c"));
    let first = it.join(rejoining("a"));
    // Signs of life do not help a member that does not join.
    for _ in 0..60 {
        assert_eq!(it.joined(third), None);
        it.heartbeat("b");
        it.pass(SECOND);
    }
    assert_eq!(it.entered(first).members.len(), 2);
    assert_eq!(it.entered(third).generation, 3);
    assert_eq!(it.heartbeat("b"), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_leader_that_does_not_assign_is_out() {
    let mut it = group();
    it.stable(&["a", "b"]);
    it.join(joining("c"));
    it.join(rejoining("a"));
    it.join(rejoining("b"));
    let (second, third) = (it.sync("b", &[]), it.sync("c", &[]));
    for _ in 0..60 {
        it.heartbeat("a");
        it.pass(SECOND);
    }
    assert_eq!(it.synced(second), Some(Err(ErrorCode::REBALANCE_IN_PROGRESS)));
    assert_eq!(it.synced(third), Some(Err(ErrorCode::REBALANCE_IN_PROGRESS)));
    assert_eq!(it.heartbeat("a"), ErrorCode::UNKNOWN_MEMBER_ID);
    let second = it.join(rejoining("b"));
    it.join(rejoining("c"));
    assert_eq!(it.entered(second).leader, "b");
}

#[test]
fn silence_ends_a_session_and_life_prolongs_it() {
    let mut it = group();
    it.stable(&["a", "b"]);
    for _ in 0..9 {
        it.pass(SECOND);
        assert_eq!(it.heartbeat("a"), ErrorCode::NONE);
    }
    it.pass(SECOND);
    assert_eq!(it.heartbeat("b"), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(it.heartbeat("a"), ErrorCode::REBALANCE_IN_PROGRESS);
    it.pass(SESSION);
    assert_eq!(it.group.state, State::Empty);
}

#[test]
fn who_waits_for_an_answer_does_not_expire() {
    let mut it = group();
    it.stable(&["a"]);
    let waits = it.join(joining("b"));
    for _ in 0..59 {
        it.heartbeat("a");
        it.pass(SECOND);
    }
    assert_eq!(it.joined(waits), None, "beyond its session, it still waits");
    assert!(it.group.members.contains_key("b"));
}

#[test]
fn those_who_stay_share_what_a_leaver_had() {
    let mut it = group();
    it.stable(&["a", "b"]);
    assert_eq!(it.leave("a", None), ErrorCode::NONE);
    assert_eq!(it.leave("a", None), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(it.heartbeat("b"), ErrorCode::REBALANCE_IN_PROGRESS);
    let ticket = it.join(rejoining("b"));
    assert_eq!(it.entered(ticket).leader, "b");
    assert_eq!(it.leave("b", None), ErrorCode::NONE);
    assert_eq!(it.group.state, State::Empty);
}

#[test]
fn a_repeated_join_takes_the_place_of_the_former() {
    let mut it = group();
    it.stable(&["a"]);
    it.join(joining("b"));
    let former = it.join(rejoining("b"));
    let newer = it.join(rejoining("b"));
    assert_eq!(it.joined(former), Some(Err(ErrorCode::REBALANCE_IN_PROGRESS)));
    it.join(rejoining("a"));
    assert_eq!(it.entered(newer).generation, 2);
}

#[test]
fn a_follower_that_joins_a_stable_group_unchanged_disturbs_nobody() {
    let mut it = group();
    it.stable(&["a", "b"]);
    let ticket = it.join(rejoining("b"));
    assert_eq!(it.entered(ticket).generation, 2);
    assert_eq!(it.group.state, State::Stable);
    it.join(rejoining("a"));
    assert_eq!(it.group.state, State::PreparingRebalance, "the leader wants to assign anew");
}

#[test]
fn members_need_a_protocol_in_common_and_the_favourite_wins() {
    let mut it = group();
    let speaking = |name: &str, protocols: &[&str]| Joining {
        protocols: protocols.iter().map(|it| ((*it).to_owned(), "".into())).collect(),
        ..joining(name)
    };
    it.join(speaking("a", &["x", "y"]));
    for refused in [speaking("b", &["z"]), speaking("b", &[])] {
        let ticket = it.join(refused);
        assert_eq!(it.joined(ticket), Some(Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)));
    }
    let other = Joining { protocol_type: "connect".to_owned(), ..speaking("b", &["x"]) };
    let ticket = it.join(other);
    assert_eq!(it.joined(ticket), Some(Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)));
    it.join(speaking("b", &["y", "x"]));
    it.join(speaking("c", &["y", "x"]));
    let ticket = it.join(Joining { member_id: "a".to_owned(), ..speaking("", &["x", "y"]) });
    assert_eq!(it.entered(ticket).protocol, "y");
}

#[test]
fn an_empty_group_waits_a_little_for_others() {
    let mut it = Rehearsal::new(Limits { initial_delay: 3 * SECOND, ..Limits::default() });
    let first = it.join(joining("a"));
    it.pass(SECOND);
    let second = it.join(joining("b"));
    it.pass(SECOND);
    assert_eq!((it.joined(first), it.joined(second)), (None, None));
    it.pass(SECOND);
    assert_eq!((it.entered(first).generation, it.entered(second).generation), (1, 1));
}

#[test]
fn a_full_group_refuses_more() {
    let mut it = Rehearsal::new(Limits { members_max: 1, ..Limits::default() });
    it.stable(&["a"]);
    let ticket = it.join(joining("b"));
    assert_eq!(it.joined(ticket), Some(Err(ErrorCode::GROUP_MAX_SIZE_REACHED)));
}

#[test]
fn a_static_member_comes_back_without_a_rebalance_and_fences_the_former() {
    let mut it = group();
    it.join(fixed("one", "a"));
    it.join(fixed("two", "b"));
    it.join(Joining { member_id: "a".to_owned(), ..fixed("one", "") });
    it.share(&["a", "b"]);
    let back = it.join(fixed("two", "b2"));
    let joined = it.entered(back);
    assert_eq!((joined.generation, &*joined.member_id, joined.skip_assignment), (2, "b2", false));
    let ticket = it.sync("b2", &[]);
    assert_eq!(it.synced(ticket).unwrap().as_deref(), Ok(&b"b"[..]), "its former share");
    let former = Identity { member_id: "b", instance_id: Some("two"), generation: 2 };
    assert_eq!(it.group.heartbeat(it.now, &former), ErrorCode::FENCED_INSTANCE_ID);
    let former = Joining { member_id: "b".to_owned(), ..fixed("two", "") };
    let ticket = it.join(former);
    assert_eq!(it.joined(ticket), Some(Err(ErrorCode::FENCED_INSTANCE_ID)));

    // Also when it has something else to say of itself.
    let mut changed = fixed("two", "b3");
    for (_, metadata) in &mut changed.protocols {
        *metadata = Bytes::from_static(b"changed");
    }
    let back = it.join(changed);
    assert_eq!((it.entered(back).generation, it.group.state), (2, State::Stable));

    let back = it.join(fixed("one", "a2"));
    let joined = it.entered(back);
    assert_eq!((&*joined.leader, joined.skip_assignment), ("a2", true));
    let ticket = it.sync("a2", &[]);
    assert_eq!(it.synced(ticket).unwrap().as_deref(), Ok(&b"a"[..]));
    assert_eq!(it.group.state, State::Stable);
}

#[test]
fn a_static_leader_of_an_older_client_assigns_anew() {
    let mut it = group();
    it.join(fixed("one", "a"));
    it.share(&["a"]);
    let back = it.join(Joining { knows_skipping: false, ..fixed("one", "a2") });
    assert_eq!((it.entered(back).generation, it.group.state), (2, State::CompletingRebalance));
}

#[test]
fn a_static_member_keeps_its_place_through_a_rebalance_within_its_session() {
    let mut it = group();
    let long = |joining: Joining| Joining { session_timeout: 3 * REBALANCE, ..joining };
    it.join(long(fixed("one", "a")));
    it.share(&["a"]);
    let newcomer = it.join(long(joining("b")));
    it.pass(REBALANCE);
    assert_eq!(it.entered(newcomer).members.len(), 2, "with the one that is away");
    assert_eq!(it.leave("", Some("one")), ErrorCode::NONE);
    assert_eq!(it.leave("", Some("one")), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn only_present_members_commit_and_outsiders_when_there_are_none() {
    let mut it = group();
    let now = it.now;
    assert_eq!(it.group.check_commit(now, &who("", -1)), Ok(()));
    it.stable(&["a"]);
    assert_eq!(it.group.check_commit(now, &who("a", 1)), Ok(()));
    let refused = [
        (who("", -1), ErrorCode::UNKNOWN_MEMBER_ID),
        (who("x", 1), ErrorCode::UNKNOWN_MEMBER_ID),
        (who("a", 0), ErrorCode::ILLEGAL_GENERATION),
    ];
    for (by, error) in refused {
        assert_eq!(it.group.check_commit(now, &by), Err(error));
    }
    it.join(joining("b"));
    assert_eq!(it.group.check_commit(now, &who("a", 1)), Ok(()), "before it joins again");
    it.join(rejoining("a"));
    let by = who("a", 2);
    assert_eq!(it.group.check_commit(now, &by), Err(ErrorCode::REBALANCE_IN_PROGRESS));
}

#[test]
fn a_sync_must_agree_with_the_group() {
    let mut it = group();
    it.join(joining("a"));
    let syncing = |generation| Syncing {
        member_id: "a".to_owned(),
        generation,
        protocol: Some("sticky".to_owned()),
        ..Default::default()
    };
    let ticket = it.sync_with(syncing(0));
    assert_eq!(it.synced(ticket), Some(Err(ErrorCode::ILLEGAL_GENERATION)));
    let ticket = it.sync_with(syncing(1));
    assert_eq!(it.synced(ticket), Some(Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)));
}

#[test]
fn who_waits_hears_that_the_coordinator_moved() {
    let mut it = group();
    it.stable(&["a"]);
    let waits = it.join(joining("b"));
    it.group.unload();
    it.settled.extend(it.group.take_effects());
    assert_eq!(it.joined(waits), Some(Err(ErrorCode::NOT_COORDINATOR)));
    // Both come to the new one.
    it.join(rejoining("a"));
    let again = it.join(rejoining("b"));
    assert_eq!(it.entered(again).generation, 2);
}

#[test]
fn a_rebalance_waits_for_those_who_were_given_an_id() {
    let mut it = group();
    it.stable(&["a"]);
    it.join(joining("b"));
    it.join(Joining { knows_required_id: true, ..joining("c") });
    let first = it.join(rejoining("a"));
    assert_eq!(it.joined(first), None);
    it.join(rejoining("c"));
    assert_eq!(it.entered(first).members.len(), 3);
    // One that never comes with its id holds the others up for its session at most.
    it.join(Joining { knows_required_id: true, ..joining("d") });
    let first = it.join(rejoining("a"));
    it.join(rejoining("b"));
    it.join(rejoining("c"));
    it.join(Joining { protocols: vec![("range".to_owned(), "new".into())], ..rejoining("a") });
    it.join(rejoining("b"));
    let last = it.join(rejoining("c"));
    assert_eq!(it.entered(first).generation, 2, "unchanged, it is told again");
    assert_eq!(it.joined(last), None);
    it.pass(SESSION);
    assert_eq!(it.entered(last).generation, 3);
}
