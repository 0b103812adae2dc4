//! `DeleteGroups`: groups without members are deleted with their offsets (KIP-229).

use roka_protocol::{
    ErrorCode,
    messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse},
};

use super::{Handler, RequestContext, coordinator};
use crate::node::Node;

impl Handler for DeleteGroupsRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> DeleteGroupsResponse {
        let delete = |id: &String| match coordinator::check(node, id) {
            Ok(()) => result(id, node.shared.groups.delete(id)),
            Err(error) => result(id, error),
        };
        let results = self.groups_names.iter().map(delete).collect();
        DeleteGroupsResponse { results, ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> DeleteGroupsResponse {
        let results = self.groups_names.iter().map(|id| result(id, error)).collect();
        DeleteGroupsResponse { results, ..Default::default() }
    }
}

fn result(id: &str, error: ErrorCode) -> DeletableGroupResult {
    DeletableGroupResult { group_id: id.to_owned(), error_code: error.0, error_message: None }
}
