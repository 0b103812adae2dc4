//! Where each response keeps its error codes, so that one router can judge all of them.

use roka_protocol::messages as m;
use roka_protocol::{ErrorCode, Message};

/// A response whose error codes can be looked through.
pub trait Outcome: Message {
    /// Calls `visit` with each error code in the response, `NONE` included, the outermost first.
    fn each_code(&self, visit: &mut dyn FnMut(ErrorCode));

    /// The first error code for which `wanted` is true.
    fn find_code(&self, wanted: &dyn Fn(ErrorCode) -> bool) -> Option<ErrorCode> {
        let mut found = None;
        self.each_code(&mut |code| {
            if found.is_none() && wanted(code) {
                found = Some(code);
            }
        });
        found
    }
}

macro_rules! outcomes {
    ($($module:ident::$Response:ident: |$it:ident| $codes:expr;)*) => {$(
        impl Outcome for m::$module::$Response {
            fn each_code(&self, visit: &mut dyn FnMut(ErrorCode)) {
                let $it = self;
                for code in $codes {
                    visit(ErrorCode(code));
                }
            }
        }
    )*};
}

/// The error codes of items, each in a field of that name.
macro_rules! each {
    ($items:expr, $($inner:ident).+) => {
        $items.iter().map(|item| item.$($inner).+)
    };
    ($items:expr => $field:ident, $code:ident) => {
        $items.iter().flat_map(|item| item.$field.iter().map(|inner| inner.$code))
    };
}

outcomes! {
    acls::DescribeAclsResponse: |it| [it.error_code];
    acls::CreateAclsResponse: |it| each!(it.results, error_code);
    acls::DeleteAclsResponse: |it| each!(it.filter_results, error_code);
    add_offsets_to_txn::AddOffsetsToTxnResponse: |it| [it.error_code];
    add_partitions_to_txn::AddPartitionsToTxnResponse: |it| std::iter::once(it.error_code)
        .chain(each!(it.results_by_topic_v3_and_below => results_by_partition, partition_error_code));
    alter_configs::AlterConfigsResponse: |it| each!(it.responses, error_code);
    alter_partition_reassignments::AlterPartitionReassignmentsResponse: |it|
        std::iter::once(it.error_code).chain(each!(it.responses => partitions, error_code));
    api_versions::ApiVersionsResponse: |it| [it.error_code];
    consumer_group_describe::ConsumerGroupDescribeResponse: |it| each!(it.groups, error_code);
    consumer_group_heartbeat::ConsumerGroupHeartbeatResponse: |it| [it.error_code];
    create_partitions::CreatePartitionsResponse: |it| each!(it.results, error_code);
    create_topics::CreateTopicsResponse: |it| each!(it.topics, error_code);
    delete_groups::DeleteGroupsResponse: |it| each!(it.results, error_code);
    delete_records::DeleteRecordsResponse: |it| each!(it.topics => partitions, error_code);
    delete_topics::DeleteTopicsResponse: |it| each!(it.responses, error_code);
    describe_cluster::DescribeClusterResponse: |it| [it.error_code];
    describe_configs::DescribeConfigsResponse: |it| each!(it.results, error_code);
    describe_groups::DescribeGroupsResponse: |it| each!(it.groups, error_code);
    describe_log_dirs::DescribeLogDirsResponse: |it|
        std::iter::once(it.error_code).chain(each!(it.results, error_code));
    describe_producers::DescribeProducersResponse: |it| each!(it.topics => partitions, error_code);
    describe_transactions::DescribeTransactionsResponse: |it| each!(it.transaction_states, error_code);
    elect_leaders::ElectLeadersResponse: |it| std::iter::once(it.error_code)
        .chain(each!(it.replica_election_results => partition_result, error_code));
    end_txn::EndTxnResponse: |it| [it.error_code];
    fetch::FetchResponse: |it|
        std::iter::once(it.error_code).chain(each!(it.responses => partitions, error_code));
    heartbeat::HeartbeatResponse: |it| [it.error_code];
    incremental_alter_configs::IncrementalAlterConfigsResponse: |it| each!(it.responses, error_code);
    init_producer_id::InitProducerIdResponse: |it| [it.error_code];
    join_group::JoinGroupResponse: |it| [it.error_code];
    leave_group::LeaveGroupResponse: |it|
        std::iter::once(it.error_code).chain(each!(it.members, error_code));
    list_config_resources::ListConfigResourcesResponse: |it| [it.error_code];
    list_groups::ListGroupsResponse: |it| [it.error_code];
    list_offsets::ListOffsetsResponse: |it| each!(it.topics => partitions, error_code);
    list_partition_reassignments::ListPartitionReassignmentsResponse: |it| [it.error_code];
    list_transactions::ListTransactionsResponse: |it| [it.error_code];
    metadata::MetadataResponse: |it|
        std::iter::once(it.error_code).chain(each!(it.topics, error_code));
    offset_commit::OffsetCommitResponse: |it| each!(it.topics => partitions, error_code);
    offset_delete::OffsetDeleteResponse: |it|
        std::iter::once(it.error_code).chain(each!(it.topics => partitions, error_code));
    offset_fetch::OffsetFetchResponse: |it| std::iter::once(it.error_code)
        .chain(each!(it.groups, error_code))
        .chain(each!(it.topics => partitions, error_code));
    offset_for_leader_epoch::OffsetForLeaderEpochResponse: |it|
        each!(it.topics => partitions, error_code);
    produce::ProduceResponse: |it| each!(it.responses => partition_responses, error_code);
    quotas::DescribeClientQuotasResponse: |it| [it.error_code];
    quotas::AlterClientQuotasResponse: |it| each!(it.entries, error_code);
    scram::DescribeUserScramCredentialsResponse: |it|
        std::iter::once(it.error_code).chain(each!(it.results, error_code));
    scram::AlterUserScramCredentialsResponse: |it| each!(it.results, error_code);
    streams_group_describe::StreamsGroupDescribeResponse: |it| each!(it.groups, error_code);
    streams_group_heartbeat::StreamsGroupHeartbeatResponse: |it| [it.error_code];
    sync_group::SyncGroupResponse: |it| [it.error_code];
    txn_offset_commit::TxnOffsetCommitResponse: |it| each!(it.topics => partitions, error_code);
}
