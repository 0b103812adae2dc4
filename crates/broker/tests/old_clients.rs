//! Clients from before Kafka 0.11 produce and fetch message sets; nodes can pretend to be of any release.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::ErrorKind;

use roka_broker::Cluster;
use roka_protocol::{
    ApiKey, ErrorCode,
    messages::{
        api_versions::ApiVersionsRequest,
        fetch::FetchResponse,
        list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic},
        metadata::MetadataRequest,
    },
    records::{Batches, Compression, MessageFormat, MessageSetBuilder},
};
use support::{RawClient, fetch_request, produce_request, values_of};

fn cluster() -> (Cluster, RawClient) {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let client = RawClient::of(&cluster);
    (cluster, client)
}

fn message_set(format: MessageFormat, compression: Compression, values: &[&str]) -> bytes::Bytes {
    let mut set = MessageSetBuilder::new(format, compression).unwrap();
    for (value, offset) in values.iter().zip(0..) {
        set.push(offset, support::now_ms(), Some(b"k"), Some(value.as_bytes())).unwrap();
    }
    set.build().unwrap()
}

#[test]
fn message_sets_become_batches_and_are_given_back_as_message_sets() {
    for (version, format) in
        [(0, MessageFormat::V0), (1, MessageFormat::V0), (2, MessageFormat::V1)]
    {
        for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
            let (_cluster, mut client) = cluster();
            let set = message_set(format, compression, &["a", "b"]);
            let response = client.produce_with(version, "t", 0, set.clone(), 1);
            assert_eq!((response.error_code, response.base_offset), (0, 0));
            let response = client.produce_with(version, "t", 0, set, 1);
            assert_eq!((response.error_code, response.base_offset), (0, 2));
            for (fetch, magic) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (12, 2)] {
                let mut fetched: FetchResponse = client.call(fetch, &fetch_request("t", 0, 0, 0));
                let data = fetched.responses.remove(0).partitions.remove(0);
                let records = data.records.unwrap();
                let first = Batches::new(records.clone()).next().unwrap().unwrap();
                assert_eq!(first.magic(), magic, "fetch version {fetch}");
                let values = values_of(&records);
                let expected = [(0, "a"), (1, "b"), (2, "a"), (3, "b")];
                assert_eq!(values, expected.map(|(at, it)| (at, it.to_owned())));
            }
        }
    }
}

#[test]
fn a_damaged_message_is_refused() {
    let (cluster, mut client) = cluster();
    let mut set = message_set(MessageFormat::V1, Compression::None, &["a"]).to_vec();
    *set.last_mut().unwrap() ^= 1;
    let response = client.produce_with(2, "t", 0, set.into(), 1);
    assert_eq!(ErrorCode(response.error_code), ErrorCode::CORRUPT_MESSAGE);
    assert_eq!(cluster.end_offset("t", 0).unwrap(), 0);
}

#[test]
fn the_oldest_way_to_list_offsets_works() {
    let (_cluster, mut client) = cluster();
    client.produce_values("t", 0, &["a", "b"]);
    let asked = ListOffsetsPartition { timestamp: -1, ..Default::default() };
    let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![asked] }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    assert_eq!(client.call(0, &request).topics[0].partitions[0].old_style_offsets, [2]);
}

#[test]
fn a_node_speaks_what_its_release_spoke() {
    let (cluster, mut client) = cluster();
    cluster.pretend("0.10.0.1").unwrap();
    let versions = client.call(0, &ApiVersionsRequest::default()).api_keys;
    let of = |api: ApiKey| {
        let found = versions.iter().find(|it| it.api_key == api.key());
        found.map(|it| (it.min_version, it.max_version))
    };
    assert_eq!(of(ApiKey::Metadata), Some((0, 1)));
    assert_eq!(of(ApiKey::Produce), Some((0, 2)));
    assert_eq!(of(ApiKey::CreateTopics), None);
    let metadata = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    assert_eq!(client.call(0, &metadata).topics.len(), 1, "version 0 has no other word for all");
    assert_eq!(client.call(1, &metadata).topics.len(), 0);
    client.send(2, &metadata);
    assert_eq!(client.receive().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let unknown = cluster.pretend("7.0").unwrap_err().to_string();
    assert!(unknown.contains("7.0") && unknown.contains("2.8"), "{unknown}");
    cluster.uncap_versions();
    RawClient::of(&cluster).call(12, &metadata);
}

#[test]
fn without_acknowledgement_nothing_comes_back() {
    let (cluster, mut client) = cluster();
    let set = message_set(MessageFormat::V1, Compression::None, &["a"]);
    client.send(2, &produce_request("t", 0, set, 0));
    let metadata = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    // The next response on the connection is that of the next request.
    client.call(1, &metadata);
    assert_eq!(cluster.end_offset("t", 0).unwrap(), 1);
}
