//! The bytes that members of a group send each other through the coordinator.
//!
//! Rules:
//! - The first two bytes are a version. A newer one than is known here is read as the newest known: fields are only
//!   ever appended (Kafka's `ConsumerProtocol`).
//! - An empty assignment is what a member gets that the leader left out: no partitions.

use std::{collections::BTreeMap, sync::Arc};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use roka_protocol::{
    Message,
    messages::consumer_protocol::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition as WirePartitions,
    },
};

use super::assignor::{Assignment, Member};
use crate::TopicPartition;

/// What a member says of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Subscription<'a> {
    pub(super) topics: &'a [Arc<str>],
    pub(super) user_data: Bytes,
    pub(super) owned: &'a [TopicPartition],
    pub(super) generation: i32,
    pub(super) rack: Option<&'a str>,
}

fn versioned<M: Message>(version: i16, message: &M) -> Result<Bytes, roka_protocol::Error> {
    let body = message.encode(version)?;
    let mut bytes = BytesMut::with_capacity(2 + body.len());
    bytes.put_i16(version);
    bytes.put_slice(&body);
    Ok(bytes.freeze())
}

fn read<M: Message>(mut bytes: Bytes) -> Result<M, String> {
    let version = bytes.try_get_i16().map_err(|_| "it has no version".to_string())?;
    if version < 0 {
        return Err(format!("it has version {version}"));
    }
    let known = version.min(*M::VERSIONS.end());
    M::decode(bytes, known).map_err(|error| error.to_string())
}

fn by_topic(partitions: &[TopicPartition]) -> Vec<WirePartitions> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for it in partitions {
        topics.entry(&it.topic).or_default().push(it.partition);
    }
    let topic = |(topic, partitions): (&str, _)| WirePartitions { topic: topic.into(), partitions };
    topics.into_iter().map(topic).collect()
}

fn partitions(topics: Vec<WirePartitions>) -> Vec<TopicPartition> {
    let of_topic = |topic: WirePartitions| {
        let name: Arc<str> = topic.topic.into();
        topic.partitions.into_iter().map(move |p| TopicPartition::new(name.clone(), p))
    };
    topics.into_iter().flat_map(of_topic).collect()
}

pub(super) fn encode_subscription(
    version: i16,
    it: &Subscription<'_>,
) -> Result<Bytes, roka_protocol::Error> {
    let version = version.clamp(0, *ConsumerProtocolSubscription::VERSIONS.end());
    let message = ConsumerProtocolSubscription {
        topics: it.topics.iter().map(ToString::to_string).collect(),
        user_data: Some(it.user_data.clone()),
        owned_partitions: by_topic(it.owned),
        generation_id: it.generation,
        rack_id: it.rack.map(Into::into),
    };
    versioned(version, &message)
}

/// The member, as its subscription describes it.
pub(super) fn decode_subscription(
    id: String,
    instance_id: Option<String>,
    bytes: Bytes,
) -> Result<Member, String> {
    let it: ConsumerProtocolSubscription = read(bytes)?;
    Ok(Member {
        id,
        instance_id,
        topics: it.topics.into_iter().map(Into::into).collect(),
        owned: partitions(it.owned_partitions),
        generation: it.generation_id,
        rack: it.rack_id,
        user_data: it.user_data.unwrap_or_default(),
    })
}

pub(super) fn encode_assignment(it: &Assignment) -> Result<Bytes, roka_protocol::Error> {
    let message = ConsumerProtocolAssignment {
        assigned_partitions: by_topic(&it.partitions),
        user_data: Some(it.user_data.clone()),
    };
    // All versions have the same fields, and the oldest clients know only the first.
    versioned(0, &message)
}

pub(super) fn decode_assignment(bytes: Bytes) -> Result<Assignment, String> {
    if bytes.is_empty() {
        return Ok(Assignment::default());
    }
    let it: ConsumerProtocolAssignment = read(bytes)?;
    let user_data = it.user_data.unwrap_or_default();
    Ok(Assignment { partitions: partitions(it.assigned_partitions), user_data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned() -> Vec<TopicPartition> {
        [("a", 1), ("a", 2), ("b", 0)].map(|(topic, p)| TopicPartition::new(topic, p)).to_vec()
    }

    fn subscription(version: i16) -> Bytes {
        let (topics, owned) = ([Arc::from("a"), Arc::from("b")], owned());
        let it = Subscription {
            topics: &topics,
            user_data: Bytes::from_static(b"mine"),
            owned: &owned,
            generation: 7,
            rack: Some("r1"),
        };
        encode_subscription(version, &it).unwrap()
    }

    #[test]
    fn each_version_carries_what_it_can() {
        for version in 0..=3 {
            let member = decode_subscription("m".into(), None, subscription(version)).unwrap();
            assert_eq!(member.topics, [Arc::from("a"), Arc::from("b")]);
            assert_eq!(member.user_data, "mine");
            assert_eq!(member.owned, if version >= 1 { owned() } else { vec![] });
            assert_eq!(member.generation, if version >= 2 { 7 } else { -1 });
            assert_eq!(member.rack.as_deref(), (version >= 3).then_some("r1"));
        }
    }

    #[test]
    fn a_version_of_the_future_is_read_as_far_as_it_is_known() {
        let mut bytes = subscription(3).to_vec();
        bytes[1] = 9;
        bytes.extend_from_slice(b"more");
        let member = decode_subscription("m".into(), None, bytes.into()).unwrap();
        assert_eq!((member.generation, member.rack.as_deref()), (7, Some("r1")));
    }

    #[test]
    fn the_oldest_subscription_is_what_every_client_writes() {
        let it = Subscription { topics: &["t".into()], ..Subscription::default() };
        let bytes = encode_subscription(0, &it).unwrap();
        assert_eq!(bytes[..], *b"\0\0\0\0\0\x01\0\x01t\0\0\0\0");
    }

    #[test]
    fn assignments_come_back_as_they_were() {
        let it = Assignment { partitions: owned(), user_data: Bytes::from_static(b"x") };
        assert_eq!(decode_assignment(encode_assignment(&it).unwrap()).unwrap(), it);
        assert_eq!(decode_assignment(Bytes::new()).unwrap(), Assignment::default());
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for bytes in [&b"\0"[..], b"\xff\xff", b"\0\0\0\0\0\x09", b"\0\0\x7f\xff\xff\xff"] {
            assert!(decode_assignment(Bytes::from_static(bytes)).is_err(), "{bytes:?}");
        }
    }
}
