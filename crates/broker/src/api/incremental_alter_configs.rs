//! `IncrementalAlterConfigs`: single settings of topics are set, reset, extended or shortened (KIP-339).

use std::collections::BTreeMap;

use roka_protocol::{
    ErrorCode,
    messages::incremental_alter_configs::{
        AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig,
        IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    },
};

use super::{Handler, RequestContext, alter_configs::alter_topic, describe_configs::BROKER};
use crate::{
    config::{BrokerConfig, topic_setting},
    node::Node,
};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

impl Handler for IncrementalAlterConfigsRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> IncrementalAlterConfigsResponse {
        let shared = &*node.shared;
        let responses = self.resources.iter().map(|asked| {
            if resets_node(asked) {
                return response(asked, ErrorCode::NONE, None);
            }
            let altered = alter_topic(
                shared,
                asked.resource_type,
                &asked.resource_name,
                self.validate_only,
                |overrides| apply(&shared.config, overrides, &asked.configs),
            );
            match altered {
                Ok(()) => response(asked, ErrorCode::NONE, None),
                Err((error, text)) => response(asked, error, Some(text)),
            }
        });
        let responses = responses.collect();
        shared.save_or_warn();
        IncrementalAlterConfigsResponse { responses, ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> IncrementalAlterConfigsResponse {
        let responses = self.resources.iter().map(|it| response(it, error, None)).collect();
        IncrementalAlterConfigsResponse { responses, ..Default::default() }
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

/// A node has no settings that were changed while it ran, so that resetting some changes nothing. Tools do it to
/// throttles when they have moved partitions.
fn resets_node(asked: &AlterConfigsResource) -> bool {
    asked.resource_type == BROKER && asked.configs.iter().all(|it| it.config_operation == DELETE)
}

fn apply(
    broker: &BrokerConfig,
    mut overrides: BTreeMap<String, String>,
    changes: &[AlterableConfig],
) -> Result<BTreeMap<String, String>, (ErrorCode, String)> {
    for change in changes {
        let name = change.name.as_str();
        let value = change.value.as_deref();
        let missing =
            || (ErrorCode::INVALID_REQUEST, format!("setting {name}: a value is missing"));
        match change.config_operation {
            DELETE => {
                overrides.remove(name);
            }
            SET => {
                overrides.insert(name.to_owned(), value.ok_or_else(missing)?.to_owned());
            }
            APPEND | SUBTRACT => {
                let change_value = value.ok_or_else(missing)?;
                let unset =
                    || topic_setting(name).map(|it| it.value_on(broker)).unwrap_or_default();
                let present = overrides.get(name).cloned().unwrap_or_else(unset);
                let list = edit_list(&present, change_value, change.config_operation == APPEND);
                overrides.insert(name.to_owned(), list);
            }
            other => {
                let text = format!("setting {name}: operation {other} is unknown");
                return Err((ErrorCode::INVALID_REQUEST, text));
            }
        }
    }
    Ok(overrides)
}

/// The comma-separated list with the values of another added at the end, or taken out.
fn edit_list(present: &str, values: &str, add: bool) -> String {
    let split = |text: &str| -> Vec<String> {
        let parts = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        parts.map(str::to_owned).collect()
    };
    let (mut list, values) = (split(present), split(values));
    list.retain(|it| add || !values.contains(it));
    if add {
        let new: Vec<_> = values.into_iter().filter(|it| !list.contains(it)).collect();
        list.extend(new);
    }
    list.join(",")
}
