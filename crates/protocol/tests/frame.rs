//! Headers and lengths, against bytes written down by hand.

use bytes::Bytes;
use roka_protocol::{
    ApiKey, ErrorCode, Fault, Message, Request, RequestHeader, frame,
    messages::{
        api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse},
        heartbeat::{HeartbeatRequest, HeartbeatResponse},
        produce::{PartitionProduceData, ProduceRequest, TopicProduceData},
    },
};

fn heartbeat() -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: "g".into(),
        generation_id: 3,
        member_id: "m".into(),
        ..HeartbeatRequest::default()
    }
}

#[test]
fn plain_request() {
    let frame = frame::encode_request(0, 7, Some("c"), &heartbeat()).unwrap();
    let expected = b"\0\0\0\x15\0\x0c\0\0\0\0\0\x07\0\x01c\0\x01g\0\0\0\x03\0\x01m";
    assert_eq!(frame.len(), expected.len());
    assert_eq!(frame.into_bytes(), &expected[..]);
}

#[test]
fn flexible_request() {
    let frame = frame::encode_request(4, 7, None, &heartbeat()).unwrap();
    let expected = b"\0\0\0\x15\0\x0c\0\x04\0\0\0\x07\xff\xff\0\x02g\0\0\0\x03\x02m\0\0";
    assert_eq!(frame.into_bytes(), &expected[..]);
}

#[test]
fn request_headers_are_read_back() {
    for version in HeartbeatRequest::VERSIONS {
        let bytes = frame::encode_request(version, -1, Some("me"), &heartbeat()).unwrap();
        let mut rest = bytes.into_bytes().slice(4..);
        let header = RequestHeader::decode(&mut rest).unwrap();
        assert_eq!(
            header,
            RequestHeader {
                api_key: HeartbeatRequest::KEY,
                api_version: version,
                correlation_id: -1,
                client_id: Some("me".into()),
            }
        );
        assert_eq!(HeartbeatRequest::decode(rest, version).unwrap(), heartbeat());
    }
}

#[test]
fn responses_are_read_back() {
    let response =
        HeartbeatResponse { error_code: ErrorCode::REBALANCE_IN_PROGRESS.0, throttle_time_ms: 0 };
    for version in HeartbeatResponse::VERSIONS {
        let frame = frame::encode_response(HeartbeatRequest::KEY, version, 9, &response).unwrap();
        let bytes = frame.into_bytes().slice(4..);
        assert_eq!(frame::correlation_id(&bytes), Ok(9));
        assert_eq!(
            frame::decode_response::<HeartbeatRequest>(version, bytes).unwrap(),
            (9, response.clone())
        );
    }
}

#[test]
fn api_versions_responses_have_the_oldest_header() {
    let response = ApiVersionsResponse {
        api_keys: vec![ApiVersion { api_key: 18, min_version: 0, max_version: 4 }],
        ..ApiVersionsResponse::default()
    };
    let bytes = frame::encode_response(18, 3, 5, &response).unwrap().into_bytes();
    // Length, correlation id, and at once the error code: no tagged fields between.
    assert_eq!(&bytes[..], b"\0\0\0\x13\0\0\0\x05\0\0\x02\0\x12\0\0\0\x04\0\0\0\0\0\0");
    let back = frame::decode_response::<ApiVersionsRequest>(3, bytes.slice(4..)).unwrap();
    assert_eq!(back, (5, response));
}

#[test]
fn records_are_spliced_and_not_copied() {
    let records = Bytes::from(vec![7; 100_000]);
    let request = ProduceRequest {
        acks: -1,
        topic_data: vec![TopicProduceData {
            name: "t".into(),
            partition_data: vec![PartitionProduceData { index: 0, records: Some(records.clone()) }],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    for version in [0, 3, 9, 12] {
        let frame = frame::encode_request(version, 1, Some("c"), &request).unwrap();
        let shared = frame.parts().iter().find(|part| part.len() == records.len()).unwrap();
        assert_eq!(shared.as_ptr(), records.as_ptr(), "v{version}");
        let len = frame.len();
        let mut bytes = frame.into_bytes();
        assert_eq!(bytes.len(), len);
        assert_eq!(i32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize, len - 4);
        let mut body = bytes.split_off(4);
        RequestHeader::decode(&mut body).unwrap();
        assert_eq!(ProduceRequest::decode(body, version).unwrap(), request, "v{version}");
    }
}

#[test]
fn what_cannot_be_said_is_an_error() {
    let long = "x".repeat(40_000);
    for version in HeartbeatRequest::VERSIONS {
        let request = HeartbeatRequest { group_id: long.clone(), ..heartbeat() };
        let error = request.encode(version).unwrap_err();
        assert_eq!((error.message, error.field), ("HeartbeatRequest", "group_id"));
        assert_eq!(error.fault, Fault::TooLong(40_000));
    }
    let error = frame::encode_request(0, 1, Some(&long), &heartbeat()).unwrap_err();
    assert_eq!(error.message, "RequestHeader");

    let with_instance = HeartbeatRequest { group_instance_id: Some("i".into()), ..heartbeat() };
    let error = with_instance.encode(2).unwrap_err();
    assert_eq!(error.fault, Fault::NotInVersion(2));
    assert_eq!(
        error.to_string(),
        "HeartbeatRequest.group_instance_id: version 2 has no such field: leave it at its default \
         or use another version"
    );
    assert!(with_instance.encode(3).is_ok());
    assert_eq!(heartbeat().encode(5).unwrap_err().fault, Fault::Version(5));
    assert_eq!(HeartbeatRequest::decode(Bytes::new(), -1).unwrap_err().fault, Fault::Version(-1));
}

#[test]
fn names_and_numbers() {
    for key in -1..200 {
        if let Some(api) = ApiKey::from_i16(key) {
            assert_eq!(api.key(), key);
        }
    }
    assert_eq!(ApiKey::ALL.len(), 95);
    assert_eq!(ApiKey::ListOffsets.name(), "ListOffsets");
    assert_eq!(ApiKey::try_from(1000), Err(1000));
    assert_eq!(ErrorCode::ALL.len(), 138);
    assert_eq!(ErrorCode(6), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(ErrorCode(6).name(), "NOT_LEADER_OR_FOLLOWER");
    assert!(ErrorCode(6).is_stale_metadata() && ErrorCode(6).is_retriable());
    assert!(ErrorCode(7).is_retriable() && !ErrorCode(7).is_stale_metadata());
    assert!(!ErrorCode(-1).is_retriable());
    assert_eq!(ErrorCode(999).name(), "UNKNOWN");
    assert!(ErrorCode(999).to_string().contains("999"));
}
