//! The membership without I/O: what it does about each answer, and what the user hears.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn part(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn parts(partitions: impl IntoIterator<Item = i32>) -> Vec<TopicPartition> {
    partitions.into_iter().map(part).collect()
}

/// A membership with a clock, and a coordinator that is the test.
struct Bench {
    it: Membership,
    now: Instant,
}

impl Bench {
    fn new(cooperative: bool, instance_id: Option<&str>) -> Self {
        let now = Instant::now();
        let settings = Settings {
            group: "g".into(),
            instance_id: instance_id.map(Into::into),
            rebalance_timeout: 60 * SECOND,
            heartbeat_interval: 3 * SECOND,
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: SECOND,
            cooperative,
        };
        let mut it = Membership::new(settings, fastrand::Rng::with_seed(1), now);
        it.tick(now);
        Self { it, now }
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.it.output()).collect()
    }

    fn one(&mut self) -> Output {
        let mut all = self.outputs();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    fn give(&mut self, input: Input) -> Vec<Output> {
        self.it.handle(input, self.now);
        self.outputs()
    }

    /// Lets time pass until something is due.
    fn wait(&mut self) -> Vec<Output> {
        self.now = self.it.wake_at().expect("nothing is due").max(self.now);
        self.it.tick(self.now);
        self.outputs()
    }

    fn joined(&mut self, generation: i32, leads: bool) -> Vec<Output> {
        let joined = Joined { generation, member_id: "m1".into(), leads, skip_assignment: false };
        self.give(Input::Joined { result: Ok(joined), member_id: "m1".into() })
    }

    fn join_code(&mut self, code: ErrorCode) -> Vec<Output> {
        self.give(Input::Joined { result: Err(Failure::Code(code)), member_id: "new".into() })
    }

    fn synced(&mut self, partitions: impl IntoIterator<Item = i32>) -> Vec<Output> {
        self.give(Input::Synced(Ok(parts(partitions).into())))
    }

    /// From the start to a member with these partitions in generation 1.
    fn stable(cooperative: bool, partitions: impl IntoIterator<Item = i32>) -> Self {
        let mut bench = Self::new(cooperative, None);
        assert!(matches!(bench.one(), Output::Join { .. }));
        bench.joined(1, false);
        bench.synced(partitions);
        bench
    }

    /// The next heartbeat, answered with that code.
    fn beat(&mut self, code: ErrorCode) -> Vec<Output> {
        let outputs = self.wait();
        let Some(Output::Heartbeat { generation, .. }) = outputs.last() else {
            panic!("no heartbeat: {outputs:?}")
        };
        let generation = *generation;
        self.give(Input::Beat { generation, result: code.ok().map_err(Failure::Code) })
    }
}

fn is_join(output: &Output) -> bool {
    matches!(output, Output::Join { .. })
}

fn revoked(outputs: &[Output]) -> (Vec<TopicPartition>, u64) {
    match outputs {
        [Output::Emit(Event::Revoked { partitions, ticket }), ..] => (partitions.clone(), *ticket),
        other => panic!("no revocation: {other:?}"),
    }
}

#[test]
fn a_new_member_joins_with_the_id_it_is_given() {
    let mut bench = Bench::new(false, None);
    let Output::Join { member_id, generation, owned, .. } = bench.one() else { panic!() };
    assert_eq!((member_id.as_str(), generation, owned.len()), ("", -1, 0));
    let again = bench.join_code(ErrorCode::MEMBER_ID_REQUIRED);
    assert!(
        matches!(&again[..], [Output::Join { member_id, .. }] if member_id == "new"),
        "at once"
    );
    let sync = bench.joined(7, false);
    assert_eq!(sync, [Output::Sync { member_id: "m1".into(), generation: 7, leads: false }]);
    let told = bench.synced(0..2);
    let assigned = Event::Assigned {
        generation: 7,
        added: parts(0..2),
        all: parts(0..2),
        user_data: Bytes::new(),
    };
    assert_eq!(told, [Output::Emit(assigned)]);
    assert_eq!(bench.it.epoch_of(&part(0)), Some(7));
}

#[test]
fn a_leader_assigns_before_it_syncs_and_beats_meanwhile() {
    let mut bench = Bench::new(false, None);
    bench.one();
    assert_eq!(bench.joined(1, true), [Output::Assign { generation: 1 }]);
    // The assignor is slow.
    assert!(bench.beat(ErrorCode::NONE).is_empty());
    // An old broker says this to all heartbeats before the leader has assigned.
    assert!(bench.beat(ErrorCode::REBALANCE_IN_PROGRESS).is_empty());
    let sync = bench.give(Input::Assigned { generation: 1, result: Ok(()) });
    assert_eq!(sync, [Output::Sync { member_id: "m1".into(), generation: 1, leads: true }]);
    assert!(!bench.it.leads());
    bench.synced(0..1);
    assert!(bench.it.leads());
}

#[test]
fn a_static_leader_that_came_back_does_not_assign() {
    let mut bench = Bench::new(false, Some("i"));
    bench.one();
    let joined =
        Joined { generation: 4, member_id: "m".into(), leads: true, skip_assignment: true };
    let outputs = bench.give(Input::Joined { result: Ok(joined), member_id: String::new() });
    assert!(matches!(&outputs[..], [Output::Sync { leads: false, .. }]));
}

#[test]
fn eager_gives_everything_up_before_it_joins_again() {
    let mut bench = Bench::stable(false, 0..3);
    let outputs = bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    let (partitions, ticket) = revoked(&outputs);
    assert_eq!(partitions, parts(0..3));
    assert_eq!(outputs.len(), 1, "no JoinGroup before the user let go");
    assert!(bench.it.may_commit(), "the user commits while it lets go");
    // Heartbeats go on, and say again what is known.
    assert!(bench.beat(ErrorCode::REBALANCE_IN_PROGRESS).is_empty());
    let join = bench.give(Input::Released(ticket));
    assert!(matches!(&join[..], [Output::Join { owned, .. }] if owned.is_empty()));
    assert_eq!(bench.it.epoch_of(&part(0)), None);
    // A second acknowledgement of the same is nothing.
    assert!(bench.give(Input::Released(ticket)).is_empty());
}

#[test]
fn a_user_that_does_not_let_go_does_not_cost_the_membership() {
    let mut bench = Bench::stable(false, 0..1);
    bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    let start = bench.now;
    for _ in 0..100 {
        let outputs = bench.wait();
        if outputs.iter().any(is_join) {
            let waited = bench.now - start;
            assert!((50 * SECOND..60 * SECOND).contains(&waited), "{waited:?}");
            return;
        }
        let generation = bench.it.generation();
        bench.give(Input::Beat { generation, result: Ok(()) });
    }
    panic!("never joined");
}

#[test]
fn cooperative_keeps_what_stays_and_gives_up_the_rest_afterwards() {
    let mut bench = Bench::stable(true, 0..4);
    let join = bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    assert!(matches!(&join[..], [Output::Join { owned, .. }] if *owned == parts(0..4)));
    bench.joined(2, false);
    let outputs = bench.synced([0, 1]);
    let (partitions, ticket) = revoked(&outputs);
    assert_eq!(partitions, parts(2..4));
    let told =
        Event::Assigned { generation: 2, added: vec![], all: parts(0..2), user_data: Bytes::new() };
    assert_eq!(outputs[1..], [Output::Emit(told)]);
    assert_eq!(bench.it.epoch_of(&part(0)), Some(1), "held on without a break");
    assert_eq!(bench.it.epoch_of(&part(3)), Some(1), "not let go of yet");
    let join = bench.give(Input::Released(ticket));
    assert!(matches!(&join[..], [Output::Join { owned, .. }] if *owned == parts(0..2)));
}

#[test]
fn a_lost_generation_loses_the_partitions_but_not_the_id() {
    let mut bench = Bench::stable(true, 0..2);
    let outputs = bench.beat(ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(outputs[0], Output::Emit(Event::Lost { partitions: parts(0..2) }));
    assert!(matches!(&outputs[1], Output::Join { member_id, owned, .. }
        if member_id == "m1" && owned.is_empty()));
    assert_eq!(bench.it.generation(), -1);
}

#[test]
fn an_unknown_member_starts_over() {
    let mut bench = Bench::stable(false, 0..2);
    let outputs = bench.beat(ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(outputs[0], Output::Emit(Event::Lost { partitions: parts(0..2) }));
    assert!(matches!(&outputs[1], Output::Join { member_id, .. } if member_id.is_empty()));
    // Refused once more: it waits before it tries again.
    assert!(bench.join_code(ErrorCode::UNKNOWN_MEMBER_ID).iter().any(is_join));
    assert!(bench.join_code(ErrorCode::UNKNOWN_MEMBER_ID).is_empty());
    assert!(bench.wait().iter().any(is_join));
}

#[test]
fn a_coordinator_that_moves_costs_nothing() {
    let mut bench = Bench::stable(false, 0..2);
    let before = bench.now;
    assert!(bench.beat(ErrorCode::NOT_COORDINATOR).is_empty());
    bench.wait();
    bench.give(Input::Beat { generation: 1, result: Err(Failure::Unreachable) });
    bench.wait();
    assert!(bench.now - before < 4 * SECOND, "asked again well within the heartbeat interval");
    bench.give(Input::Beat { generation: 1, result: Ok(()) });
    assert_eq!(bench.it.epoch_of(&part(1)), Some(1));
    assert!(bench.it.may_commit());
}

#[test]
fn join_backs_off_while_the_coordinator_cannot_be_reached() {
    let mut bench = Bench::new(false, None);
    bench.one();
    let start = bench.now;
    let mut joins = 0;
    while bench.now < start + 10 * SECOND {
        let answer = Input::Joined { result: Err(Failure::Unreachable), member_id: String::new() };
        bench.give(answer);
        joins += bench.wait().iter().filter(|output| is_join(output)).count();
    }
    assert!((9..=18).contains(&joins), "{joins} joins in 10 s");
}

#[test]
fn a_fenced_instance_is_told_and_does_not_leave() {
    let mut bench = Bench::new(false, Some("i"));
    bench.one();
    bench.joined(1, false);
    bench.synced(0..1);
    let outputs = bench.beat(ErrorCode::FENCED_INSTANCE_ID);
    let fenced = GroupError::Fenced { group: "g".into(), instance_id: "i".into() };
    assert_eq!(
        outputs,
        [
            Output::Emit(Event::Lost { partitions: parts(0..1) }),
            Output::Emit(Event::Failed(fenced))
        ]
    );
    assert!(bench.it.has_ended());
    assert_eq!(bench.it.wake_at(), None);
}

#[test]
fn a_refusal_that_waiting_cannot_cure_ends_it() {
    for code in [
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
        ErrorCode::INVALID_SESSION_TIMEOUT,
        ErrorCode::GROUP_MAX_SIZE_REACHED,
    ] {
        let mut bench = Bench::new(false, None);
        bench.one();
        let outputs = bench.join_code(code);
        let refused = GroupError::Refused { group: "g".into(), api: "JoinGroup", code };
        assert_eq!(outputs, [Output::Emit(Event::Failed(refused))]);
        assert!(bench.it.has_ended());
    }
}

#[test]
fn sync_refused_because_of_a_new_round_joins_at_once() {
    let mut bench = Bench::new(true, None);
    bench.one();
    bench.joined(1, false);
    let code = Failure::Code(ErrorCode::REBALANCE_IN_PROGRESS);
    let outputs = bench.give(Input::Synced(Err(code)));
    assert!(matches!(&outputs[..], [Output::Join { member_id, .. }] if member_id == "m1"));
}

#[test]
fn a_wish_to_rejoin_in_mid_round_is_kept() {
    let mut bench = Bench::new(true, None);
    bench.one();
    bench.joined(1, false);
    assert!(bench.give(Input::Rejoin("partitions were added")).is_empty());
    let outputs = bench.synced(0..2);
    assert!(matches!(outputs.last(), Some(Output::Join { .. })), "{outputs:?}");
}

#[test]
fn a_refused_commit_says_earlier_what_the_heartbeat_would() {
    let mut bench = Bench::stable(true, 0..2);
    let outputs =
        bench.give(Input::CommitRefused { generation: 1, code: ErrorCode::UNKNOWN_MEMBER_ID });
    assert!(matches!(&outputs[..], [Output::Emit(Event::Lost { .. }), Output::Join { .. }]));
    // The answer to an older commit changes nothing any more.
    let code = ErrorCode::UNKNOWN_MEMBER_ID;
    assert!(bench.give(Input::CommitRefused { generation: 1, code }).is_empty());
}

#[test]
fn late_answers_are_ignored() {
    let mut bench = Bench::stable(true, 0..2);
    bench.wait();
    bench.give(Input::Rejoin("test"));
    // The heartbeat of before is answered while the JoinGroup is under way.
    assert!(bench.give(Input::beat_code(1, ErrorCode::REBALANCE_IN_PROGRESS)).is_empty());
    bench.joined(2, false);
    assert!(bench.give(Input::beat_code(1, ErrorCode::ILLEGAL_GENERATION)).is_empty());
    assert!(bench.give(Input::Assigned { generation: 1, result: Ok(()) }).is_empty());
    assert_eq!(bench.it.epoch_of(&part(0)), Some(1));
}

#[test]
fn leaving_says_goodbye_unless_the_member_is_static() {
    let mut bench = Bench::stable(false, 0..1);
    assert_eq!(bench.give(Input::Leave), [Output::Leave { member_id: "m1".into() }]);
    assert!(bench.synced(0..1).is_empty());
    bench.give(Input::Left);
    assert!(bench.it.has_ended());

    let mut bench = Bench::new(false, Some("i"));
    bench.one();
    bench.joined(1, false);
    assert!(bench.give(Input::Leave).is_empty());
    assert!(bench.it.has_ended());
}
