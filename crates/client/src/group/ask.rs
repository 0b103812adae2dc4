//! One request of a group's protocol to its coordinator.

use std::{sync::Arc, time::Duration};

use roka_protocol::{ErrorCode, Request};

use super::membership::{Failure, moves_coordinator};
use crate::{Error, SendError, connection::Lane, coordinator::CoordinatorKind, core::Core};

/// Why there is no good answer.
#[derive(Debug, Clone)]
pub(super) enum AskError {
    /// The membership knows what to do.
    Failure(Failure),
    /// There is no way on: the broker cannot do what is needed, or forbids it.
    Hopeless(String),
}

impl From<Failure> for AskError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Asks the coordinator once. What went wrong with the coordinator is remembered, so that the next attempt finds
/// the right one. `least` is the lowest version that can carry what is asked.
pub(super) async fn ask<R: Request>(
    core: &Arc<Core>,
    group: &str,
    lane: Lane,
    timeout: Duration,
    least: i16,
    build: impl FnOnce(i16) -> R,
    outcome: impl FnOnce(&R::Response) -> ErrorCode,
) -> Result<(R::Response, ErrorCode), AskError> {
    let finding = core.coordinator(CoordinatorKind::Group, group);
    let node = match tokio::time::timeout(timeout, finding).await {
        Err(_) => return Err(Failure::Unreachable.into()),
        Ok(Err(Error::Refused { code, .. })) => return Err(Failure::Code(code).into()),
        Ok(Err(error)) => return Err(AskError::Hopeless(error.to_string())),
        Ok(Ok(node)) => node,
    };
    let send = async {
        let connection = core.connection(node, lane).await?;
        let version = connection.version_of::<R>(None)?;
        if version < least {
            let (api, have) = (crate::connection::api_of::<R>(), Some((0, version)));
            return Err(SendError::UnsupportedVersion { node, api, need: (least, i16::MAX), have });
        }
        connection.start_in(version, &build(version), timeout)?.await
    };
    match send.await {
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
            Err(Failure::Unreachable.into())
        }
        Err(error) => Err(AskError::Hopeless(error.to_string())),
    }
}
