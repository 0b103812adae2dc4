//! The Kafka wire protocol. No sockets, no async: bytes in, values out.
#![allow(missing_docs)]

mod error;
mod message;
mod reader;
mod wire;
mod writer;

pub mod messages;

pub use error::{Error, Fault};
pub use message::{Field, Message, Request, Route, Struct};
pub use reader::Reader;
pub use wire::{Uuid, Wire};
pub use writer::Writer;
