//! `AlterPartitionReassignments`: partitions get other replicas, at once, since all nodes share the logs.

use std::collections::BTreeSet;

use roka_protocol::{
    ErrorCode,
    messages::alter_partition_reassignments::{
        AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
        ReassignablePartition, ReassignablePartitionResponse, ReassignableTopic,
        ReassignableTopicResponse,
    },
};

use super::{Handler, RequestContext};
use crate::{node::Node, state::Shared};

impl Handler for AlterPartitionReassignmentsRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> AlterPartitionReassignmentsResponse {
        let shared = &*node.shared;
        let may_resize = self.allow_replication_factor_change;
        let response = answer(&self, |topic, asked| reassign(shared, topic, asked, may_resize));
        shared.save_or_warn();
        response
    }

    fn refuse(&self, error: ErrorCode) -> AlterPartitionReassignmentsResponse {
        answer(self, |_, _| Err((error, error.to_string())))
    }
}

type Outcome = Result<(), (ErrorCode, String)>;

fn answer(
    request: &AlterPartitionReassignmentsRequest,
    outcome: impl Fn(&str, &ReassignablePartition) -> Outcome,
) -> AlterPartitionReassignmentsResponse {
    let partition = |topic: &str, asked: &ReassignablePartition| {
        let (error, error_message) = match outcome(topic, asked) {
            Ok(()) => (ErrorCode::NONE, None),
            Err((error, text)) => (error, Some(text)),
        };
        let partition_index = asked.partition_index;
        ReassignablePartitionResponse { partition_index, error_code: error.0, error_message }
    };
    let topic = |it: &ReassignableTopic| ReassignableTopicResponse {
        name: it.name.clone(),
        partitions: it.partitions.iter().map(|asked| partition(&it.name, asked)).collect(),
    };
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        error_message: None,
        responses: request.topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

fn reassign(
    shared: &Shared,
    topic: &str,
    asked: &ReassignablePartition,
    may_resize: bool,
) -> Outcome {
    let index = asked.partition_index;
    let found = shared.topics.by_name(topic).and_then(|it| it.partition(index));
    let unknown = || {
        let text = format!("no partition {index} in topic {topic}");
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text)
    };
    let partition = found.ok_or_else(unknown)?;
    let none = || {
        let text = format!("topic {topic}, partition {index}: moves are done at once here");
        (ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, text)
    };
    let replicas = asked.replicas.clone().ok_or_else(none)?;
    let distinct = replicas.iter().collect::<BTreeSet<_>>().len() == replicas.len();
    if replicas.is_empty() || !distinct || replicas.iter().any(|&id| !shared.is_live(id)) {
        let text =
            format!("topic {topic}, partition {index}: {replicas:?} are not live nodes, each once");
        return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
    }
    {
        let mut state = partition.lock();
        let present = state.leadership.replicas.len();
        if !may_resize && present != replicas.len() {
            let text = format!("topic {topic}, partition {index}: it has {present} replicas");
            return Err((ErrorCode::INVALID_REPLICATION_FACTOR, text));
        }
        state.leadership.isr.clone_from(&replicas);
        state.leadership.replicas = replicas;
    }
    partition.reelect(&|id| shared.is_live(id));
    Ok(())
}
