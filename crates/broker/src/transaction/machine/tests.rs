//! What each state answers, step by step, and what holds whatever is asked.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const TIMEOUT_MS: i32 = 1_000;
const IDLE_MS: i64 = 100_000;

/// A transactional id with a clock and producer ids of its own.
#[derive(Debug, Clone)]
struct Rehearsal {
    it: Transaction,
    now_ms: i64,
    next_id: i64,
}

impl Rehearsal {
    fn new() -> Self {
        Self { it: Transaction::new(1, 0), now_ms: 0, next_id: 2 }
    }

    /// In that state, with the producer that brought it there.
    fn at(state: State) -> (Self, Identity) {
        let mut all = Self::new();
        let mut who = all.init(None).unwrap();
        let outcome = match state {
            State::Empty => return (all, who),
            State::PrepareCommit | State::CompleteCommit => Some(Outcome::Commit),
            State::PrepareAbort | State::CompleteAbort => Some(Outcome::Abort),
            State::Ongoing | State::Dead => None,
        };
        all.add(who, 0).unwrap();
        if let Some(outcome) = outcome {
            who = all.it.end(all.now_ms, who, outcome).unwrap();
        }
        if matches!(state, State::CompleteCommit | State::CompleteAbort) {
            all.write_markers();
        }
        assert_eq!(all.it.state, state);
        (all, who)
    }

    fn init(&mut self, expected: Option<Identity>) -> Result<Identity, ErrorCode> {
        let next_id = &mut self.next_id;
        let mut fresh = || {
            *next_id += 1;
            *next_id - 1
        };
        self.it.init(self.now_ms, TIMEOUT_MS, expected, &mut fresh)
    }

    fn add(&mut self, who: Identity, partition: i32) -> Result<(), ErrorCode> {
        self.it.add_partitions(self.now_ms, who, [("t".to_owned(), partition)])
    }

    fn end_and_bump(&mut self, who: Identity, outcome: Outcome) -> Result<Identity, ErrorCode> {
        let next_id = &mut self.next_id;
        let mut fresh = || {
            *next_id += 1;
            *next_id - 1
        };
        self.it.end_and_bump(self.now_ms, who, outcome, &mut fresh)
    }

    fn write_markers(&mut self) {
        for partition in self.it.partitions.clone() {
            self.it.partition_done(&partition);
        }
        for group in self.it.groups.clone() {
            self.it.group_done(&group);
        }
        assert!(self.it.try_complete(self.now_ms));
    }
}

const CONCURRENT: ErrorCode = ErrorCode::CONCURRENT_TRANSACTIONS;
const INVALID: ErrorCode = ErrorCode::INVALID_TXN_STATE;
const FENCED: ErrorCode = ErrorCode::PRODUCER_FENCED;
const OK: ErrorCode = ErrorCode::NONE;

fn code<T>(result: Result<T, ErrorCode>) -> ErrorCode {
    result.err().unwrap_or(OK)
}

#[test]
fn every_state_answers_as_kafka_does() {
    use State::{CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit};
    // Adding; then commit and abort in the first version, then in the second one.
    let table = [
        (Empty, OK, INVALID, INVALID, INVALID, OK),
        (Ongoing, OK, OK, OK, OK, OK),
        (PrepareCommit, CONCURRENT, CONCURRENT, INVALID, FENCED, FENCED),
        (PrepareAbort, CONCURRENT, INVALID, CONCURRENT, FENCED, FENCED),
        (CompleteCommit, OK, OK, INVALID, INVALID, OK),
        (CompleteAbort, OK, INVALID, OK, INVALID, OK),
    ];
    for (state, add, commit, abort, commit_and_bump, abort_and_bump) in table {
        let (start, who) = Rehearsal::at(state);
        assert_eq!(code(start.clone().add(who, 1)), add, "{state:?}: add");
        let mut it = start.clone();
        assert_eq!(code(it.it.end(0, who, Outcome::Commit)), commit, "{state:?}: commit");
        let mut it = start.clone();
        assert_eq!(code(it.it.end(0, who, Outcome::Abort)), abort, "{state:?}: abort");
        let mut it = start.clone();
        let bumped = it.end_and_bump(who, Outcome::Commit);
        assert_eq!(code(bumped), commit_and_bump, "{state:?}: commit and bump");
        let mut it = start.clone();
        let bumped = it.end_and_bump(who, Outcome::Abort);
        assert_eq!(code(bumped), abort_and_bump, "{state:?}: abort and bump");

        let stranger = Identity { id: 77, ..who };
        let mapping = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
        assert_eq!(code(start.clone().add(stranger, 1)), mapping);
        assert_eq!(code(start.clone().end_and_bump(stranger, Outcome::Abort)), mapping);
        let newer = Identity { epoch: who.epoch + 1, ..who };
        assert_eq!(code(start.clone().add(newer, 1)), FENCED);
        assert_eq!(code(start.clone().it.end(0, newer, Outcome::Commit)), FENCED);
    }
}

#[test]
fn an_end_may_be_repeated_but_not_turned_round() {
    for (outcome, other) in [(Outcome::Commit, Outcome::Abort), (Outcome::Abort, Outcome::Commit)] {
        let (mut all, who) = Rehearsal::at(State::Ongoing);
        let next = all.end_and_bump(who, outcome).unwrap();
        assert_eq!(next, Identity { epoch: who.epoch + 1, ..who });
        assert_eq!(all.end_and_bump(who, outcome), Err(CONCURRENT));
        assert_eq!(all.end_and_bump(who, other), Err(INVALID));
        all.write_markers();
        assert_eq!(all.end_and_bump(who, outcome), Ok(next));
        assert_eq!(all.end_and_bump(who, other), Err(INVALID));
        all.add(next, 0).unwrap();
        assert_eq!(all.end_and_bump(who, outcome), Err(FENCED));
    }
}

#[test]
fn a_producer_goes_on_with_the_next_epoch_also_when_it_asks_twice() {
    let mut all = Rehearsal::new();
    let first = all.init(None).unwrap();
    assert_eq!(first, Identity { id: 1, epoch: 0 });
    let second = all.init(Some(first)).unwrap();
    assert_eq!(second, Identity { id: 1, epoch: 1 });
    assert_eq!(all.init(Some(first)), Ok(second), "its answer was lost");
    let third = all.init(None).unwrap();
    assert_eq!(third, Identity { id: 1, epoch: 2 });
    assert_eq!(all.init(Some(first)), Err(FENCED));
    assert_eq!(all.init(Some(second)), Err(FENCED), "a newer instance began since");
    assert_eq!(all.init(Some(Identity { id: 9, epoch: 2 })), Err(FENCED));
}

#[test]
fn the_transaction_of_a_former_instance_is_aborted_first() {
    let (mut all, old) = Rehearsal::at(State::Ongoing);
    assert_eq!(all.init(None), Err(CONCURRENT));
    assert_eq!(all.it.state, State::PrepareAbort);
    assert_eq!(all.init(None), Err(CONCURRENT), "the markers are missing");
    assert_eq!(all.it.end(0, old, Outcome::Commit), Err(FENCED));
    all.write_markers();
    let new = all.init(None).unwrap();
    assert!(new.epoch > old.epoch);
    assert_eq!(all.init(Some(old)), Err(FENCED));
}

#[test]
fn used_up_epochs_lead_to_a_new_producer_id() {
    let (mut all, mut who) = Rehearsal::at(State::Empty);
    all.it.epoch = i16::MAX - 1;
    who.epoch = i16::MAX - 1;
    let mut by_end = all.clone();
    let fresh = all.init(Some(who)).unwrap();
    assert_eq!(fresh, Identity { id: 2, epoch: 0 });
    assert_eq!(code(all.init(Some(who))), OK, "its answer was lost");

    by_end.add(who, 0).unwrap();
    let fresh = by_end.end_and_bump(who, Outcome::Commit).unwrap();
    assert_eq!(fresh, Identity { id: 2, epoch: 0 });
    // The marker goes out under the old id, with the epoch that was kept free.
    assert_eq!(by_end.it.identity(), Identity { id: 1, epoch: i16::MAX });
    by_end.write_markers();
    assert_eq!(by_end.end_and_bump(who, Outcome::Commit), Ok(fresh));
    by_end.add(fresh, 0).unwrap();
}

#[test]
fn what_takes_too_long_is_aborted_and_its_producer_fenced() {
    let (mut all, who) = Rehearsal::at(State::Ongoing);
    all.it.expire(i64::from(TIMEOUT_MS) - 1, IDLE_MS);
    assert_eq!(all.it.state, State::Ongoing);
    all.it.expire(i64::from(TIMEOUT_MS), IDLE_MS);
    assert_eq!(all.it.state, State::PrepareAbort);
    all.write_markers();
    assert_eq!(all.add(who, 0), Err(FENCED));
    assert_eq!(all.end_and_bump(who, Outcome::Commit), Err(INVALID));
    all.it.expire(IDLE_MS - 1, IDLE_MS);
    assert_eq!(all.it.state, State::CompleteAbort);
    all.it.expire(IDLE_MS, IDLE_MS);
    assert_eq!(all.it.state, State::Dead);
}

#[derive(Debug, Clone)]
enum Step {
    Init(Option<usize>),
    Add(usize, i32),
    AddGroup(usize),
    End(usize, bool, bool),
    OneMarker,
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = || 0usize..3;
    let step = prop_oneof![
        2 => prop::option::of(who()).prop_map(Step::Init),
        6 => (who(), 0..3).prop_map(|(who, at)| Step::Add(who, at)),
        2 => who().prop_map(Step::AddGroup),
        5 => (who(), any::<bool>(), any::<bool>()).prop_map(|(a, b, c)| Step::End(a, b, c)),
        6 => Just(Step::OneMarker),
        1 => (0i64..800).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..80)
}

/// Takes one step as one of the producers that were ever named, the newest first. Gives who it was and what was
/// answered.
fn take(
    all: &mut Rehearsal,
    named: &mut Vec<Identity>,
    step: &Step,
) -> Option<Result<(), ErrorCode>> {
    let of = |who: usize| named.iter().rev().nth(who).copied();
    let outcome = match *step {
        Step::Init(expected) => all.init(expected.and_then(of)).map(Some),
        Step::Add(who, at) => all.add(of(who)?, at).map(|()| None),
        Step::AddGroup(who) => all.it.add_group(all.now_ms, of(who)?, "g").map(|()| None),
        Step::End(who, committed, true) => {
            all.end_and_bump(of(who)?, Outcome::of(committed)).map(Some)
        }
        Step::End(who, committed, false) => {
            all.it.end(all.now_ms, of(who)?, Outcome::of(committed)).map(Some)
        }
        Step::OneMarker => {
            all.it.prepared()?;
            if let Some(first) = all.it.partitions.first().cloned() {
                all.it.partition_done(&first);
            } else {
                all.it.group_done("g");
            }
            all.it.try_complete(all.now_ms);
            return None;
        }
        Step::Wait(ms) => {
            all.now_ms += ms;
            all.it.expire(all.now_ms, IDLE_MS);
            return None;
        }
    };
    if let Ok(Some(identity)) = outcome
        && !named.contains(&identity)
    {
        named.push(identity);
    }
    Some(outcome.map(|_| ()))
}

fn place(it: &Transaction) -> (i64, i16) {
    (it.producer_id, it.epoch)
}

proptest! {
    #[test]
    fn whatever_is_asked_a_decision_stands_and_identities_only_rise(steps in steps(), late in any::<bool>()) {
        let mut all = Rehearsal::new();
        let mut named = vec![all.init(None).unwrap()];
        if late {
            all.it.epoch = i16::MAX - 4;
            named = vec![all.it.identity()];
        }
        for step in &steps {
            let before = all.it.clone();
            let answer = take(&mut all, &mut named, step);
            let after = &all.it;
            prop_assert!(place(after) >= place(&before), "{step:?}: {before:?} became {after:?}");
            // A producer id is new, so larger, when epochs begin again.
            let fences = matches!(step, Step::Init(_)) && before.state == State::Ongoing;
            if answer.is_some_and(|it| it.is_err()) && !fences {
                let unchanged = Transaction { dirty: after.dirty, ..before.clone() } == *after;
                prop_assert!(unchanged, "{step:?} was refused: {before:?} became {after:?}");
            }
            if before.prepared().is_some() {
                let complete = match before.state {
                    State::PrepareCommit => State::CompleteCommit,
                    _ => State::CompleteAbort,
                };
                prop_assert!(after.state == before.state || after.state == complete);
                prop_assert!(after.partitions.is_subset(&before.partitions));
            }
            if !matches!(after.state, State::Ongoing | State::PrepareCommit | State::PrepareAbort) {
                prop_assert!(after.partitions.is_empty() && after.groups.is_empty());
            }
            if before.state == State::Ongoing && after.state != State::Ongoing {
                // Nothing that the transaction wrote to is left without marker.
                prop_assert_eq!(&before.partitions, &after.partitions);
                prop_assert!(after.prepared().is_some());
            }
        }
    }
}
