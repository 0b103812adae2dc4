//! The Kafka wire protocol. No sockets, no async: bytes in, values out.

mod api_key;
mod declare;
mod error;
mod error_code;
mod message;
mod reader;
mod sampler;
mod uuid;
mod wire;
mod writer;

pub mod frame;
pub mod messages;
pub mod records;

pub use api_key::ApiKey;
#[doc(hidden)]
pub use declare::{Field, Sampler, Struct};
pub use error::{Error, Fault};
pub use error_code::ErrorCode;
pub use frame::{Frame, RequestHeader};
pub use message::{Message, Request, Route};
pub use reader::Reader;
pub use uuid::{ParseUuidError, Uuid};
pub use wire::Wire;
pub use writer::Writer;
