//! The machine, step by step: each code of a coordinator at each step, and what must never happen.

use roka_protocol::ApiKey;

use super::super::ask::Wish;
use super::super::error::{Recovery, TransactionError};
use super::super::verdict;
use super::*;
use crate::TopicPartition;
use crate::consumer::Position;
use crate::group::GroupMetadata;
use crate::producer::ProduceError;

const FIRST: Identity = Identity { id: 7, epoch: 0 };
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// A machine, a clock, and the question that is open.
struct Rig {
    machine: Machine,
    now: Instant,
    asked: Option<Ask>,
}

fn ok(identity: Option<Identity>) -> Answer {
    Answer { code: Ok(ErrorCode::NONE), identity, bumps: true }
}

fn code(code: ErrorCode) -> Answer {
    Answer { code: Ok(code), identity: None, bumps: true }
}

fn lost() -> TransactionCause {
    TransactionCause::Records(ProduceError::Closed { topic: "t".into(), partition: 0 })
}

fn offsets(job: u64) -> Arc<Offsets> {
    let group = GroupMetadata::without_member("g");
    let positions = vec![(TopicPartition::new("t", 0), Position::at(3), None)];
    Arc::new(Offsets { job, group, positions })
}

impl Rig {
    fn starting() -> Self {
        let machine = Machine::new("id".into(), BACKOFF);
        Self { machine, now: Instant::now(), asked: None }
    }

    fn ready() -> Self {
        let mut rig = Self::starting();
        rig.asks(Step::Init);
        rig.hears(ok(Some(FIRST)));
        assert!(matches!(rig.machine.grant(Wish::Ready), Some(Ok(()))));
        rig
    }

    fn open(level: Level) -> Self {
        let mut rig = Self::ready();
        rig.machine.begin(level);
        rig
    }

    /// With a record in it that the coordinator has heard of.
    fn with_records(level: Level) -> Self {
        let mut rig = Self::open(level);
        rig.machine.want(0);
        if level == Level::One {
            assert!(!rig.machine.may_send(0), "not before the coordinator has the partition");
            rig.asks(Step::AddPartitions);
            rig.hears(ok(None));
        }
        assert!(rig.machine.may_send(0));
        rig.machine.sent();
        rig
    }

    fn asks(&mut self, step: Step) {
        let ask = self.machine.next(self.now).unwrap_or_else(|| panic!("not asked: {step:?}"));
        assert_eq!(ask.step(), step);
        assert!(self.machine.next(self.now).is_none(), "one question at a time");
        self.asked = Some(ask);
    }

    fn hears(&mut self, answer: Answer) {
        let asked = self.asked.take().expect("a question");
        self.machine.answered(&asked, answer, self.now);
    }

    fn silent(&mut self) {
        assert!(self.machine.next(self.now).is_none());
    }

    /// Waits until it asks again; how long.
    fn waits(&mut self) -> Duration {
        self.silent();
        let wait = self.machine.due().expect("a time") - self.now;
        self.now += wait;
        wait
    }

    fn end(&mut self, commit: bool) {
        self.machine.end(1, commit);
        self.machine.drained();
    }

    fn granted(&self, commit: bool) -> Option<Result<(), Recovery>> {
        let granted = self.machine.grant(Wish::End { number: 1, commit })?;
        Some(granted.map_err(|error| error.recovery()))
    }

    fn identity(&self) -> Identity {
        self.machine.identity().expect("an identity")
    }
}

#[test]
fn level_one_announces_and_keeps_its_epoch() {
    let mut rig = Rig::with_records(Level::One);
    rig.machine.commit_offsets(1, offsets(1));
    rig.asks(Step::AddOffsets);
    rig.hears(ok(None));
    rig.asks(Step::CommitOffsets);
    rig.hears(ok(None));
    assert!(matches!(rig.machine.grant(Wish::Offsets { number: 1, job: 1 }), Some(Ok(()))));
    rig.machine.commit_offsets(1, offsets(2));
    rig.asks(Step::CommitOffsets);
    rig.hears(ok(None));
    rig.machine.end(1, true);
    assert!(rig.machine.may_send(0), "what was sent before is delivered first");
    rig.silent();
    rig.machine.drained();
    rig.asks(Step::End { commit: true });
    assert_eq!(rig.granted(true), None);
    rig.hears(ok(None));
    assert_eq!(rig.granted(true), Some(Ok(())));
    assert_eq!(rig.identity(), FIRST);
    rig.machine.begin(Level::One);
    rig.machine.want(0);
    assert!(!rig.machine.may_send(0), "each transaction announces anew");
}

#[test]
fn level_two_announces_nothing_and_takes_each_epoch() {
    let mut rig = Rig::with_records(Level::Two);
    rig.silent();
    rig.machine.commit_offsets(1, offsets(1));
    rig.asks(Step::CommitOffsets);
    rig.hears(ok(None));
    rig.end(true);
    rig.asks(Step::End { commit: true });
    let next = Identity { id: 7, epoch: 1 };
    rig.hears(ok(Some(next)));
    assert_eq!((rig.granted(true), rig.identity()), (Some(Ok(())), next));
    // The epochs of one id end at 32767: the coordinator then gives another id.
    rig.machine.begin(Level::Two);
    rig.machine.sent();
    rig.machine.end(2, false);
    rig.machine.drained();
    rig.asks(Step::End { commit: false });
    let other = Identity { id: 8, epoch: 0 };
    rig.hears(ok(Some(other)));
    assert_eq!(rig.identity(), other);
    assert!(rig.machine.grant(Wish::End { number: 2, commit: false }).unwrap().is_ok());
}

#[test]
fn what_passes_is_asked_again_with_growing_distance() {
    let again = [
        (ErrorCode::CONCURRENT_TRANSACTIONS, [20, 40, 80]),
        (ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, [100, 200, 400]),
        (ErrorCode::NOT_COORDINATOR, [100, 200, 400]),
        (ErrorCode::COORDINATOR_NOT_AVAILABLE, [100, 200, 400]),
    ];
    for (passing, waits) in again {
        let try_it = |rig: &mut Rig, step: Step, answer: Answer| {
            for wait in waits {
                rig.asks(step);
                rig.hears(code(passing));
                assert_eq!(rig.waits(), Duration::from_millis(wait), "{passing} at {step:?}");
            }
            rig.asks(step);
            rig.hears(answer);
        };
        let mut rig = Rig::starting();
        try_it(&mut rig, Step::Init, ok(Some(FIRST)));
        rig.machine.begin(Level::One);
        rig.machine.want(0);
        try_it(&mut rig, Step::AddPartitions, ok(None));
        assert!(rig.machine.may_send(0));
        rig.machine.commit_offsets(1, offsets(1));
        try_it(&mut rig, Step::AddOffsets, ok(None));
        try_it(&mut rig, Step::CommitOffsets, ok(None));
        rig.end(true);
        try_it(&mut rig, Step::End { commit: true }, ok(None));
        assert_eq!(rig.granted(true), Some(Ok(())), "{passing}");
    }
}

#[test]
fn the_longest_wait_is_the_configured_one() {
    let mut rig = Rig::starting();
    for _ in 0..40 {
        rig.asks(Step::Init);
        rig.hears(code(ErrorCode::CONCURRENT_TRANSACTIONS));
        assert!(rig.waits() <= BACKOFF.1);
    }
}

/// At each step where the transaction is open: each code that ends it, and how.
#[test]
fn what_ends_a_transaction_at_each_step() {
    use ErrorCode as E;
    let steps = [Step::AddPartitions, Step::AddOffsets, Step::CommitOffsets];
    for step in steps {
        for &failure in ErrorCode::ALL {
            let mut rig = Rig::open(Level::One);
            let reach = |rig: &mut Rig| {
                if step == Step::AddPartitions {
                    rig.machine.want(0);
                } else {
                    rig.machine.commit_offsets(1, offsets(1));
                }
                if step == Step::CommitOffsets {
                    rig.asks(Step::AddOffsets);
                    rig.hears(ok(None));
                }
                rig.asks(step);
            };
            reach(&mut rig);
            rig.hears(code(failure));
            match verdict::of(step, failure) {
                Verdict::Done => assert!(rig.machine.is_open()),
                Verdict::Soon | Verdict::Again => {
                    assert!(rig.machine.is_open() && rig.machine.due().is_some(), "{failure}");
                }
                Verdict::Fatal => {
                    assert!(rig.machine.is_dead(), "{failure} at {step:?}");
                    assert_eq!(rig.granted(true), Some(Err(Recovery::Fatal)));
                    assert!(rig.machine.grant(Wish::Ready).unwrap().is_err());
                    rig.silent();
                }
                Verdict::Abort { bump } => {
                    assert!(!rig.machine.is_open() && !rig.machine.may_send(0));
                    rig.silent();
                    // A commit becomes an abort, and says why.
                    rig.end(true);
                    rig.asks(Step::End { commit: false });
                    rig.hears(ok(None));
                    if bump {
                        rig.asks(Step::Init);
                        rig.hears(ok(Some(Identity { id: 7, epoch: 1 })));
                    }
                    assert_eq!(rig.granted(true), Some(Err(Recovery::Abort)), "{failure}");
                    assert_eq!(rig.identity().epoch, i16::from(bump));
                    assert!(rig.machine.grant(Wish::Ready).unwrap().is_ok());
                }
                Verdict::Renew => {
                    // The coordinator knows nothing to end.
                    rig.end(false);
                    rig.asks(Step::Init);
                    rig.hears(ok(Some(Identity { id: 8, epoch: 0 })));
                    assert!(rig.machine.grant(Wish::Ready).unwrap().is_ok());
                    assert_eq!(rig.identity().id, 8);
                }
            }
            let group = E::UNKNOWN_MEMBER_ID;
            if failure == group && step == Step::CommitOffsets {
                assert!(matches!(verdict::of(step, group), Verdict::Abort { bump: false }));
            }
        }
    }
}

/// What a commit can be answered, after any number of attempts that were not.
#[test]
fn a_commit_is_never_flipped_by_what_leaves_its_outcome_open() {
    let unknown = || Error::Timeout { operation: "x".into(), after: BACKOFF.1, last: None };
    for level in [Level::One, Level::Two] {
        for &answer in ErrorCode::ALL {
            let mut rig = Rig::with_records(level);
            rig.end(true);
            let step = Step::End { commit: true };
            rig.asks(step);
            rig.hears(Answer { code: Err(unknown()), identity: None, bumps: false });
            rig.waits();
            // Neither the user nor a late failure changes what was asked.
            rig.machine.end(1, false);
            rig.machine.fail(lost(), true);
            rig.machine.abandon(1);
            assert_eq!(rig.granted(false), Some(Err(Recovery::Misuse)));
            assert_eq!(rig.granted(true), None);
            rig.asks(step);
            rig.hears(code(answer));
            match verdict::of(step, answer) {
                Verdict::Soon | Verdict::Again => {
                    rig.waits();
                    rig.asks(step);
                }
                Verdict::Fatal => {
                    let Some(Err(error)) = rig.machine.grant(Wish::End { number: 1, commit: true })
                    else {
                        panic!("{answer}")
                    };
                    let open =
                        matches!(error, TransactionError::Fatal { maybe_committed: true, .. });
                    assert!(open, "{answer}: {error}");
                }
                Verdict::Done => {}
                Verdict::Abort { .. } | Verdict::Renew => {
                    rig.machine.drained();
                    let next = rig.machine.next(rig.now).unwrap().step();
                    assert!(matches!(next, Step::End { commit: false } | Step::Init), "{answer}");
                }
            }
        }
    }
}

#[test]
fn lost_records_abort_and_with_a_hole_under_a_new_epoch() {
    for bump in [false, true] {
        let mut rig = Rig::with_records(Level::One);
        rig.machine.fail(lost(), bump);
        assert_eq!(rig.machine.may_send(0), !bump, "without a hole what was sent is sent on");
        rig.end(true);
        rig.asks(Step::End { commit: false });
        rig.hears(ok(None));
        if bump {
            rig.asks(Step::Init);
            let Some(Ask::Init { current }) = rig.asked else { panic!("not Init") };
            assert_eq!(current, Some(FIRST));
            rig.hears(ok(Some(Identity { id: 7, epoch: 1 })));
        }
        assert_eq!(rig.granted(true), Some(Err(Recovery::Abort)));
        assert_eq!(rig.granted(false), Some(Ok(())));
    }
    // Under level 2 the end gives the epoch.
    let mut rig = Rig::with_records(Level::Two);
    rig.machine.fail(lost(), true);
    assert!(!rig.machine.may_send(0));
    rig.end(false);
    rig.asks(Step::End { commit: false });
    rig.hears(ok(Some(Identity { id: 7, epoch: 1 })));
    assert_eq!(rig.granted(false), Some(Ok(())));
    rig.silent();
}

#[test]
fn a_stale_epoch_is_asked_about_and_then_one_is_fenced_or_not() {
    for fenced in [false, true] {
        let mut rig = Rig::with_records(Level::One);
        rig.machine.commit_offsets(1, offsets(1));
        rig.asks(Step::AddOffsets);
        rig.hears(code(ErrorCode::INVALID_PRODUCER_EPOCH));
        rig.end(false);
        rig.asks(Step::End { commit: false });
        rig.hears(code(ErrorCode::INVALID_PRODUCER_EPOCH));
        rig.asks(Step::Init);
        if fenced {
            rig.hears(code(ErrorCode::PRODUCER_FENCED));
            let Some(Err(error)) = rig.machine.grant(Wish::Ready) else { panic!("not told") };
            assert!(error.is_fenced(), "{error}");
        } else {
            rig.hears(ok(Some(Identity { id: 7, epoch: 2 })));
            assert!(rig.machine.grant(Wish::Ready).unwrap().is_ok());
        }
    }
}

#[test]
fn old_coordinators_give_no_epoch() {
    let mut rig = Rig::starting();
    rig.asks(Step::Init);
    rig.hears(Answer { bumps: false, ..ok(Some(FIRST)) });
    rig.machine.begin(Level::One);
    rig.machine.want(0);
    rig.asks(Step::AddPartitions);
    rig.hears(ok(None));
    rig.machine.fail(lost(), true);
    rig.end(false);
    rig.asks(Step::End { commit: false });
    rig.hears(ok(None));
    let Some(Err(error)) = rig.machine.grant(Wish::Ready) else { panic!("not told") };
    assert_eq!(error.recovery(), Recovery::Fatal);
    assert!(error.to_string().contains("2.5"), "{error}");
}

#[test]
fn an_abort_of_what_was_never_heard_of_ends_in_peace() {
    let mut rig = Rig::open(Level::One);
    rig.end(false);
    assert_eq!(rig.granted(false), Some(Ok(())));
    rig.silent();
    // It was asked for, but nobody knows whether the coordinator heard it.
    let mut rig = Rig::open(Level::One);
    rig.machine.want(0);
    rig.asks(Step::AddPartitions);
    rig.machine.end(1, false);
    rig.machine.drained();
    assert!(rig.machine.is_draining(), "the answer is waited for");
    rig.hears(Answer {
        code: Err(Error::Timeout { operation: "x".into(), after: BACKOFF.1, last: None }),
        identity: None,
        bumps: true,
    });
    rig.machine.drained();
    rig.asks(Step::End { commit: false });
    rig.hears(code(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(rig.granted(false), Some(Ok(())));
    // Where it was heard of it is an error.
    let mut rig = Rig::with_records(Level::One);
    rig.end(false);
    rig.asks(Step::End { commit: false });
    rig.hears(code(ErrorCode::INVALID_TXN_STATE));
    assert!(rig.machine.is_dead());
}

#[test]
fn offsets_that_nobody_waits_for_still_go_before_the_end() {
    let mut rig = Rig::with_records(Level::Two);
    rig.machine.commit_offsets(1, offsets(1));
    rig.machine.end(1, true);
    rig.machine.drained();
    rig.asks(Step::CommitOffsets);
    rig.machine.drained();
    rig.hears(ok(None));
    rig.machine.drained();
    rig.asks(Step::End { commit: true });
}

#[test]
fn a_coordinator_that_may_not_be_asked_is_the_end_and_a_group_that_may_not_is_not() {
    let denied = |api, code| Error::refused(api, crate::Subject::Cluster, code);
    let mut rig = Rig::starting();
    rig.asks(Step::Init);
    let error = denied(ApiKey::FindCoordinator, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    rig.hears(Answer { code: Err(error), identity: None, bumps: false });
    assert!(rig.machine.is_dead());
    let mut rig = Rig::with_records(Level::Two);
    rig.machine.commit_offsets(1, offsets(1));
    rig.asks(Step::CommitOffsets);
    let error = denied(ApiKey::FindCoordinator, ErrorCode::GROUP_AUTHORIZATION_FAILED);
    rig.hears(Answer { code: Err(error), identity: None, bumps: false });
    let told = rig.machine.grant(Wish::Offsets { number: 1, job: 1 });
    assert_eq!(told.unwrap().unwrap_err().recovery(), Recovery::Abort);
}
