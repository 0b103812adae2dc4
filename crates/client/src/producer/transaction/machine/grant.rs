//! How calls end: what the state of the machine says to who waits.

use std::sync::Arc;

use super::super::ask::Wish;
use super::super::error::{TransactionCause, TransactionError};
use super::{Machine, Phase};

impl Machine {
    /// How a call ends; none as long as it has to wait.
    pub(crate) fn grant(&self, wish: Wish) -> Option<Result<(), TransactionError>> {
        let id = self.id.clone();
        let dead = |maybe_committed| {
            Some(Err(TransactionError::Fatal {
                id: id.clone(),
                cause: self.cause()?,
                maybe_committed,
            }))
        };
        let ended = || Some(Err(TransactionError::Ended { id: id.clone() }));
        let aborted = |cause: Option<&Arc<TransactionCause>>| {
            let Some(cause) = cause.cloned() else { return ended() };
            Some(Err(TransactionError::Abort { id: id.clone(), cause }))
        };
        match wish {
            Wish::Ready => match self.phase {
                Phase::Ready => Some(Ok(())),
                Phase::Open | Phase::Failed => Some(Err(TransactionError::Open { id })),
                Phase::Dead { maybe_committed } => dead(maybe_committed),
                Phase::Starting | Phase::Ending { .. } => None,
            },
            Wish::Offsets { job, .. } if self.offsets_done >= job => Some(Ok(())),
            Wish::Offsets { number, .. } if number != self.number => ended(),
            Wish::Offsets { .. } => match self.phase {
                Phase::Open | Phase::Ending { commit: true, .. } if self.offsets.is_some() => None,
                Phase::Dead { maybe_committed } => dead(maybe_committed),
                Phase::Failed | Phase::Ending { commit: false, .. } => aborted(self.cause.as_ref()),
                _ => ended(),
            },
            Wish::End { number, commit } => match &self.ended {
                Some(it) if it.number == number && it.committed == commit => Some(Ok(())),
                Some(it) if it.number == number => aborted(it.cause.as_ref().filter(|_| commit)),
                _ if number != self.number => ended(),
                _ => match self.phase {
                    Phase::Dead { maybe_committed } => dead(maybe_committed),
                    Phase::Ending { commit: true, .. } if !commit => {
                        Some(Err(TransactionError::Committing { id }))
                    }
                    _ => None,
                },
            },
        }
    }

    fn cause(&self) -> Option<Arc<TransactionCause>> {
        self.cause.clone()
    }

    /// What a call is told whose time is up.
    pub(crate) fn not_yet(&self, call: &'static str) -> TransactionError {
        TransactionError::Retry { id: self.id.clone(), call, last: self.last.clone() }
    }
}
