//! `Heartbeat`: a member says that it lives, and hears of rebalances.

use std::time::Instant;

use roka_protocol::{
    ErrorCode,
    messages::heartbeat::{HeartbeatRequest, HeartbeatResponse},
};

use super::{Handler, RequestContext, coordinator};
use crate::{group::member::Identity, node::Node};

impl Handler for HeartbeatRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> HeartbeatResponse {
        if let Err(error) = coordinator::check_named(node, &self.group_id) {
            return self.refuse(error);
        }
        let who = Identity {
            member_id: &self.member_id,
            instance_id: self.group_instance_id.as_deref(),
            generation: self.generation_id,
        };
        let groups = &node.shared.groups;
        let error = groups.change(&self.group_id, |group| group.heartbeat(Instant::now(), &who));
        self.refuse(error.unwrap_or(ErrorCode::UNKNOWN_MEMBER_ID))
    }

    fn refuse(&self, error: ErrorCode) -> HeartbeatResponse {
        HeartbeatResponse { error_code: error.0, ..Default::default() }
    }
}
