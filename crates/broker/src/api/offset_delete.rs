//! `OffsetDelete`: stored positions of a group are deleted, unless members use them (KIP-496).

use roka_protocol::{
    ErrorCode,
    messages::offset_delete::{
        OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse,
        OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
    },
};

use super::{Handler, RequestContext, coordinator};
use crate::{group::machine::Group, node::Node, state::Shared};

impl Handler for OffsetDeleteRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> OffsetDeleteResponse {
        let shared = &node.shared;
        let deletable = coordinator::check(node, &self.group_id).and_then(|()| {
            let checked = shared.groups.look(&self.group_id, Group::check_deletion);
            checked.unwrap_or(Err(ErrorCode::GROUP_ID_NOT_FOUND))
        });
        if let Err(error) = deletable {
            return self.refuse(error);
        }
        let topics = self.topics.iter().map(|topic| delete(shared, &self.group_id, topic));
        OffsetDeleteResponse { topics: topics.collect(), ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> OffsetDeleteResponse {
        OffsetDeleteResponse { error_code: error.0, ..Default::default() }
    }
}

fn delete(
    shared: &Shared,
    group: &str,
    asked: &OffsetDeleteRequestTopic,
) -> OffsetDeleteResponseTopic {
    let used = shared.groups.look(group, |group| group.is_subscribed(&asked.name));
    let topic = shared.topics.by_name(&asked.name);
    let delete = |index: i32| {
        if topic.as_ref().and_then(|it| it.partition(index)).is_none() {
            return ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        }
        if used == Some(true) {
            return ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC;
        }
        match shared.groups.offsets(|offsets| offsets.delete(group, &asked.name, index)) {
            Ok(()) => ErrorCode::NONE,
            Err(error) => {
                tracing::error!(group, topic = asked.name, %error, "an offset cannot be deleted");
                ErrorCode::KAFKA_STORAGE_ERROR
            }
        }
    };
    let partitions = asked.partitions.iter().map(|it| OffsetDeleteResponsePartition {
        partition_index: it.partition_index,
        error_code: delete(it.partition_index).0,
    });
    OffsetDeleteResponseTopic { name: asked.name.clone(), partitions: partitions.collect() }
}
