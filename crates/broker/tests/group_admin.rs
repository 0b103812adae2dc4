//! Groups are described, listed by state and type, and deleted with their offsets when nobody is in them.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bytes::Bytes;
use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode,
    messages::{
        consumer_protocol::{self, ConsumerProtocolSubscription},
        delete_groups::DeleteGroupsRequest,
        describe_groups::{DescribeGroupsRequest, DescribedGroup},
        list_groups::ListGroupsRequest,
        offset_delete::{
            OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
            OffsetDeleteResponse,
        },
    },
};
use support::{
    RawClient,
    group::{GROUP, Member, commit_request, committed},
};

fn describe(client: &mut RawClient, version: i16, group: &str) -> DescribedGroup {
    let request = DescribeGroupsRequest {
        groups: vec![group.to_owned()],
        include_authorized_operations: version >= 3,
    };
    client.call(version, &request).groups.remove(0)
}

fn list(client: &mut RawClient, states: &[&str], types: &[&str]) -> Vec<String> {
    let owned = |list: &[&str]| list.iter().map(|&it| it.to_owned()).collect();
    let request = ListGroupsRequest { states_filter: owned(states), types_filter: owned(types) };
    let response = client.call(5, &request);
    assert_eq!(ErrorCode(response.error_code), ErrorCode::NONE);
    response.groups.into_iter().map(|it| it.group_id).collect()
}

fn delete(client: &mut RawClient, group: &str) -> ErrorCode {
    let request = DeleteGroupsRequest { groups_names: vec![group.to_owned()] };
    ErrorCode(client.call(2, &request).results[0].error_code)
}

fn delete_offset(client: &mut RawClient, topic: &str, partition: i32) -> OffsetDeleteResponse {
    let partition = OffsetDeleteRequestPartition { partition_index: partition };
    let topic = OffsetDeleteRequestTopic { name: topic.to_owned(), partitions: vec![partition] };
    client.call(0, &OffsetDeleteRequest { group_id: GROUP.to_owned(), topics: vec![topic] })
}

fn partition_error(response: &OffsetDeleteResponse) -> ErrorCode {
    assert_eq!(ErrorCode(response.error_code), ErrorCode::NONE);
    ErrorCode(response.topics[0].partitions[0].error_code)
}

#[test]
fn a_stable_group_shows_its_members_and_their_shares() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    let mut client = RawClient::of(&cluster);
    let mut member = Member::fixed(&cluster, "one");
    member.join_alone();
    for version in 0..=6 {
        let group = describe(&mut client, version, GROUP);
        assert_eq!(ErrorCode(group.error_code), ErrorCode::NONE);
        assert_eq!((&*group.group_state, &*group.protocol_type), ("Stable", "consumer"));
        assert_eq!(group.protocol_data, "range");
        let shown = &group.members[0];
        assert_eq!((&shown.member_id, &*shown.client_id), (&member.id, "raw"));
        assert_eq!(shown.client_host, "/127.0.0.1");
        assert_eq!(
            (&shown.member_metadata[..], &shown.member_assignment[..]),
            (&b"subscription"[..], &b"all"[..])
        );
        if version >= 4 {
            assert_eq!(shown.group_instance_id.as_deref(), Some("one"));
        }
    }
}

#[test]
fn a_group_that_does_not_exist_is_dead_or_an_error() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    let mut client = RawClient::of(&cluster);
    let group = describe(&mut client, 5, "none");
    assert_eq!((group.error_code, &*group.group_state), (0, "Dead"));
    let group = describe(&mut client, 6, "none");
    assert_eq!(ErrorCode(group.error_code), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(delete(&mut client, "none"), ErrorCode::GROUP_ID_NOT_FOUND);
    assert!(list(&mut client, &[], &[]).is_empty(), "asking makes no group");
}

#[test]
fn groups_are_listed_by_their_coordinator_state_and_type() {
    let cluster = Cluster::builder().nodes(2).start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let home = cluster.coordinator(GROUP).unwrap();
    cluster.move_coordinator("idle", home).unwrap();
    let mut client = RawClient::at(&cluster, home);
    let idle = commit_request("t", 0, 1);
    client.call(
        8,
        &roka_protocol::messages::offset_commit::OffsetCommitRequest {
            group_id: "idle".to_owned(),
            ..idle
        },
    );
    Member::new(&cluster).join_alone();
    assert_eq!(list(&mut client, &[], &[]), [GROUP, "idle"]);
    assert_eq!(list(&mut client, &["stable"], &["Classic"]), [GROUP]);
    assert_eq!(list(&mut client, &["Empty", "Dead"], &[]), ["idle"]);
    assert!(list(&mut client, &[], &["consumer"]).is_empty());
    let mut other = RawClient::at(&cluster, 3 - home);
    assert!(list(&mut other, &[], &[]).is_empty(), "another node's groups");
}

#[test]
fn a_group_is_deleted_when_nobody_is_in_it() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut client = RawClient::of(&cluster);
    let mut member = Member::new(&cluster);
    member.join_alone();
    assert_eq!(member.commit("t", 0, 5), ErrorCode::NONE);
    assert_eq!(delete(&mut client, GROUP), ErrorCode::NON_EMPTY_GROUP);
    member.leave();
    assert_eq!(delete(&mut client, GROUP), ErrorCode::NONE);
    assert_eq!(committed(&cluster, "t", 0).0, -1);
    assert!(list(&mut client, &[], &[]).is_empty());
}

#[test]
fn offsets_are_deleted_unless_a_member_consumes_the_topic() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    cluster.create_topic("u", 1, 1).unwrap();
    let mut client = RawClient::of(&cluster);
    let missing = delete_offset(&mut client, "t", 0);
    assert_eq!(ErrorCode(missing.error_code), ErrorCode::GROUP_ID_NOT_FOUND);
    client.call(8, &commit_request("t", 0, 1));
    client.call(8, &commit_request("u", 0, 1));

    let mut member = Member::new(&cluster);
    let subscription =
        ConsumerProtocolSubscription { topics: vec!["t".to_owned()], ..Default::default() };
    member.subscription = consumer_protocol::encode(1, &subscription).unwrap();
    member.join_alone();
    let used = delete_offset(&mut client, "t", 0);
    assert_eq!(partition_error(&used), ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
    assert_eq!(partition_error(&delete_offset(&mut client, "u", 0)), ErrorCode::NONE);
    let unknown = delete_offset(&mut client, "u", 1);
    assert_eq!(partition_error(&unknown), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!((committed(&cluster, "t", 0).0, committed(&cluster, "u", 0).0), (1, -1));

    member.leave();
    member.subscription = Bytes::new();
    assert_eq!(partition_error(&delete_offset(&mut client, "t", 0)), ErrorCode::NONE);
    assert_eq!(committed(&cluster, "t", 0).0, -1);
}
