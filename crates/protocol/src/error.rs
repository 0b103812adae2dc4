//! What can be wrong with a message, and where.

use std::fmt;

/// A message that cannot be read or written, with the field at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub fault: Fault,
    /// The struct in which it is wrong, by Kafka's name; empty when no struct was entered.
    pub message: &'static str,
    /// The field of that struct; empty when the fault is none of a field.
    pub field: &'static str,
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes end before the value does.
    #[error("the bytes end before the value does")]
    Truncated,
    /// A length that is negative or exceeds what is left of the message.
    #[error("length {0} is negative or exceeds the rest of the message")]
    Length(i64),
    /// A string that is not UTF-8.
    #[error("the string is not UTF-8")]
    Utf8,
    /// A null where this version allows none.
    #[error("null is not allowed in this version")]
    Null,
    /// A value longer than its length prefix can say.
    #[error("length {0} exceeds what the wire format can express")]
    TooLong(usize),
    /// A field that this version lacks holds something other than its default, and may not be
    /// dropped silently.
    #[error("version {0} has no such field: leave it at its default or use another version")]
    NotInVersion(i16),
    /// A version that this crate does not speak.
    #[error("version {0} is not one that this crate speaks")]
    Version(i16),
}

impl Error {
    /// Names the field at fault, unless a struct further inside has done so.
    #[must_use]
    pub fn at(mut self, message: &'static str, field: &'static str) -> Self {
        if self.message.is_empty() {
            (self.message, self.field) = (message, field);
        }
        self
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self { fault, message: "", field: "" }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.message, self.field) {
            ("", _) => write!(f, "malformed message: {}", self.fault),
            (message, "") => write!(f, "{message}: {}", self.fault),
            (message, field) => write!(f, "{message}.{field}: {}", self.fault),
        }
    }
}

impl std::error::Error for Error {}
