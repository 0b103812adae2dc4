//! `DescribeCluster`: the nodes that live (KIP-700).

use std::sync::Arc;

use roka_protocol::{
    ErrorCode,
    messages::describe_cluster::{
        DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
    },
};

use super::{Handler, RequestContext};
use crate::{node::Node, state::NodeInfo};

const BROKERS: i8 = 1;

impl Handler for DescribeClusterRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> DescribeClusterResponse {
        if self.endpoint_type != BROKERS {
            let text = "this is a broker: its controllers have no endpoints of their own";
            return DescribeClusterResponse {
                error_message: Some(text.to_owned()),
                ..self.refuse(ErrorCode::UNSUPPORTED_ENDPOINT_TYPE)
            };
        }
        let broker = |node: &Arc<NodeInfo>| DescribeClusterBroker {
            broker_id: node.id,
            host: node.address().ip().to_string(),
            port: i32::from(node.address().port()),
            rack: node.rack.clone(),
            is_fenced: !node.is_live(),
        };
        let nodes = node.shared.nodes();
        let shown = nodes.iter().filter(|it| it.is_live() || self.include_fenced_brokers);
        DescribeClusterResponse {
            cluster_id: node.shared.cluster_id.clone(),
            controller_id: node.shared.controller(),
            brokers: shown.map(broker).collect(),
            ..Default::default()
        }
    }

    fn refuse(&self, error: ErrorCode) -> DescribeClusterResponse {
        DescribeClusterResponse {
            error_code: error.0,
            endpoint_type: self.endpoint_type,
            ..Default::default()
        }
    }
}
