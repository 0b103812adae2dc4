//! `SyncGroup`: a member learns its share; answered when the leader has said it.

use roka_protocol::{
    ErrorCode,
    messages::sync_group::{SyncGroupRequest, SyncGroupResponse},
};

use super::{Handler, RequestContext, coordinator};
use crate::{group::machine::sync::Syncing, node::Node};

impl Handler for SyncGroupRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> SyncGroupResponse {
        if let Err(error) = coordinator::check_named(node, &self.group_id) {
            return self.refuse(error);
        }
        let assignments = self.assignments.into_iter().map(|it| (it.member_id, it.assignment));
        let syncing = Syncing {
            member_id: self.member_id,
            instance_id: self.group_instance_id,
            generation: self.generation_id,
            protocol_type: self.protocol_type,
            protocol: self.protocol_name,
            assignments: assignments.collect(),
        };
        match node.shared.groups.sync(&self.group_id, syncing).await {
            Ok(synced) => SyncGroupResponse {
                protocol_type: Some(synced.protocol_type),
                protocol_name: Some(synced.protocol),
                assignment: synced.assignment,
                ..Default::default()
            },
            Err(error) => refused(error),
        }
    }

    fn refuse(&self, error: ErrorCode) -> SyncGroupResponse {
        refused(error)
    }
}

fn refused(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: error.0, ..Default::default() }
}
