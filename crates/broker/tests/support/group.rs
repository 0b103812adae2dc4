//! What a group's member says, request by request.
#![allow(
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test uses a part of it"
)]

use bytes::Bytes;
use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode,
    messages::{
        describe_groups::DescribeGroupsRequest,
        heartbeat::HeartbeatRequest,
        join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse},
        leave_group::{LeaveGroupRequest, MemberIdentity},
        offset_commit::{
            OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
        },
        offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic},
        sync_group::{SyncGroupRequest, SyncGroupRequestAssignment},
    },
};

use super::RawClient;

pub const GROUP: &str = "g";

/// A connection to the coordinator of [`GROUP`], with what the coordinator said last.
pub struct Member {
    pub client: RawClient,
    pub id: String,
    pub instance: Option<String>,
    pub generation: i32,
    pub session_timeout_ms: i32,
    pub subscription: Bytes,
}

impl Member {
    pub fn new(cluster: &Cluster) -> Self {
        let node = cluster.coordinator(GROUP).unwrap();
        Self {
            client: RawClient::at(cluster, node),
            id: String::new(),
            instance: None,
            generation: -1,
            session_timeout_ms: 10_000,
            subscription: Bytes::from_static(b"subscription"),
        }
    }

    pub fn fixed(cluster: &Cluster, instance: &str) -> Self {
        Self { instance: Some(instance.to_owned()), ..Self::new(cluster) }
    }

    fn join_request(&self) -> JoinGroupRequest {
        JoinGroupRequest {
            group_id: GROUP.to_owned(),
            session_timeout_ms: self.session_timeout_ms,
            rebalance_timeout_ms: 10_000,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: "consumer".to_owned(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".to_owned(),
                metadata: self.subscription.clone(),
            }],
            ..Default::default()
        }
    }

    /// Asks to join, with an id where one is required; [`joined`](Self::joined) waits for the answer.
    pub fn start_join(&mut self) {
        if self.id.is_empty() && self.instance.is_none() {
            let given: JoinGroupResponse = self.client.call(9, &self.join_request());
            assert_eq!(ErrorCode(given.error_code), ErrorCode::MEMBER_ID_REQUIRED);
            self.id = given.member_id;
        }
        let request = self.join_request();
        self.client.send(9, &request);
    }

    pub fn joined(&mut self) -> Result<JoinGroupResponse, ErrorCode> {
        let response = self.client.answer::<JoinGroupRequest>(9);
        ErrorCode(response.error_code).ok()?;
        self.id.clone_from(&response.member_id);
        self.generation = response.generation_id;
        Ok(response)
    }

    pub fn join(&mut self) -> Result<JoinGroupResponse, ErrorCode> {
        self.start_join();
        self.joined()
    }

    /// Asks for the share, saying others' as the leader does; [`synced`](Self::synced) waits for the answer.
    pub fn start_sync(&mut self, assignments: &[(&str, &str)]) {
        let assignment = |&(id, share): &(&str, &str)| SyncGroupRequestAssignment {
            member_id: id.to_owned(),
            assignment: Bytes::copy_from_slice(share.as_bytes()),
        };
        let request = SyncGroupRequest {
            group_id: GROUP.to_owned(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            assignments: assignments.iter().map(assignment).collect(),
            ..Default::default()
        };
        self.client.send(4, &request);
    }

    pub fn synced(&mut self) -> Result<String, ErrorCode> {
        let response = self.client.answer::<SyncGroupRequest>(4);
        ErrorCode(response.error_code).ok()?;
        Ok(String::from_utf8(response.assignment.to_vec()).unwrap())
    }

    pub fn sync(&mut self, assignments: &[(&str, &str)]) -> Result<String, ErrorCode> {
        self.start_sync(assignments);
        self.synced()
    }

    pub fn heartbeat(&mut self) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: GROUP.to_owned(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
        };
        ErrorCode(self.client.call(4, &request).error_code)
    }

    pub fn leave(&mut self) -> ErrorCode {
        let identity = MemberIdentity {
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            ..Default::default()
        };
        let request = LeaveGroupRequest {
            group_id: GROUP.to_owned(),
            members: vec![identity],
            ..Default::default()
        };
        let response = self.client.call(5, &request);
        let of_all = ErrorCode(response.error_code);
        response.members.first().map_or(of_all, |it| ErrorCode(it.error_code))
    }

    pub fn commit(&mut self, topic: &str, partition: i32, offset: i64) -> ErrorCode {
        let request = OffsetCommitRequest {
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            ..commit_request(topic, partition, offset)
        };
        let response = self.client.call(9, &request);
        ErrorCode(response.topics[0].partitions[0].error_code)
    }

    /// Joins alone and takes everything.
    pub fn join_alone(&mut self) {
        let joined = self.join().unwrap();
        assert_eq!(joined.leader, self.id);
        let id = self.id.clone();
        assert_eq!(self.sync(&[(&id, "all")]).as_deref(), Ok("all"));
    }
}

pub fn commit_request(topic: &str, partition: i32, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index: partition,
        committed_offset: offset,
        committed_metadata: Some("note".to_owned()),
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: topic.to_owned(),
        partitions: vec![partition],
        ..Default::default()
    };
    OffsetCommitRequest { group_id: GROUP.to_owned(), topics: vec![topic], ..Default::default() }
}

/// The committed offset and its metadata; -1 is none.
pub fn committed(cluster: &Cluster, topic: &str, partition: i32) -> (i64, String) {
    let node = cluster.coordinator(GROUP).unwrap();
    let topic =
        OffsetFetchRequestTopic { name: topic.to_owned(), partition_indexes: vec![partition] };
    let request = OffsetFetchRequest {
        group_id: GROUP.to_owned(),
        topics: Some(vec![topic]),
        ..Default::default()
    };
    let response = RawClient::at(cluster, node).call(7, &request);
    assert_eq!(ErrorCode(response.error_code), ErrorCode::NONE);
    let found = &response.topics[0].partitions[0];
    assert_eq!(ErrorCode(found.error_code), ErrorCode::NONE);
    (found.committed_offset, found.metadata.clone().unwrap_or_default())
}

/// How [`GROUP`]'s coordinator, at the other end of the connection, says it is.
pub fn state(client: &mut RawClient) -> String {
    let request = DescribeGroupsRequest { groups: vec![GROUP.to_owned()], ..Default::default() };
    client.call(5, &request).groups.remove(0).group_state
}
