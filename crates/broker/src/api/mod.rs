//! The APIs: one file each, and the table that leads a request to its file.
//!
//! A file implements [`Handler`] for its request and stands in [`apis!`] with the versions that are served. A handler
//! - answers every topic, partition or group that was asked for, in the order of the request;
//! - reports errors in the response, as Kafka does; it has no other way to fail;
//! - takes locks for as long as it looks, never across an await.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod alter_partition_reassignments;
mod api_versions;
mod coordinator;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod describe_transactions;
mod elect_leaders;
mod end_txn;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod hints;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
pub(crate) mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sasl_authenticate;
mod sasl_handshake;
mod sync_group;
mod txn_offset_commit;
mod write_txn_markers;

pub(crate) use fetch::session::Sessions;

use std::{
    future::Future,
    net::SocketAddr,
    ops::RangeInclusive,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use roka_protocol::{
    ApiKey, Error, ErrorCode, Frame, Request, frame,
    messages::{
        self,
        create_topics::{CreatableTopic, CreatableTopicConfig},
    },
};

use crate::{caps::NONE, node::Node, security::Sasl, state::Shared};

/// What is known about a request besides its body.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<String>,
    pub(crate) peer: SocketAddr,
    /// How far the connection's authentication is.
    pub(crate) sasl: Arc<Mutex<Sasl>>,
    /// A fault asks that everything in the request be refused with this error.
    pub(crate) fail: Option<ErrorCode>,
}

/// What goes back to the client.
#[derive(Debug)]
pub(crate) enum Answer {
    Response(Frame),
    /// The request wants no response (Produce with acks=0).
    Nothing,
    /// The connection ends.
    Close,
}

/// How one API is served.
pub(crate) trait Handler: Request {
    /// Carries out the request.
    fn handle(
        self,
        node: &Node,
        ctx: &RequestContext,
    ) -> impl Future<Output = Self::Response> + Send;

    /// The response that refuses everything that was asked for with `error`.
    fn refuse(&self, error: ErrorCode) -> Self::Response;

    /// The client expects no response.
    fn is_silent(&self) -> bool {
        false
    }
}

macro_rules! apis {
    ($($Key:ident $module:ident::$Request:ident $versions:expr;)*) => {
        /// The versions that this broker serves, by API.
        pub(crate) const SUPPORTED: &[(ApiKey, RangeInclusive<i16>)] =
            &[$((ApiKey::$Key, $versions),)*];

        /// Leads a request to its handler.
        pub(crate) async fn dispatch(
            node: &Node,
            ctx: RequestContext,
            body: Bytes,
        ) -> Result<Answer, Error> {
            if !served(node, ctx.api).contains(&ctx.version) {
                return api_versions::refuse_version(node, &ctx);
            }
            match ctx.api {
                $(ApiKey::$Key => serve::<messages::$module::$Request>(node, &ctx, body).await,)*
                _ => Ok(Answer::Close),
            }
        }
    };
}

apis! {
    Produce produce::ProduceRequest 0..=13;
    Fetch fetch::FetchRequest 0..=18;
    ListOffsets list_offsets::ListOffsetsRequest 0..=11;
    Metadata metadata::MetadataRequest 0..=13;
    OffsetCommit offset_commit::OffsetCommitRequest 0..=10;
    OffsetFetch offset_fetch::OffsetFetchRequest 0..=10;
    FindCoordinator find_coordinator::FindCoordinatorRequest 0..=6;
    JoinGroup join_group::JoinGroupRequest 0..=9;
    Heartbeat heartbeat::HeartbeatRequest 0..=4;
    LeaveGroup leave_group::LeaveGroupRequest 0..=5;
    SyncGroup sync_group::SyncGroupRequest 0..=5;
    DescribeGroups describe_groups::DescribeGroupsRequest 0..=6;
    ListGroups list_groups::ListGroupsRequest 0..=5;
    DeleteGroups delete_groups::DeleteGroupsRequest 0..=3;
    OffsetDelete offset_delete::OffsetDeleteRequest 0..=0;
    SaslHandshake sasl_handshake::SaslHandshakeRequest 0..=1;
    ApiVersions api_versions::ApiVersionsRequest 0..=4;
    CreateTopics create_topics::CreateTopicsRequest 0..=7;
    DeleteTopics delete_topics::DeleteTopicsRequest 0..=6;
    DeleteRecords delete_records::DeleteRecordsRequest 0..=2;
    InitProducerId init_producer_id::InitProducerIdRequest 0..=6;
    AddPartitionsToTxn add_partitions_to_txn::AddPartitionsToTxnRequest 0..=5;
    AddOffsetsToTxn add_offsets_to_txn::AddOffsetsToTxnRequest 0..=4;
    EndTxn end_txn::EndTxnRequest 0..=5;
    WriteTxnMarkers write_txn_markers::WriteTxnMarkersRequest 0..=2;
    TxnOffsetCommit txn_offset_commit::TxnOffsetCommitRequest 0..=6;
    OffsetForLeaderEpoch offset_for_leader_epoch::OffsetForLeaderEpochRequest 0..=4;
    DescribeConfigs describe_configs::DescribeConfigsRequest 0..=4;
    AlterConfigs alter_configs::AlterConfigsRequest 0..=2;
    DescribeLogDirs describe_log_dirs::DescribeLogDirsRequest 0..=4;
    SaslAuthenticate sasl_authenticate::SaslAuthenticateRequest 0..=2;
    CreatePartitions create_partitions::CreatePartitionsRequest 0..=3;
    ElectLeaders elect_leaders::ElectLeadersRequest 0..=2;
    IncrementalAlterConfigs incremental_alter_configs::IncrementalAlterConfigsRequest 0..=1;
    AlterPartitionReassignments alter_partition_reassignments::AlterPartitionReassignmentsRequest 0..=1;
    DescribeProducers describe_producers::DescribeProducersRequest 0..=0;
    ListPartitionReassignments list_partition_reassignments::ListPartitionReassignmentsRequest 0..=0;
    DescribeTransactions describe_transactions::DescribeTransactionsRequest 0..=0;
    ListTransactions list_transactions::ListTransactionsRequest 0..=1;
    DescribeCluster describe_cluster::DescribeClusterRequest 0..=2;
    DescribeTopicPartitions describe_topic_partitions::DescribeTopicPartitionsRequest 0..=0;
}

/// The versions of `api` that the node admits to, caps included; empty when it does not speak it.
pub(crate) fn served(node: &Node, api: ApiKey) -> RangeInclusive<i16> {
    let supported = SUPPORTED.iter().find(|(key, _)| *key == api);
    supported.map_or(NONE, |(_, versions)| node.shared.caps.apply(node.id(), api, versions))
}

/// Makes a topic without a request, with the same checks.
pub(crate) fn create_topic(
    shared: &Shared,
    asked: CreatableTopic,
) -> Result<(), (ErrorCode, String)> {
    create_topics::create(shared, asked, false).map(|_| ())
}

/// Settings as a request to make a topic carries them.
pub(crate) fn topic_settings(settings: &[(&str, &str)]) -> Vec<CreatableTopicConfig> {
    let setting = |&(name, value): &(&str, &str)| CreatableTopicConfig {
        name: name.to_owned(),
        value: Some(value.to_owned()),
    };
    settings.iter().map(setting).collect()
}

async fn serve<R: Handler>(
    node: &Node,
    ctx: &RequestContext,
    body: Bytes,
) -> Result<Answer, Error> {
    let request = R::decode(body, ctx.version)?;
    let silent = request.is_silent();
    let response = match ctx.fail {
        Some(error) => request.refuse(error),
        None => request.handle(node, ctx).await,
    };
    if silent {
        return Ok(Answer::Nothing);
    }
    let encoded = frame::encode_response(ctx.api.key(), ctx.version, ctx.correlation_id, &response);
    if let Err(error) = &encoded {
        // A mistake in the handler: the client sees a closed connection, so the reason must be told here.
        tracing::error!(api = %ctx.api, version = ctx.version, %error, "the response cannot be encoded");
    }
    encoded.map(Answer::Response)
}
