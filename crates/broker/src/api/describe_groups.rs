//! `DescribeGroups`: the state of groups and their members.

use bytes::Bytes;
use roka_protocol::{
    ErrorCode,
    messages::describe_groups::{
        DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
    },
};

use super::{Handler, RequestContext, coordinator};
use crate::{
    group::{
        machine::{Group, State},
        member::Member,
    },
    node::Node,
};

/// The first version in which a group that does not exist is an error; before, it is a dead one.
const NOT_FOUND: i16 = 6;
/// All that can be done to a group: read, delete, describe, describe and alter its settings.
const OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

impl Handler for DescribeGroupsRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> DescribeGroupsResponse {
        let describe = |id: &String| {
            if let Err(error) = coordinator::check(node, id) {
                return refused(id, error);
            }
            let mut group = node.shared.groups.look(id, |group| described(id, group));
            if let Some(group) = &mut group
                && self.include_authorized_operations
            {
                group.authorized_operations = OPERATIONS;
            }
            group.unwrap_or_else(|| unknown(id, ctx.version))
        };
        let groups = self.groups.iter().map(describe).collect();
        DescribeGroupsResponse { groups, ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> DescribeGroupsResponse {
        let groups = self.groups.iter().map(|id| refused(id, error)).collect();
        DescribeGroupsResponse { groups, ..Default::default() }
    }
}

fn refused(id: &str, error: ErrorCode) -> DescribedGroup {
    DescribedGroup { error_code: error.0, group_id: id.to_owned(), ..Default::default() }
}

fn unknown(id: &str, version: i16) -> DescribedGroup {
    let dead = DescribedGroup {
        group_id: id.to_owned(),
        group_state: "Dead".to_owned(),
        ..Default::default()
    };
    if version < NOT_FOUND {
        return dead;
    }
    DescribedGroup {
        error_code: ErrorCode::GROUP_ID_NOT_FOUND.0,
        error_message: Some(format!("Group {id} not found.")),
        ..dead
    }
}

fn described(id: &str, group: &Group) -> DescribedGroup {
    let stable = group.state == State::Stable;
    // Between generations there is no protocol by which metadata and assignments could be told.
    let protocol = if stable { group.protocol.clone() } else { String::new() };
    let member = |it: &Member| DescribedGroupMember {
        member_id: it.id.clone(),
        group_instance_id: it.instance_id.clone(),
        client_id: it.client_id.clone(),
        client_host: it.host.clone(),
        member_metadata: if stable { it.metadata(&protocol) } else { Bytes::new() },
        member_assignment: if stable { it.assignment.clone() } else { Bytes::new() },
    };
    DescribedGroup {
        group_id: id.to_owned(),
        group_state: group.state.name().to_owned(),
        protocol_type: group.protocol_type.clone(),
        members: group.members.values().map(member).collect(),
        protocol_data: protocol,
        ..Default::default()
    }
}
