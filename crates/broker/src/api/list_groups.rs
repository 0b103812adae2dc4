//! `ListGroups`: the groups that this node coordinates.

use roka_protocol::{
    ErrorCode,
    messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup},
};

use super::{Handler, RequestContext, coordinator};
use crate::node::Node;

/// All groups here speak the classic protocol.
const TYPE: &str = "classic";

impl Handler for ListGroupsRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> ListGroupsResponse {
        let wanted = |filter: &[String], is: &str| {
            filter.is_empty() || filter.iter().any(|it| it.eq_ignore_ascii_case(is))
        };
        let mut groups = Vec::new();
        node.shared.groups.each(|id, group| {
            let state = group.state.name();
            if wanted(&self.states_filter, state) && wanted(&self.types_filter, TYPE) {
                groups.push(ListedGroup {
                    group_id: id.to_owned(),
                    protocol_type: group.protocol_type.clone(),
                    group_state: state.to_owned(),
                    group_type: TYPE.to_owned(),
                });
            }
        });
        groups.retain(|it| coordinator::check(node, &it.group_id).is_ok());
        ListGroupsResponse { groups, ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> ListGroupsResponse {
        ListGroupsResponse { error_code: error.0, ..Default::default() }
    }
}
