//! What the machine asks the coordinators, what it hears, and what its users wait for.

use std::sync::Arc;

use roka_protocol::{ApiKey, ErrorCode};

use super::error::TransactionCause;
use super::offsets::Offsets;
use super::verdict::{self, Step, Verdict};
use crate::producer::sequencer::Identity;
use crate::{Error, SendError};

/// How transactions are spoken of: the feature `transaction.version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Partitions and groups are announced (0 and 1).
    One,
    /// They are not, and each transaction has its own epoch (2: KIP-890).
    Two,
}

/// What to ask a coordinator.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// The identity, or its next epoch.
    Init {
        current: Option<Identity>,
    },
    AddPartitions {
        identity: Identity,
        partitions: Vec<u32>,
    },
    AddOffsets {
        identity: Identity,
        group: Arc<str>,
    },
    CommitOffsets {
        identity: Identity,
        level: Level,
        offsets: Arc<Offsets>,
    },
    End {
        identity: Identity,
        level: Level,
        commit: bool,
    },
}

impl Ask {
    pub(crate) fn step(&self) -> Step {
        match self {
            Self::Init { .. } => Step::Init,
            Self::AddPartitions { .. } => Step::AddPartitions,
            Self::AddOffsets { .. } => Step::AddOffsets,
            Self::CommitOffsets { .. } => Step::CommitOffsets,
            Self::End { commit, .. } => Step::End { commit: *commit },
        }
    }
}

impl Step {
    /// What it is on the wire.
    pub(crate) fn api(self) -> ApiKey {
        match self {
            Self::Init => ApiKey::InitProducerId,
            Self::AddPartitions => ApiKey::AddPartitionsToTxn,
            Self::AddOffsets => ApiKey::AddOffsetsToTxn,
            Self::CommitOffsets => ApiKey::TxnOffsetCommit,
            Self::End { .. } => ApiKey::EndTxn,
        }
    }
}

/// What came of a question.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Kafka's code, or why there is none.
    pub(crate) code: Result<ErrorCode, Error>,
    /// The identity from now on, if the answer gave one.
    pub(crate) identity: Option<Identity>,
    /// Whether the coordinator can give a new epoch (KIP-360); from `InitProducerId`.
    pub(crate) bumps: bool,
}

/// What a call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// That a transaction can begin.
    Ready,
    /// That those offsets are part of that transaction.
    Offsets { number: u64, job: u64 },
    /// That it has ended so.
    End { number: u64, commit: bool },
}

/// What follows, the reason if it ends something, and what to tell who does not wait any longer.
pub(super) fn judge(
    step: Step,
    code: Result<ErrorCode, Error>,
) -> (Verdict, TransactionCause, Option<Arc<Error>>) {
    let api = step.api();
    let of_code = |code| (verdict::of(step, code), TransactionCause::Refused { api, code });
    let ends = matches!(step, Step::End { .. });
    let (verdict, cause) = match &code {
        // A coordinator that may not be looked up counts as one that refuses.
        Ok(code) | Err(Error::Refused { code, .. }) => of_code(*code),
        Err(error) => {
            let cause = TransactionCause::Client(error.clone());
            let verdict = match error {
                Error::Timeout { .. } => Verdict::Again,
                Error::Send(error) if error.is_retriable() => Verdict::Again,
                Error::Closed | Error::Send(SendError::Closed) => Verdict::Fatal,
                // In the midst of an upgrade the coordinator may be on an older broker for a while.
                _ if ends => Verdict::Again,
                _ if step == Step::Init => Verdict::Fatal,
                _ => Verdict::Abort { bump: false },
            };
            (verdict, cause)
        }
    };
    let last = match (verdict, code) {
        (Verdict::Done, _) => None,
        (_, Err(error)) => Some(error),
        (_, Ok(code)) => Some(Error::refused(api, crate::Subject::Cluster, code)),
    };
    (verdict, cause, last.map(Arc::new))
}
