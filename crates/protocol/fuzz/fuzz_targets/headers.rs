#![no_main]
//! Request headers, and the heads of responses.

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use roka_protocol::{
    RequestHeader, frame,
    messages::{api_versions::ApiVersionsRequest, metadata::MetadataRequest},
};

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    let _ = RequestHeader::decode(&mut bytes.clone());
    let _ = frame::correlation_id(&bytes);
    for version in -1..15 {
        let _ = frame::decode_response::<MetadataRequest>(version, bytes.clone());
        let _ = frame::decode_response::<ApiVersionsRequest>(version, bytes.clone());
    }
});
