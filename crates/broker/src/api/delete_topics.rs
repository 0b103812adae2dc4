//! `DeleteTopics`: the topics and their records are gone when the response comes.

use std::sync::Arc;

use roka_protocol::{
    ErrorCode, Uuid,
    messages::delete_topics::{
        DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
    },
};

use super::{Handler, RequestContext};
use crate::{
    node::Node,
    state::{Shared, Topic},
};

impl Handler for DeleteTopicsRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> DeleteTopicsResponse {
        let responses = asked(self).into_iter().map(|it| delete(&node.shared, it)).collect();
        node.shared.save_or_warn();
        DeleteTopicsResponse { responses, ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> DeleteTopicsResponse {
        let responses =
            asked(self.clone()).into_iter().map(|it| result(it.name, it.topic_id, error));
        DeleteTopicsResponse { responses: responses.collect(), ..Default::default() }
    }
}

/// Before version 6 topics are only named.
fn asked(request: DeleteTopicsRequest) -> Vec<DeleteTopicState> {
    let named = request.topic_names.into_iter();
    let named = named.map(|it| DeleteTopicState { name: Some(it), topic_id: Uuid::ZERO });
    request.topics.into_iter().chain(named).collect()
}

fn result(name: Option<String>, topic_id: Uuid, error: ErrorCode) -> DeletableTopicResult {
    DeletableTopicResult { name, topic_id, error_code: error.0, ..Default::default() }
}

fn delete(shared: &Shared, asked: DeleteTopicState) -> DeletableTopicResult {
    let found: Result<Arc<Topic>, ErrorCode> = match &asked.name {
        Some(_) if !asked.topic_id.is_zero() => Err(ErrorCode::INVALID_REQUEST),
        Some(name) => shared.topics.by_name(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        None => shared.topics.by_id(asked.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID),
    };
    let topic = match found {
        Ok(topic) => topic,
        Err(error) => return result(asked.name, asked.topic_id, error),
    };
    if shared.config.get("delete.topic.enable") == Some("false") {
        return result(asked.name, asked.topic_id, ErrorCode::TOPIC_DELETION_DISABLED);
    }
    let error = match shared.topics.remove(&topic) {
        Ok(true) => {
            if let Err(error) = shared.groups.offsets(|it| it.delete_topic(&topic.name)) {
                tracing::error!(topic = &*topic.name, %error, "its offsets cannot be deleted");
            }
            ErrorCode::NONE
        }
        Ok(false) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        Err(error) => {
            tracing::error!(topic = &*topic.name, %error, "the topic's files cannot be removed");
            ErrorCode::KAFKA_STORAGE_ERROR
        }
    };
    result(Some(topic.name.to_string()), topic.id, error)
}
