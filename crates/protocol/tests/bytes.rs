//! Our bytes against those of the `kafka-protocol` crate, for every message and version of both.
//!
//! Values are made up from seeds, so that every field is somewhere other than its default. What we
//! write, they read to the last byte and write again: the two must be equal.

use std::fmt::Debug;

use bytes::BytesMut;
use kafka_protocol::{
    messages as theirs,
    protocol::{Decodable, Encodable, Message as TheirMessage},
};
use roka_protocol::{
    Message, Request, Sampler, Wire,
    messages::{self as ours, Visitor},
};

const SEEDS: u64 = 60;

/// What they lack: they have no streams groups.
const ONLY_OURS: &[&str] = &[
    "StreamsGroupHeartbeatRequest",
    "StreamsGroupHeartbeatResponse",
    "StreamsGroupDescribeRequest",
    "StreamsGroupDescribeResponse",
];

fn check<O: Message, T: Encodable + Decodable + TheirMessage + Debug>() -> usize {
    let (low, high) = (*O::VERSIONS.start(), *O::VERSIONS.end());
    let common = low.max(T::VERSIONS.min)..=high.min(T::VERSIONS.max);
    assert!(!common.is_empty(), "{} has no common version", O::NAME);
    for version in common.clone() {
        for seed in 0..SEEDS {
            let place = format!("{} v{version} seed {seed}", O::NAME);
            let value = O::sample(&mut Sampler::new(seed, version));
            let bytes = value.encode(version).unwrap_or_else(|e| panic!("{place}: {e}"));
            let mut rest = bytes.clone();
            let their_value = T::decode(&mut rest, version)
                .unwrap_or_else(|e| panic!("{place}: they cannot read it: {e}\n{value:?}"));
            assert!(rest.is_empty(), "{place}: they leave {} bytes\n{value:?}", rest.len());
            let mut again = BytesMut::new();
            their_value.encode(&mut again, version).unwrap_or_else(|e| panic!("{place}: {e}"));
            assert_eq!(bytes, again.freeze(), "{place}\nours {value:?}\ntheirs {their_value:?}");
        }
    }
    common.count()
}

macro_rules! both {
    ($($module:ident: $($Name:ident)*;)*) => {
        const BOTH: &[(&str, fn() -> usize)] =
            &[$($((stringify!($Name), check::<ours::$module::$Name, theirs::$Name>),)*)*];
    };
}

both! {
    produce: ProduceRequest ProduceResponse;
    fetch: FetchRequest FetchResponse;
    list_offsets: ListOffsetsRequest ListOffsetsResponse;
    metadata: MetadataRequest MetadataResponse;
    offset_commit: OffsetCommitRequest OffsetCommitResponse;
    offset_fetch: OffsetFetchRequest OffsetFetchResponse;
    find_coordinator: FindCoordinatorRequest FindCoordinatorResponse;
    join_group: JoinGroupRequest JoinGroupResponse;
    sync_group: SyncGroupRequest SyncGroupResponse;
    heartbeat: HeartbeatRequest HeartbeatResponse;
    leave_group: LeaveGroupRequest LeaveGroupResponse;
    describe_groups: DescribeGroupsRequest DescribeGroupsResponse;
    list_groups: ListGroupsRequest ListGroupsResponse;
    delete_groups: DeleteGroupsRequest DeleteGroupsResponse;
    offset_delete: OffsetDeleteRequest OffsetDeleteResponse;
    offset_for_leader_epoch: OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse;
    sasl_handshake: SaslHandshakeRequest SaslHandshakeResponse;
    sasl_authenticate: SaslAuthenticateRequest SaslAuthenticateResponse;
    api_versions: ApiVersionsRequest ApiVersionsResponse;
    create_topics: CreateTopicsRequest CreateTopicsResponse;
    delete_topics: DeleteTopicsRequest DeleteTopicsResponse;
    create_partitions: CreatePartitionsRequest CreatePartitionsResponse;
    delete_records: DeleteRecordsRequest DeleteRecordsResponse;
    describe_configs: DescribeConfigsRequest DescribeConfigsResponse;
    alter_configs: AlterConfigsRequest AlterConfigsResponse;
    incremental_alter_configs: IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse;
    describe_cluster: DescribeClusterRequest DescribeClusterResponse;
    describe_topic_partitions: DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse;
    init_producer_id: InitProducerIdRequest InitProducerIdResponse;
    add_partitions_to_txn: AddPartitionsToTxnRequest AddPartitionsToTxnResponse;
    add_offsets_to_txn: AddOffsetsToTxnRequest AddOffsetsToTxnResponse;
    txn_offset_commit: TxnOffsetCommitRequest TxnOffsetCommitResponse;
    end_txn: EndTxnRequest EndTxnResponse;
    write_txn_markers: WriteTxnMarkersRequest WriteTxnMarkersResponse;
    describe_producers: DescribeProducersRequest DescribeProducersResponse;
    describe_transactions: DescribeTransactionsRequest DescribeTransactionsResponse;
    list_transactions: ListTransactionsRequest ListTransactionsResponse;
    elect_leaders: ElectLeadersRequest ElectLeadersResponse;
    alter_partition_reassignments: AlterPartitionReassignmentsRequest AlterPartitionReassignmentsResponse;
    list_partition_reassignments: ListPartitionReassignmentsRequest ListPartitionReassignmentsResponse;
    describe_log_dirs: DescribeLogDirsRequest DescribeLogDirsResponse;
    acls: DescribeAclsRequest DescribeAclsResponse CreateAclsRequest CreateAclsResponse DeleteAclsRequest DeleteAclsResponse;
    quotas: DescribeClientQuotasRequest DescribeClientQuotasResponse AlterClientQuotasRequest AlterClientQuotasResponse;
    scram: DescribeUserScramCredentialsRequest DescribeUserScramCredentialsResponse AlterUserScramCredentialsRequest AlterUserScramCredentialsResponse;
    consumer_group_heartbeat: ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse;
    consumer_group_describe: ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse;
    list_config_resources: ListConfigResourcesRequest ListConfigResourcesResponse;
    consumer_protocol: ConsumerProtocolSubscription ConsumerProtocolAssignment;
}

#[test]
fn every_message_in_every_common_version() {
    let versions: usize = BOTH.iter().map(|(_, check)| check()).sum();
    println!("bytes: {} messages, {versions} versions, {SEEDS} values each", BOTH.len());
}

#[derive(Default)]
struct Names(Vec<&'static str>);

impl Visitor for Names {
    fn request<R: Request>(&mut self, _: &'static str) {
        self.0.extend([R::NAME, R::Response::NAME]);
    }

    fn data<M: Message>(&mut self, _: &'static str) {
        self.0.push(M::NAME);
    }
}

#[test]
fn no_message_is_left_out() {
    let mut names = Names::default();
    ours::visit(&mut names);
    for name in names.0 {
        let both = BOTH.iter().any(|(it, _)| *it == name);
        assert!(both != ONLY_OURS.contains(&name), "{name}");
    }
}

#[test]
fn samples_reach_every_corner() {
    let mut long = false;
    let mut large = false;
    for seed in 0..SEEDS {
        let value = ours::join_group::JoinGroupRequest::sample(&mut Sampler::new(seed, 9));
        long |= value.group_id.len() > 127;
        large |= value.protocols.iter().any(|it| it.metadata.len() > 4096);
    }
    assert!(long && large, "no long string or no large bytes in {SEEDS} samples");
}
