//! `AlterConfigs`: all settings of a topic are replaced; what the request does not name is reset.

use std::collections::BTreeMap;

use roka_protocol::{
    ErrorCode,
    messages::alter_configs::{
        AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse,
        AlterConfigsResponse,
    },
};

use super::{Handler, RequestContext, describe_configs::TOPIC};
use crate::{config::TopicConfig, node::Node, state::Shared};

impl Handler for AlterConfigsRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> AlterConfigsResponse {
        let shared = &*node.shared;
        let responses = self.resources.iter().map(|asked| {
            let values = asked.configs.iter();
            let values = values.filter_map(|it| Some((it.name.clone(), it.value.clone()?)));
            let (kind, name) = (asked.resource_type, &asked.resource_name);
            let altered =
                alter_topic(shared, kind, name, self.validate_only, |_| Ok(values.collect()));
            match altered {
                Ok(()) => response(asked, ErrorCode::NONE, None),
                Err((error, text)) => response(asked, error, Some(text)),
            }
        });
        let responses = responses.collect();
        shared.save_or_warn();
        AlterConfigsResponse { responses, ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> AlterConfigsResponse {
        let responses = self.resources.iter().map(|it| response(it, error, None)).collect();
        AlterConfigsResponse { responses, ..Default::default() }
    }
}

fn response(
    asked: &AlterConfigsResource,
    error: ErrorCode,
    text: Option<String>,
) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code: error.0,
        error_message: text,
        resource_type: asked.resource_type,
        resource_name: asked.resource_name.clone(),
    }
}

/// Gives a topic the settings that `change` makes of its present overrides, if they are valid.
pub(super) fn alter_topic(
    shared: &Shared,
    resource_type: i8,
    name: &str,
    validate_only: bool,
    change: impl FnOnce(
        BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, (ErrorCode, String)>,
) -> Result<(), (ErrorCode, String)> {
    if resource_type != TOPIC {
        let text = "only the settings of topics can be changed: a node's are given when it starts";
        return Err((ErrorCode::INVALID_REQUEST, text.to_owned()));
    }
    let topic = shared.topics.by_name(name).ok_or_else(|| {
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("topic {name} does not exist"))
    })?;
    topic.alter_config(|present| {
        let overrides = change(present.overrides.clone())?;
        let config = TopicConfig::new(&shared.config, overrides)
            .map_err(|error| (ErrorCode::INVALID_CONFIG, error.to_string()))?;
        Ok((!validate_only).then_some(config))
    })
}
