//! What an error code of a coordinator means at each step of a transaction (KIP-98, KIP-360, KIP-447, KIP-890): one table.
//!
//! Rules:
//! - *Wrong place, not yet* is repeated; the router has found the coordinator anew before that is seen here.
//! - A commit that was sent is never made an abort by an error that leaves it open whether it took place.
//! - Aborting is always safe, so what is unknown aborts where nothing has been decided, and is repeated or fatal where
//!   something has.

use roka_protocol::ErrorCode;

use crate::action;

/// What the coordinator is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// `InitProducerId`: the identity, or its next epoch.
    Init,
    /// `AddPartitionsToTxn`.
    AddPartitions,
    /// `AddOffsetsToTxn`.
    AddOffsets,
    /// `TxnOffsetCommit`, which the group's coordinator answers.
    CommitOffsets,
    /// `EndTxn`.
    End {
        /// Or abort.
        commit: bool,
    },
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// It is done.
    Done,
    /// Ask again within milliseconds: the transaction before is being completed.
    Soon,
    /// Ask again after the usual back-off.
    Again,
    /// The transaction cannot be committed; with `bump`, the producer needs its next epoch besides.
    Abort {
        /// See above.
        bump: bool,
    },
    /// Like it, and the coordinator does not know the identity any more: there is nothing to end, a new one is needed.
    Renew,
    /// Nothing can be done with this producer any more.
    Fatal,
}

/// Of one code.
pub(crate) fn of(step: Step, code: ErrorCode) -> Verdict {
    use ErrorCode as E;
    let ends = matches!(step, Step::Init | Step::End { .. });
    match code {
        E::NONE => Verdict::Done,
        E::CONCURRENT_TRANSACTIONS => Verdict::Soon,
        E::PRODUCER_FENCED
        | E::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | E::CLUSTER_AUTHORIZATION_FAILED
        | E::UNSUPPORTED_VERSION
        | E::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | E::INVALID_TRANSACTION_TIMEOUT
        | E::INVALID_TXN_STATE => Verdict::Fatal,
        // Whether we are the one who was overtaken is told by the next `InitProducerId`; a commit may have taken place.
        E::INVALID_PRODUCER_EPOCH => match step {
            Step::Init | Step::End { commit: true } => Verdict::Fatal,
            Step::End { commit: false } => Verdict::Renew,
            _ => Verdict::Abort { bump: true },
        },
        E::UNKNOWN_PRODUCER_ID | E::INVALID_PRODUCER_ID_MAPPING if step == Step::Init => {
            Verdict::Fatal
        }
        E::UNKNOWN_PRODUCER_ID | E::INVALID_PRODUCER_ID_MAPPING => Verdict::Renew,
        E::TRANSACTION_ABORTABLE => match step {
            Step::Init | Step::End { commit: false } => Verdict::Again,
            _ => Verdict::Abort { bump: false },
        },
        E::UNKNOWN_TOPIC_OR_PARTITION if ends || step == Step::AddOffsets => Verdict::Fatal,
        // The coordinator may or may not have done it; the same request again does no harm.
        E::UNKNOWN_SERVER_ERROR if ends => Verdict::Again,
        code if action::of(code).is_retry() => Verdict::Again,
        _ if ends => Verdict::Fatal,
        // Access denied to a topic or group; a member that the group does not know (any more): others may go on.
        _ => Verdict::Abort { bump: false },
    }
}

/// Of several codes of one answer: the worst, and the code that it is of.
pub(crate) fn of_all(step: Step, codes: impl IntoIterator<Item = ErrorCode>) -> ErrorCode {
    let mut worst = ErrorCode::NONE;
    let rank = |code| match (of(step, code), code) {
        (Verdict::Done, _) => (0, Verdict::Done),
        // Said of the partitions besides the one that is to blame.
        (verdict, ErrorCode::OPERATION_NOT_ATTEMPTED) => (1, verdict),
        (verdict, _) => (2, verdict),
    };
    for code in codes {
        if rank(code) > rank(worst) {
            worst = code;
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Step; 6] = [
        Step::Init,
        Step::AddPartitions,
        Step::AddOffsets,
        Step::CommitOffsets,
        Step::End { commit: true },
        Step::End { commit: false },
    ];

    /// One line per code, one column per step.
    #[test]
    fn the_table() {
        use ErrorCode as E;
        use Verdict::{Again, Done, Fatal, Renew, Soon};
        let abort = Verdict::Abort { bump: false };
        let bump = Verdict::Abort { bump: true };
        let table = [
            (E::NONE, [Done; 6]),
            (E::CONCURRENT_TRANSACTIONS, [Soon; 6]),
            (E::NOT_COORDINATOR, [Again; 6]),
            (E::COORDINATOR_NOT_AVAILABLE, [Again; 6]),
            (E::COORDINATOR_LOAD_IN_PROGRESS, [Again; 6]),
            (E::TRANSACTION_COORDINATOR_FENCED, [Again; 6]),
            (E::REQUEST_TIMED_OUT, [Again; 6]),
            (E::PRODUCER_FENCED, [Fatal; 6]),
            (E::INVALID_TXN_STATE, [Fatal; 6]),
            (E::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, [Fatal; 6]),
            (E::INVALID_PRODUCER_EPOCH, [Fatal, bump, bump, bump, Fatal, Renew]),
            (E::INVALID_PRODUCER_ID_MAPPING, [Fatal, Renew, Renew, Renew, Renew, Renew]),
            (E::UNKNOWN_PRODUCER_ID, [Fatal, Renew, Renew, Renew, Renew, Renew]),
            (E::TRANSACTION_ABORTABLE, [Again, abort, abort, abort, abort, Again]),
            (E::UNKNOWN_SERVER_ERROR, [Again, abort, abort, abort, Again, Again]),
            (E::UNKNOWN_TOPIC_OR_PARTITION, [Fatal, Again, Fatal, Again, Fatal, Fatal]),
            (E::TOPIC_AUTHORIZATION_FAILED, [Fatal, abort, abort, abort, Fatal, Fatal]),
            (E::GROUP_AUTHORIZATION_FAILED, [Fatal, abort, abort, abort, Fatal, Fatal]),
            (E::FENCED_INSTANCE_ID, [Fatal, abort, abort, abort, Fatal, Fatal]),
            (E::ILLEGAL_GENERATION, [Fatal, abort, abort, abort, Fatal, Fatal]),
            (E::UNKNOWN_MEMBER_ID, [Fatal, abort, abort, abort, Fatal, Fatal]),
            (E::OPERATION_NOT_ATTEMPTED, [Fatal, abort, abort, abort, Fatal, Fatal]),
            (E(9999), [Fatal, abort, abort, abort, Fatal, Fatal]),
        ];
        for (code, expected) in table {
            for (step, expected) in STEPS.into_iter().zip(expected) {
                assert_eq!(of(step, code), expected, "{code} at {step:?}");
            }
        }
    }

    #[test]
    fn nothing_that_may_pass_ends_a_transaction() {
        for &code in ErrorCode::ALL {
            let passes = action::of(code).is_retry();
            for step in STEPS {
                let verdict = of(step, code);
                let repeats = matches!(verdict, Verdict::Again | Verdict::Soon);
                if passes && code != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
                    assert!(repeats, "{code} at {step:?}: {verdict:?}");
                }
                if step == (Step::End { commit: true }) && !passes {
                    // Flipping the outcome is for codes that say that nothing was committed.
                    let flips = matches!(verdict, Verdict::Abort { .. } | Verdict::Renew);
                    let says_so = [
                        ErrorCode::TRANSACTION_ABORTABLE,
                        ErrorCode::UNKNOWN_PRODUCER_ID,
                        ErrorCode::INVALID_PRODUCER_ID_MAPPING,
                    ];
                    assert_eq!(flips, says_so.contains(&code), "{code}");
                }
            }
        }
    }

    #[test]
    fn the_worst_of_several_counts_and_innocent_partitions_do_not() {
        use ErrorCode as E;
        let of = |codes: &[E]| of_all(Step::AddPartitions, codes.iter().copied());
        assert_eq!(of(&[]), E::NONE);
        assert_eq!(of(&[E::NONE, E::NONE]), E::NONE);
        assert_eq!(of(&[E::OPERATION_NOT_ATTEMPTED, E::NONE]), E::OPERATION_NOT_ATTEMPTED);
        let codes = [E::OPERATION_NOT_ATTEMPTED, E::UNKNOWN_TOPIC_OR_PARTITION];
        assert_eq!(of(&codes), E::UNKNOWN_TOPIC_OR_PARTITION);
        let codes = [E::NOT_COORDINATOR, E::PRODUCER_FENCED, E::TOPIC_AUTHORIZATION_FAILED];
        assert_eq!(of(&codes), E::PRODUCER_FENCED);
    }
}
