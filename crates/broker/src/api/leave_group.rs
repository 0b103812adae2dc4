//! `LeaveGroup`: members go, and the others share what they had.

use std::time::Instant;

use roka_protocol::{
    ErrorCode,
    messages::leave_group::{
        LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
    },
};

use super::{Handler, RequestContext, coordinator};
use crate::node::Node;

/// The first version that names several members (KIP-345).
const BATCHED: i16 = 3;

impl Handler for LeaveGroupRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> LeaveGroupResponse {
        if let Err(error) = coordinator::check_named(node, &self.group_id) {
            return LeaveGroupResponse { error_code: error.0, ..Default::default() };
        }
        let leave = |member_id: &str, instance_id: Option<&str>| {
            let groups = &node.shared.groups;
            let left = groups.change(&self.group_id, |group| {
                group.leave(Instant::now(), member_id, instance_id)
            });
            left.unwrap_or(ErrorCode::UNKNOWN_MEMBER_ID)
        };
        if ctx.version < BATCHED {
            let error = leave(&self.member_id, None);
            return LeaveGroupResponse { error_code: error.0, ..Default::default() };
        }
        let members = self.members.iter();
        let members =
            members.map(|it| response(it, leave(&it.member_id, it.group_instance_id.as_deref())));
        LeaveGroupResponse { members: members.collect(), ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> LeaveGroupResponse {
        LeaveGroupResponse { error_code: error.0, ..Default::default() }
    }
}

fn response(member: &MemberIdentity, error: ErrorCode) -> MemberResponse {
    MemberResponse {
        member_id: member.member_id.clone(),
        group_instance_id: member.group_instance_id.clone(),
        error_code: error.0,
    }
}
