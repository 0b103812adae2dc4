//! Committed offsets come back as they were stored, in every version; what cannot be stored is refused by itself.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode, Uuid,
    messages::{
        metadata::MetadataRequest,
        offset_commit::{
            OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
        },
        offset_fetch::{
            OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic,
            OffsetFetchRequestTopics,
        },
    },
};
use support::{
    RawClient,
    group::{GROUP, Member, commit_request, committed},
};

fn start() -> Cluster {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 3, 1).unwrap();
    cluster.create_topic("u", 1, 1).unwrap();
    cluster
}

fn commit_error(client: &mut RawClient, version: i16, request: &OffsetCommitRequest) -> ErrorCode {
    ErrorCode(client.call(version, request).topics[0].partitions[0].error_code)
}

#[test]
fn every_version_by_name_stores_and_reads() {
    let cluster = start();
    let mut client = RawClient::of(&cluster);
    for version in 0..=9 {
        let request = commit_request("t", 1, 100 + i64::from(version));
        assert_eq!(commit_error(&mut client, version, &request), ErrorCode::NONE, "{version}");
        assert_eq!(committed(&cluster, "t", 1), (100 + i64::from(version), "note".to_owned()));
    }
    for version in 0..=7 {
        let topic = OffsetFetchRequestTopic { name: "t".into(), partition_indexes: vec![1, 2, 9] };
        let request = OffsetFetchRequest {
            group_id: GROUP.into(),
            topics: Some(vec![topic]),
            ..Default::default()
        };
        let response = client.call(version, &request);
        let found = response.topics[0].partitions.iter();
        let found: Vec<_> =
            found.map(|it| (it.partition_index, it.committed_offset, it.error_code)).collect();
        // None and no such partition look alike, as in Kafka.
        assert_eq!(found, [(1, 109, 0), (2, -1, 0), (9, -1, 0)], "version {version}");
    }
}

#[test]
fn several_groups_at_once_and_all_that_a_group_has() {
    let cluster = start();
    let mut client = RawClient::of(&cluster);
    client.call(8, &commit_request("t", 0, 1));
    client.call(8, &commit_request("t", 2, 3));
    client.call(8, &commit_request("u", 0, 4));
    let group = |id: &str| OffsetFetchRequestGroup {
        group_id: id.to_owned(),
        topics: None,
        ..Default::default()
    };
    let groups = vec![group("stranger"), group(GROUP)];
    let request = OffsetFetchRequest { groups, ..Default::default() };
    for version in 8..=9 {
        let response = client.call(version, &request);
        assert_eq!(response.groups[0].group_id, "stranger");
        assert!(response.groups[0].topics.is_empty());
        let topics = &response.groups[1].topics;
        let found = |at: usize| {
            let topic = &topics[at];
            let partitions = topic.partitions.iter();
            let partitions: Vec<_> =
                partitions.map(|it| (it.partition_index, it.committed_offset)).collect();
            (&*topic.name, partitions)
        };
        assert_eq!(topics.len(), 2);
        assert_eq!(found(0), ("t", vec![(0, 1), (2, 3)]));
        assert_eq!(found(1), ("u", vec![(0, 4)]));
    }
}

#[test]
fn topics_are_named_by_id_in_the_newest_version() {
    let cluster = start();
    let mut client = RawClient::of(&cluster);
    let metadata = client.call(12, &MetadataRequest { topics: None, ..Default::default() });
    let of_t = metadata.topics.iter().find(|it| it.name.as_deref() == Some("t"));
    let id = of_t.unwrap().topic_id;
    let partition =
        |committed_offset| OffsetCommitRequestPartition { committed_offset, ..Default::default() };
    let topic = |topic_id, offset| OffsetCommitRequestTopic {
        topic_id,
        partitions: vec![partition(offset)],
        ..Default::default()
    };
    let topics = vec![topic(id, 11), topic(Uuid([7; 16]), 12)];
    let request = OffsetCommitRequest { group_id: GROUP.into(), topics, ..Default::default() };
    let response = client.call(10, &request);
    let errors = response.topics.iter().map(|it| ErrorCode(it.partitions[0].error_code));
    assert!(errors.eq([ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_ID]));
    assert_eq!(response.topics[0].topic_id, id);

    let topic = |topic_id| OffsetFetchRequestTopics {
        topic_id,
        partition_indexes: vec![0],
        ..Default::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: GROUP.into(),
        topics: Some(vec![topic(id), topic(Uuid([7; 16]))]),
        ..Default::default()
    };
    let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    let response = client.call(10, &request);
    let topics = response.groups[0].topics.iter();
    let found = topics.map(|it| {
        (it.topic_id, it.partitions[0].committed_offset, ErrorCode(it.partitions[0].error_code))
    });
    let unknown = (Uuid([7; 16]), -1, ErrorCode::UNKNOWN_TOPIC_ID);
    assert!(found.eq([(id, 11, ErrorCode::NONE), unknown]));
}

#[test]
fn what_cannot_be_stored_does_not_stop_the_rest() {
    let cluster = start();
    let mut client = RawClient::of(&cluster);
    let mut request = commit_request("t", 0, 1);
    let long = OffsetCommitRequestPartition {
        partition_index: 1,
        committed_offset: 2,
        committed_metadata: Some("x".repeat(4097)),
        ..Default::default()
    };
    request.topics[0].partitions.push(long);
    request.topics[0]
        .partitions
        .push(OffsetCommitRequestPartition { partition_index: 3, ..Default::default() });
    request.topics.push(commit_request("none", 0, 9).topics.remove(0));
    let response = client.call(9, &request);
    let errors = response.topics.iter().flat_map(|it| &it.partitions);
    let errors: Vec<_> = errors.map(|it| ErrorCode(it.error_code)).collect();
    let expected = [
        ErrorCode::NONE,
        ErrorCode::OFFSET_METADATA_TOO_LARGE,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ];
    assert_eq!(errors, expected);
    assert_eq!(committed(&cluster, "t", 0).0, 1);
    assert_eq!(committed(&cluster, "t", 1).0, -1);
}

#[test]
fn only_the_members_of_a_living_group_commit() {
    let cluster = start();
    let mut member = Member::new(&cluster);
    let mut client = RawClient::of(&cluster);
    let early =
        OffsetCommitRequest { generation_id_or_member_epoch: 1, ..commit_request("t", 0, 1) };
    assert_eq!(commit_error(&mut client, 9, &early), ErrorCode::ILLEGAL_GENERATION);
    member.join_alone();
    assert_eq!(member.commit("t", 0, 5), ErrorCode::NONE);
    let outsider = commit_request("t", 0, 6);
    assert_eq!(commit_error(&mut client, 9, &outsider), ErrorCode::UNKNOWN_MEMBER_ID);
    member.generation = 0;
    assert_eq!(member.commit("t", 0, 7), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(committed(&cluster, "t", 0).0, 5);
    member.generation = 1;
    assert_eq!(member.leave(), ErrorCode::NONE);
    assert_eq!(commit_error(&mut client, 9, &outsider), ErrorCode::NONE, "nobody is there now");
}
