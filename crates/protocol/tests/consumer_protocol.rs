//! The bytes inside `JoinGroup` and `SyncGroup`, against bytes written down by hand.

use bytes::Bytes;
use roka_protocol::{
    Fault,
    messages::consumer_protocol::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition, decode, encode,
    },
};

fn subscription() -> ConsumerProtocolSubscription {
    ConsumerProtocolSubscription {
        topics: vec!["t".into()],
        user_data: Some(Bytes::from_static(b"u")),
        ..ConsumerProtocolSubscription::default()
    }
}

#[test]
fn the_version_comes_first() {
    let bytes = encode(0, &subscription()).unwrap();
    assert_eq!(&bytes[..], b"\0\0\0\0\0\x01\0\x01t\0\0\0\x01u");
    assert_eq!(decode(bytes).unwrap(), (0, subscription()));
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: vec![TopicPartition { topic: "t".into(), partitions: vec![1, 2] }],
        user_data: None,
    };
    let bytes = encode(1, &assignment).unwrap();
    assert_eq!(
        &bytes[..],
        b"\0\x01\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\x01\0\0\0\x02\xff\xff\xff\xff"
    );
    assert_eq!(decode(bytes).unwrap(), (1, assignment));
}

#[test]
fn newer_versions_are_read_as_far_as_they_are_known() {
    let wanted = ConsumerProtocolSubscription {
        owned_partitions: vec![TopicPartition { topic: "t".into(), partitions: vec![0] }],
        generation_id: 7,
        rack_id: Some("r".into()),
        ..subscription()
    };
    let mut bytes = encode(3, &wanted).unwrap().to_vec();
    bytes[1] = 9;
    bytes.extend_from_slice(b"what version 9 adds");
    assert_eq!(decode(bytes.into()).unwrap(), (9, wanted));
}

#[test]
fn what_is_none_is_an_error() {
    let error = decode::<ConsumerProtocolAssignment>(Bytes::new()).unwrap_err();
    assert_eq!((error.fault, error.field), (Fault::Truncated, "version"));
    let error = decode::<ConsumerProtocolAssignment>(Bytes::from_static(b"\xff\xff")).unwrap_err();
    assert_eq!(error.fault, Fault::Version(-1));
}
