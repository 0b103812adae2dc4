//! `JoinGroup`: a member enters the next generation of its group; answered when all are there.

use std::time::Duration;

use roka_protocol::{
    ErrorCode,
    messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember},
};

use super::{Handler, RequestContext, coordinator};
use crate::{
    group::{
        machine::{Joined, Refused},
        member::Joining,
    },
    node::Node,
};

/// The first version whose clients join again with the id that they were given (KIP-394).
const REQUIRED_ID: i16 = 4;
/// The first version whose clients know that a leader need not always assign.
const SKIPPING: i16 = 9;

impl Handler for JoinGroupRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> JoinGroupResponse {
        let checked = coordinator::check_named(node, &self.group_id)
            .and_then(|()| check_session(node, self.session_timeout_ms));
        if let Err(error) = checked {
            return self.refuse(error);
        }
        let group = self.group_id.clone();
        match node.shared.groups.join(&group, joining(self, ctx)).await {
            Ok(joined) => accepted(joined),
            Err(refused) => rejected(refused),
        }
    }

    fn refuse(&self, error: ErrorCode) -> JoinGroupResponse {
        rejected(Refused { error, member_id: self.member_id.clone() })
    }
}

fn check_session(node: &Node, session_timeout_ms: i32) -> Result<(), ErrorCode> {
    let config = &node.shared.config;
    let shortest = config.number("group.min.session.timeout.ms", 6_000);
    let longest = config.number("group.max.session.timeout.ms", 1_800_000);
    if (shortest..=longest).contains(&i64::from(session_timeout_ms)) {
        Ok(())
    } else {
        Err(ErrorCode::INVALID_SESSION_TIMEOUT)
    }
}

fn joining(request: JoinGroupRequest, ctx: &RequestContext) -> Joining {
    let client_id = ctx.client_id.clone().unwrap_or_default();
    let named_after = request.group_instance_id.as_deref().unwrap_or(&client_id);
    // Before version 1 the one timeout counts for both.
    let rebalance_timeout_ms = match request.rebalance_timeout_ms {
        timeout if timeout < 0 => request.session_timeout_ms,
        timeout => timeout,
    };
    let millis = |it: i32| Duration::from_millis(it.max(0).unsigned_abs().into());
    Joining {
        fresh_id: format!("{named_after}-{}", random_id()),
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        client_id,
        host: format!("/{}", ctx.peer.ip()),
        session_timeout: millis(request.session_timeout_ms),
        rebalance_timeout: millis(rebalance_timeout_ms),
        protocol_type: request.protocol_type,
        protocols: request.protocols.into_iter().map(|it| (it.name, it.metadata)).collect(),
        knows_required_id: ctx.version >= REQUIRED_ID,
        knows_skipping: ctx.version >= SKIPPING,
    }
}

/// In the form that Kafka's ids of members have.
fn random_id() -> String {
    let hex = format!("{:032x}", fastrand::u128(..));
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

fn accepted(joined: Joined) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|(member_id, group_instance_id, metadata)| {
        JoinGroupResponseMember { member_id, group_instance_id, metadata }
    });
    JoinGroupResponse {
        generation_id: joined.generation,
        protocol_type: Some(joined.protocol_type),
        protocol_name: Some(joined.protocol),
        leader: joined.leader,
        skip_assignment: joined.skip_assignment,
        member_id: joined.member_id,
        members: members.collect(),
        ..Default::default()
    }
}

fn rejected(refused: Refused) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: refused.error.0,
        generation_id: -1,
        member_id: refused.member_id,
        ..Default::default()
    }
}
