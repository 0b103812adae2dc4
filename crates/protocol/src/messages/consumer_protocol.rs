//! The bytes inside `JoinGroup` and `SyncGroup` for groups of protocol type `consumer`.
//!
//! They begin with their version as an i16, which is not part of the message; see
//! [`encode`] and [`decode`].

use bytes::Bytes;

use crate::{Error, Message, Reader, Wire, Writer, declare::message};

message! {
    /// What a member wants and what it owns.
    pub struct ConsumerProtocolSubscription (versions 0..=3, never flexible) {
        pub topics: Vec<String>,
        pub user_data: Option<Bytes>,
        pub owned_partitions: Vec<TopicPartition> [1.., ignorable],
        pub generation_id: i32 [2.., ignorable] = -1,
        pub rack_id: Option<String> [3.., ignorable],
    }

    /// Partitions of one topic.
    pub struct TopicPartition {
        pub topic: String,
        pub partitions: Vec<i32>,
    }

    /// What a member is to own.
    pub struct ConsumerProtocolAssignment (versions 0..=3, never flexible) {
        pub assigned_partitions: Vec<TopicPartition>,
        pub user_data: Option<Bytes>,
    }
}

/// The bytes for `JoinGroup` or `SyncGroup`: the version, then the message.
pub fn encode<M: Message>(version: i16, message: &M) -> Result<Bytes, Error> {
    let mut w = Writer::new(version, false);
    version.write(&mut w)?;
    message.encode_into(&mut w)?;
    Ok(w.into_bytes())
}

/// The version and the message from the bytes in `JoinGroup` or `SyncGroup`.
///
/// A version newer than this crate's is read as the newest known one, as Java's client does: later
/// versions only add fields at the end. No bytes at all, an assignor's way to say nothing, are an
/// error.
pub fn decode<M: Message>(bytes: Bytes) -> Result<(i16, M), Error> {
    let mut r = Reader::new(bytes, 0, false);
    let version = i16::read(&mut r).map_err(|error| error.at(M::NAME, "version"))?;
    Ok((version, M::decode(r.buf, version.min(*M::VERSIONS.end()))?))
}
