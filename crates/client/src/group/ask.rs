//! One request of a group's protocol to its coordinator.
//!
//! A coordinator that does not answer in time is not waited for: the group is looked up again meanwhile, and if another
//! broker coordinates it by now, the attempt is over.

use std::{sync::Arc, time::Duration};

use roka_protocol::{ErrorCode, Request};
use tokio::time::timeout;

use super::membership::moves_coordinator;
use crate::{
    Error, SendError,
    connection::{Lane, api_of},
    coordinator::CoordinatorKind,
    core::Core,
};

/// Why there is no good answer.
#[derive(Debug, Clone)]
pub(super) enum AskError {
    /// The group cannot be looked up, for this reason.
    Refused(ErrorCode),
    /// No answer; the next attempt may be elsewhere. With what was met, if anything was.
    Unreachable(Option<SendError>),
    /// There is no way on: the broker cannot do what is needed, or the client is closed.
    Hopeless(Error),
}

/// How to ask.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) lane: Lane,
    /// How long the coordinator may take.
    pub(super) timeout: Duration,
    /// The versions that can carry what is asked.
    pub(super) versions: (i16, i16),
}

/// Asks the coordinator once. What went wrong with the coordinator is remembered, so that the next attempt finds
/// the right one.
pub(super) async fn ask<R: Request>(
    core: &Arc<Core>,
    group: &str,
    how: How,
    build: impl FnOnce(i16) -> R,
    outcome: impl FnOnce(&R::Response) -> ErrorCode,
) -> Result<(R::Response, ErrorCode), AskError> {
    let finding = core.unless_distrusted(core.coordinator(CoordinatorKind::Group, group));
    let node = match timeout(how.timeout, finding).await {
        Err(_) => return Err(AskError::Unreachable(None)),
        Ok(Err(Error::Refused { code, .. })) => return Err(AskError::Refused(code)),
        Ok(Err(error)) => return Err(AskError::Hopeless(error)),
        Ok(Ok(node)) => node,
    };
    let asking = async {
        let connection = core.connection(node, how.lane).await?;
        let (least, most) = how.versions;
        let version = connection.version_of::<R>(Some(most))?;
        if version < least {
            let (api, have) = (api_of::<R>(), Some((0, version)));
            return Err(SendError::UnsupportedVersion { node, api, need: (least, most), have });
        }
        connection.start_in(version, &build(version), how.timeout)?.await
    };
    let answer = tokio::select! {
        answer = asking => answer,
        // The answer, should it still come, is dropped with the attempt.
        () = core.coordinator_replaced(CoordinatorKind::Group, group, node) => {
            tracing::debug!(group, %node, "the coordinator is another broker by now");
            return Err(AskError::Unreachable(None));
        }
    };
    match answer {
        Ok(response) => {
            let outcome = outcome(&response);
            if moves_coordinator(outcome) {
                core.forget_coordinator(CoordinatorKind::Group, group, node);
            }
            Ok((response, outcome))
        }
        Err(error) if error.is_retriable() => {
            tracing::debug!(group, %error, "the coordinator did not answer");
            core.forget_coordinator(CoordinatorKind::Group, group, node);
            Err(AskError::Unreachable(Some(error)))
        }
        Err(SendError::Closed) => Err(AskError::Hopeless(Error::Closed)),
        Err(error) => Err(AskError::Hopeless(error.into())),
    }
}
