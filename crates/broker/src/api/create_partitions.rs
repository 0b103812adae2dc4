//! `CreatePartitions`: a topic gets more partitions, never fewer.

use roka_protocol::{
    ErrorCode,
    messages::create_partitions::{
        CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
        CreatePartitionsTopicResult,
    },
};

use super::{Handler, RequestContext};
use crate::{
    node::Node,
    state::{Shared, Topic, placement},
};

impl Handler for CreatePartitionsRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> CreatePartitionsResponse {
        let shared = &*node.shared;
        let results =
            self.topics.into_iter().map(|asked| match grow(shared, &asked, self.validate_only) {
                Ok(()) => result(asked.name, ErrorCode::NONE, None),
                Err((error, text)) => result(asked.name, error, Some(text)),
            });
        let results = results.collect();
        shared.save_or_warn();
        CreatePartitionsResponse { results, ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> CreatePartitionsResponse {
        let results = self.topics.iter().map(|it| result(it.name.clone(), error, None));
        CreatePartitionsResponse { results: results.collect(), ..Default::default() }
    }
}

fn result(name: String, error: ErrorCode, text: Option<String>) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult { name, error_code: error.0, error_message: text }
}

fn grow(
    shared: &Shared,
    asked: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), (ErrorCode, String)> {
    let unknown = || (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("no topic {}", asked.name));
    let topic = shared.topics.by_name(&asked.name).ok_or_else(unknown)?;
    let present = topic.partitions().len();
    let wanted = usize::try_from(asked.count).unwrap_or(0);
    if wanted <= present {
        let text = format!("topic {} has {present} partitions already", asked.name);
        return Err((ErrorCode::INVALID_PARTITIONS, text));
    }
    let replicas = replicas(shared, &topic, asked, present, wanted - present)?;
    if validate_only {
        return Ok(());
    }
    shared
        .topics
        .add_partitions(&topic, replicas, &|id| shared.is_live(id))
        .map_err(|error| (ErrorCode::KAFKA_STORAGE_ERROR, error.to_string()))
}

fn replicas(
    shared: &Shared,
    topic: &Topic,
    asked: &CreatePartitionsTopic,
    present: usize,
    more: usize,
) -> Result<Vec<Vec<i32>>, (ErrorCode, String)> {
    let first = topic.partition(0).map(|it| it.leadership().replicas).unwrap_or_default();
    let factor = first.len();
    if let Some(assignments) = asked.assignments.as_ref().filter(|it| !it.is_empty()) {
        let known = |ids: &[i32]| ids.iter().all(|&id| shared.node(id).is_some());
        let fit = assignments.len() == more
            && assignments.iter().all(|it| it.broker_ids.len() == factor && known(&it.broker_ids));
        let text = format!(
            "topic {}: assignments must name {factor} nodes for each of {more} partitions",
            asked.name
        );
        return if fit {
            Ok(assignments.iter().map(|it| it.broker_ids.clone()).collect())
        } else {
            Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, text))
        };
    }
    let live: Vec<i32> = shared.live_nodes().map(|node| node.id).collect();
    if live.len() < factor {
        let text = format!("{factor} replicas need more than the {} live nodes", live.len());
        return Err((ErrorCode::INVALID_REPLICATION_FACTOR, text));
    }
    // Leaders go on round the nodes where those of the present partitions ended.
    let start = first.first().and_then(|id| live.iter().position(|it| it == id)).unwrap_or(0);
    Ok(placement::spread(&live, start, present, more, factor))
}
