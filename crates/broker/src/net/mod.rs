//! Sockets: what listens, and one loop per connection.

mod connection;
mod listener;
mod outbox;

pub(crate) use listener::{Port, serve};
