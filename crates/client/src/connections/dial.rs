//! One dial: a stream, versions, authentication; and what a failure of it means.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::connection::{Connection, Ended, Lane};
use crate::core::Core;
use crate::counters::Event;
use crate::security::{self, AuthError, SecurityError, Session};
use crate::versions::{self, Negotiated};
use crate::{Address, ErrorCode, NodeId, SendError};

/// What was wrong with a dial.
#[derive(Debug, Clone)]
pub(super) enum Problem {
    Network(Arc<str>),
    Trust(Arc<SecurityError>),
}

impl Default for Problem {
    fn default() -> Self {
        Self::Network("".into())
    }
}

/// Why a dial failed.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) problem: Problem,
    /// The broker hung up on the question for its versions.
    pub(super) hung_up: bool,
}

impl Dial {
    pub(super) fn failed(problem: String) -> Self {
        Self { problem: Problem::Network(problem.into()), hung_up: false }
    }
}

impl From<SecurityError> for Dial {
    fn from(error: SecurityError) -> Self {
        Self { problem: Problem::Trust(Arc::new(error)), hung_up: false }
    }
}

impl Core {
    /// Dials, and once more if the broker refused what another try may bring about.
    pub(super) async fn try_twice(
        self: &Arc<Self>,
        node: NodeId,
        lane: Lane,
        address: &Address,
        oldest: bool,
    ) -> Result<Connection, Dial> {
        let refused_before = self.connections.distrusts(address);
        match self.try_dial(node, lane, address, oldest).await {
            Err(Dial { problem: Problem::Trust(error), .. })
                if error.may_pass() && !refused_before =>
            {
                self.recorder.event(Event::ConnectFailure);
                tokio::time::sleep(self.config().retry_backoff).await;
                self.try_dial(node, lane, address, oldest).await
            }
            dialled => dialled,
        }
    }

    async fn try_dial(
        self: &Arc<Self>,
        node: NodeId,
        lane: Lane,
        address: &Address,
        oldest: bool,
    ) -> Result<Connection, Dial> {
        let stream = self.transport.connect(address).await;
        let stream = stream.map_err(|error| match security::found_in(&error) {
            Some(error) => error.into(),
            None => Dial::failed(error.to_string()),
        })?;
        let (connection, task) =
            Connection::new(node, self.config(), self.recorder.clone(), stream);
        let tell = self.serve(&connection, lane, address, task);
        let trusted = async {
            negotiate(&connection, oldest, self.config().connect_timeout).await?;
            self.authenticate(&connection, address).await
        };
        match trusted.await {
            Ok(session) => {
                if let Some(session) = session {
                    // Gone only with the connection.
                    let _ = tell.send(session);
                }
                Ok(connection)
            }
            Err(dial) => {
                connection.retire();
                Err(connection.distrust().map_or(dial, Dial::from))
            }
        }
    }

    /// Lets the connection be served until it ends; its session, once it is told, is kept up.
    fn serve(
        self: &Arc<Self>,
        connection: &Connection,
        lane: Lane,
        address: &Address,
        task: impl Future<Output = Ended> + Send + 'static,
    ) -> oneshot::Sender<Session> {
        let (tell, told) = oneshot::channel();
        let (core, served, address) = (self.clone(), connection.clone(), address.clone());
        self.spawn(async move {
            let ended = if core.config().sasl.is_none() {
                task.await
            } else {
                let keep = security::keep_session(core.clone(), served.clone(), address, told);
                // What is dropped with the connection only waits.
                tokio::select! {
                    ended = task => ended,
                    never = keep => match never {},
                }
            };
            core.ended(&served, lane, &ended);
        });
        tell
    }

    async fn authenticate(
        &self,
        connection: &Connection,
        address: &Address,
    ) -> Result<Option<Session>, Dial> {
        let Some(sasl) = &self.config().sasl else { return Ok(None) };
        let patience = self.config().connect_timeout;
        let session = security::authenticate(connection, self.config(), sasl, address, patience);
        match session.await {
            Ok(session) => {
                self.recorder.event(Event::Authenticate);
                Ok(Some(session))
            }
            Err(AuthError::Security(error)) => Err(error.into()),
            Err(AuthError::Network(problem)) => Err(Dial::failed(problem)),
        }
    }
}

async fn negotiate(connection: &Connection, oldest: bool, patience: Duration) -> Result<(), Dial> {
    let failed = Dial::failed;
    let mut version = if oldest { 0 } else { versions::first_version() };
    loop {
        let reply = connection
            .start_negotiation(version, patience)
            .map_err(|error| failed(error.to_string()))?;
        let frame = reply.await.map_err(|error| Dial {
            hung_up: matches!(error, SendError::Disconnected { .. }),
            problem: Problem::Network(error.to_string().into()),
        })?;
        match versions::negotiate(version, frame) {
            Ok(Negotiated::Done(versions)) => {
                connection.negotiated(versions);
                return Ok(());
            }
            Ok(Negotiated::Again(lower)) => version = lower,
            Ok(Negotiated::Refused(code)) => {
                return Err(failed(refusal(code)));
            }
            Err(error) => return Err(failed(format!("no Kafka broker: {error}"))),
        }
    }
}

fn refusal(code: ErrorCode) -> String {
    format!("it refuses to name the versions it speaks (Kafka before 0.10?): {code}")
}
