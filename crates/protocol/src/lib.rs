//! The Kafka wire protocol. No sockets, no async: bytes in, values out.
#![allow(missing_docs)]

mod api_key;
mod error;
mod error_code;
mod message;
mod reader;
mod wire;
mod writer;

pub mod frame;
pub mod messages;
pub mod records;

pub use api_key::ApiKey;
pub use error::{Error, Fault};
pub use error_code::ErrorCode;
pub use frame::{Frame, RequestHeader};
pub use message::{Field, Message, Request, Route, Struct};
pub use reader::Reader;
pub use wire::{Uuid, Wire};
pub use writer::Writer;
