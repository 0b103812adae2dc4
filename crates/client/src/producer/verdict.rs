//! What a broker's answer about one batch means: the general table of error codes, and where producing knows better.

use roka_protocol::ErrorCode;

use super::sequencer::Failure;
use crate::action::{self, Action};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is in the log.
    Written,
    /// It is not, or not provably; `stale` if the leader may be another.
    Failed { failure: Failure, stale: bool },
    /// It is too large as it is.
    Split,
}

/// Of the code for a batch of `count` records; `log_start_offset` came with it (-1: unknown).
pub(crate) fn of(code: ErrorCode, log_start_offset: i64, count: i32) -> Verdict {
    let failed = |failure| Verdict::Failed { failure, stale: false };
    match code {
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER => failed(Failure::OutOfOrder),
        ErrorCode::UNKNOWN_PRODUCER_ID => failed(Failure::UnknownProducer { log_start_offset }),
        ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::INVALID_PRODUCER_ID_MAPPING => {
            failed(Failure::StaleEpoch)
        }
        _ => match action::of(code) {
            Action::Ok => Verdict::Written,
            Action::Split if count > 1 => Verdict::Split,
            Action::RetryAfterMetadata | Action::Rebootstrap => {
                Verdict::Failed { failure: Failure::Retry, stale: true }
            }
            action if action.is_retry() => failed(Failure::Retry),
            _ => failed(Failure::Fatal),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_java_retries_is_retried() {
        for &code in ErrorCode::ALL {
            let retried =
                matches!(of(code, -1, 1), Verdict::Failed { failure: Failure::Retry, .. });
            // Sessions of fetches and the like never come as the answer to a batch.
            if code.is_retriable() && action::of(code).is_retry() {
                assert!(retried, "{code}");
            }
        }
        for code in [3, 5, 6, 56, 72, 74, 75, 100] {
            let stale = Verdict::Failed { failure: Failure::Retry, stale: true };
            assert_eq!(of(ErrorCode(code), -1, 1), stale, "{code}");
        }
        for code in [7, 19, 20] {
            let same_leader = Verdict::Failed { failure: Failure::Retry, stale: false };
            assert_eq!(of(ErrorCode(code), -1, 1), same_leader, "{code}");
        }
    }

    #[test]
    fn producing_knows_better() {
        assert_eq!(of(ErrorCode::NONE, -1, 1), Verdict::Written);
        assert_eq!(of(ErrorCode::DUPLICATE_SEQUENCE_NUMBER, -1, 1), Verdict::Written);
        assert_eq!(of(ErrorCode::MESSAGE_TOO_LARGE, -1, 2), Verdict::Split);
        let fatal = Verdict::Failed { failure: Failure::Fatal, stale: false };
        assert_eq!(of(ErrorCode::MESSAGE_TOO_LARGE, -1, 1), fatal);
        assert_eq!(of(ErrorCode::INVALID_RECORD, -1, 9), fatal);
        assert_eq!(of(ErrorCode(9999), -1, 1), fatal);
        let unknown = Failure::UnknownProducer { log_start_offset: 5 };
        let verdict = of(ErrorCode::UNKNOWN_PRODUCER_ID, 5, 1);
        assert_eq!(verdict, Verdict::Failed { failure: unknown, stale: false });
    }
}
