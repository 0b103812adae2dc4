//! What can go wrong with transactions. Each error says which of three ways is left: call again, abort and go on, or make
//! a new producer.

use std::fmt;
use std::sync::Arc;

use roka_protocol::{ApiKey, ErrorCode};

use crate::Error;
use crate::producer::ProduceError;

/// What is to be done about a [`TransactionError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recovery {
    /// Call the same again: it goes on where it is.
    Retry,
    /// Abort the transaction (a failed commit has done so already), go back to what was committed last, and go on.
    Abort,
    /// This producer is at its end: make a new one, unless another has its id now.
    Fatal,
    /// The call was wrong; nothing has changed.
    Misuse,
}

/// Why a transaction, or one step of it, failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// The time for the call (`api_timeout`) is up. It is still being tried: call it again to learn how it ends. The
    /// outcome of a commit is then open, and calling anything else does not change it.
    #[error("transactional id {id}: {call} is not done yet{}: call it again", Last(last.as_deref()))]
    Retry {
        /// The transactional id.
        id: Arc<str>,
        /// What was called.
        call: &'static str,
        /// What the last attempt met.
        last: Option<Arc<Error>>,
    },
    /// The transaction cannot be committed. After a failed commit it has been aborted; otherwise abort it.
    #[error(
        "transactional id {id}: the transaction cannot be committed: {cause}; abort it and go on from the last commit"
    )]
    Abort {
        /// The transactional id.
        id: Arc<str>,
        /// Why.
        cause: Arc<TransactionCause>,
    },
    /// The producer cannot go on.
    #[error(
        "transactional id {id}: the producer cannot go on: {cause}{}; make a new one",
        if *maybe_committed { " (the transaction may have been committed)" } else { "" }
    )]
    Fatal {
        /// The transactional id.
        id: Arc<str>,
        /// Why.
        cause: Arc<TransactionCause>,
        /// A commit was under way and its outcome is not known. A new producer with the same id settles it before it is
        /// ready: then read what is committed.
        maybe_committed: bool,
    },
    /// A transaction is open already.
    #[error(
        "transactional id {id}: a transaction is open: commit or abort it before the next begins"
    )]
    Open {
        /// The transactional id.
        id: Arc<str>,
    },
    /// The transaction has ended, another way than was asked for now.
    #[error("transactional id {id}: the transaction has ended: begin another")]
    Ended {
        /// The transactional id.
        id: Arc<str>,
    },
    /// Its commit is under way: it can be aborted no more.
    #[error(
        "transactional id {id}: the commit is under way: call commit again to learn how it ends"
    )]
    Committing {
        /// The transactional id.
        id: Arc<str>,
    },
    /// The client could not do what was needed.
    #[error(transparent)]
    Client(#[from] Error),
}

/// What ended a transaction or a producer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionCause {
    /// A coordinator said so.
    #[error("{api} was refused: {code}{}", Hint(*code))]
    Refused {
        /// What was asked.
        api: ApiKey,
        /// Kafka's error code.
        code: ErrorCode,
    },
    /// Records were not delivered.
    #[error("{0}")]
    Records(ProduceError),
    /// The client could not ask.
    #[error("{0}")]
    Client(Error),
    /// The producer needs a new epoch and the cluster is too old to give one (before Kafka 2.5).
    #[error("{0}, and brokers before Kafka 2.5 give no new epoch")]
    NoBump(Arc<TransactionCause>),
}

impl TransactionError {
    /// What is to be done.
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Retry { .. } => Recovery::Retry,
            Self::Abort { .. } => Recovery::Abort,
            Self::Fatal { .. } | Self::Client(_) => Recovery::Fatal,
            Self::Open { .. } | Self::Ended { .. } | Self::Committing { .. } => Recovery::Misuse,
        }
    }

    /// Kafka's error code, if a broker gave one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Retry { last, .. } => last.as_ref()?.code(),
            Self::Abort { cause, .. } | Self::Fatal { cause, .. } => cause.code(),
            Self::Client(error) => error.code(),
            _ => None,
        }
    }

    /// Whether another producer has the transactional id now: this one must end and not be replaced.
    pub fn is_fenced(&self) -> bool {
        let fences = [ErrorCode::PRODUCER_FENCED, ErrorCode::INVALID_PRODUCER_EPOCH];
        self.recovery() == Recovery::Fatal && self.code().is_some_and(|code| fences.contains(&code))
    }
}

impl TransactionCause {
    /// Kafka's error code, if a broker gave one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Records(error) => error.code(),
            Self::Client(error) => error.code(),
            Self::NoBump(cause) => cause.code(),
        }
    }
}

struct Last<'a>(Option<&'a Error>);

impl fmt::Display for Last<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |last| write!(f, "; the last attempt met: {last}"))
    }
}

struct Hint(ErrorCode);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            ErrorCode::PRODUCER_FENCED | ErrorCode::INVALID_PRODUCER_EPOCH => {
                " (another producer has taken over this transactional id, or the transaction timed out)"
            }
            ErrorCode::INVALID_TRANSACTION_TIMEOUT => {
                " (lower `transaction_timeout` below the broker's transaction.max.timeout.ms)"
            }
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::FENCED_INSTANCE_ID => " (the group has given its partitions to others)",
            _ => "",
        })
    }
}
