//! What the parts of the service say to each other.

use roka::Stream;
use serde::{Deserialize, Serialize};

/// Messages as they were sent, by sender.
pub const SENT: Stream<String, Message> = Stream::json("messaging-sent");
/// Messages as they are delivered, by recipient.
pub const RECEIVED: Stream<String, Message> = Stream::json("messaging-received");
/// Who is to be blocked or not any more, by user.
pub const BLOCKS: Stream<String, Block> = Stream::json("messaging-blocks");
/// What to write instead, by word.
pub const WORDS: Stream<String, String> = Stream::text("messaging-words");

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub from: String,
    pub to: String,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Block {
    On { reason: String },
    Off,
}

impl Message {
    pub fn new(from: &str, to: &str, text: &str) -> Self {
        Self { from: from.to_owned(), to: to.to_owned(), text: text.to_owned() }
    }
}
