//! The Kafka wire protocol. No sockets, no async: bytes in, values out.
#![allow(missing_docs)]

mod message;
mod primitive;

pub mod messages;

pub use message::{Field, Message, Request, Route};
pub use primitive::{Error, Reader, Uuid, Wire, Writer};
