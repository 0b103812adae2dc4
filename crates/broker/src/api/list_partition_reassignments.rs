//! `ListPartitionReassignments`: none is ever under way, since all nodes share the logs.

use roka_protocol::{
    ErrorCode,
    messages::list_partition_reassignments::{
        ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
    },
};

use super::{Handler, RequestContext};
use crate::node::Node;

impl Handler for ListPartitionReassignmentsRequest {
    async fn handle(self, _: &Node, _: &RequestContext) -> ListPartitionReassignmentsResponse {
        self.refuse(ErrorCode::NONE)
    }

    fn refuse(&self, error: ErrorCode) -> ListPartitionReassignmentsResponse {
        ListPartitionReassignmentsResponse {
            error_code: error.0,
            error_message: None,
            ..Default::default()
        }
    }
}
