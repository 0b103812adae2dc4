//! The producer against the embedded cluster. What is in the logs is read over a plain socket, not by the client.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod delivery;
mod failures;
mod limits;
mod movement;
mod support;
mod versions;
