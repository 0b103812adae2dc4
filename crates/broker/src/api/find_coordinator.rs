//! `FindCoordinator`: which node looks after a group or a transactional id.

use std::net::SocketAddr;

use roka_protocol::{
    ErrorCode,
    messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse},
};

use super::{Handler, RequestContext};
use crate::node::Node;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// The first version that asks for several keys at once (KIP-699).
const BATCHED: i16 = 4;

impl Handler for FindCoordinatorRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> FindCoordinatorResponse {
        if !matches!(self.key_type, GROUP | TRANSACTION) {
            return self.refuse(ErrorCode::INVALID_REQUEST);
        }
        if ctx.version >= BATCHED {
            let coordinators = self.coordinator_keys.into_iter().map(|key| find(node, key));
            return FindCoordinatorResponse {
                coordinators: coordinators.collect(),
                ..Default::default()
            };
        }
        let found = find(node, self.key);
        FindCoordinatorResponse {
            error_code: found.error_code,
            error_message: found.error_message,
            node_id: found.node_id,
            host: found.host,
            port: found.port,
            ..Default::default()
        }
    }

    fn refuse(&self, error: ErrorCode) -> FindCoordinatorResponse {
        let keys = &self.coordinator_keys;
        if keys.is_empty() {
            return FindCoordinatorResponse {
                error_code: error.0,
                error_message: None,
                node_id: -1,
                port: -1,
                ..Default::default()
            };
        }
        // These versions have no error for the whole.
        let coordinators = keys.iter().map(|key| none(key.clone(), error)).collect();
        FindCoordinatorResponse { coordinators, ..Default::default() }
    }
}

fn none(key: String, error: ErrorCode) -> Coordinator {
    Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code: error.0,
        error_message: None,
        ..Default::default()
    }
}

fn find(node: &Node, key: String) -> Coordinator {
    let shared = &node.shared;
    if let Some((node_id, address)) = shared.lies.coordinator(&key) {
        return named(key, node_id, address);
    }
    let id = shared.groups.coordinator(shared, &key);
    let Some(info) = id.and_then(|id| shared.node(id)) else {
        return none(key, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    };
    named(key, info.id, info.address())
}

fn named(key: String, node_id: i32, address: SocketAddr) -> Coordinator {
    Coordinator {
        key,
        node_id,
        host: address.ip().to_string(),
        port: i32::from(address.port()),
        error_code: 0,
        error_message: None,
    }
}
