//! `DescribeConfigs`: the settings of topics and nodes, with where each value comes from.

use roka_protocol::{
    ErrorCode,
    messages::describe_configs::{
        DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
        DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
    },
};

use super::{Handler, RequestContext};
use crate::{
    config::{BROKER_SETTINGS, BrokerConfig, Definition, Kind, Source, TOPIC_SETTINGS},
    node::Node,
    state::Shared,
};

pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

impl Handler for DescribeConfigsRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> DescribeConfigsResponse {
        let results = self.resources.iter().map(|asked| {
            match describe(&node.shared, asked, self.include_synonyms) {
                Ok(configs) => {
                    DescribeConfigsResult { configs, ..result(asked, ErrorCode::NONE, None) }
                }
                Err((error, text)) => result(asked, error, Some(text)),
            }
        });
        let mut results: Vec<_> = results.collect();
        if ctx.version == 0 {
            // Sources came with version 1.
            for setting in results.iter_mut().flat_map(|it| &mut it.configs) {
                setting.is_default = setting.config_source == Source::Default as i8;
            }
        }
        DescribeConfigsResponse { results, ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> DescribeConfigsResponse {
        let results = self.resources.iter().map(|it| result(it, error, None)).collect();
        DescribeConfigsResponse { results, ..Default::default() }
    }
}

fn result(
    asked: &DescribeConfigsResource,
    error: ErrorCode,
    text: Option<String>,
) -> DescribeConfigsResult {
    DescribeConfigsResult {
        error_code: error.0,
        error_message: text,
        resource_type: asked.resource_type,
        resource_name: asked.resource_name.clone(),
        configs: Vec::new(),
    }
}

type Described = Result<Vec<DescribeConfigsResourceResult>, (ErrorCode, String)>;

fn describe(shared: &Shared, asked: &DescribeConfigsResource, synonyms: bool) -> Described {
    let name = asked.resource_name.as_str();
    let all = match asked.resource_type {
        TOPIC => topic(shared, name)?,
        BROKER => broker(shared, name)?,
        // Other kinds have no settings here.
        _ => Vec::new(),
    };
    let is_asked = |setting: &DescribeConfigsResourceResult| {
        let keys = asked.configuration_keys.as_ref().filter(|it| !it.is_empty());
        keys.is_none_or(|keys| keys.contains(&setting.name))
    };
    let mut all: Vec<_> = all.into_iter().filter(is_asked).collect();
    if !synonyms {
        for setting in &mut all {
            setting.synonyms.clear();
        }
    }
    Ok(all)
}

fn topic(shared: &Shared, name: &str) -> Described {
    let topic = shared.topics.by_name(name).ok_or_else(|| {
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("topic {name} does not exist"))
    })?;
    let config = topic.config();
    let setting = |definition: &Definition| {
        let own = config.overrides.get(definition.name);
        let own = own.map(|it| synonym(definition.name, it, Source::Topic));
        let inherited = definition.from_broker.filter(|it| shared.config.is_set(it));
        let inherited = inherited
            .and_then(|it| Some(synonym(it, shared.config.get(it)?, Source::StaticBroker)));
        let default = definition.from_broker.unwrap_or(definition.name);
        let default = synonym(default, definition.default, Source::Default);
        shown(definition, own.into_iter().chain(inherited).chain([default]).collect())
    };
    Ok(TOPIC_SETTINGS.iter().map(setting).collect())
}

fn broker(shared: &Shared, name: &str) -> Described {
    // No name asks for what was changed for all nodes at run time, which is nothing.
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let id = name.parse().ok().filter(|&id| shared.node(id).is_some());
    let id: i32 = id.ok_or_else(|| {
        (ErrorCode::INVALID_REQUEST, format!("node {name} is not in the cluster"))
    })?;
    let of = |name: &'static str, definition: &Definition, config: &BrokerConfig| {
        let own = config.is_set(name).then(|| config.get(name)).flatten();
        let own = own.map(|it| synonym(name, it, Source::StaticBroker));
        let default = synonym(name, definition.default, Source::Default);
        shown(&Definition { name, ..*definition }, own.into_iter().chain([default]).collect())
    };
    let id = id.to_string();
    let node_id =
        Definition { name: "node.id", from_broker: None, kind: Kind::Int(0, 0), default: "" };
    let node_id = DescribeConfigsResourceResult {
        value: Some(id.clone()),
        ..shown(&node_id, vec![synonym("node.id", &id, Source::StaticBroker)])
    };
    let own = BROKER_SETTINGS.iter().map(|it| of(it.name, it, &shared.config));
    let topics =
        TOPIC_SETTINGS.iter().filter_map(|it| Some(of(it.from_broker?, it, &shared.config)));
    Ok(std::iter::once(node_id).chain(own).chain(topics).collect())
}

fn synonym(name: &str, value: &str, source: Source) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        source: source as i8,
    }
}

/// A setting with its values, the one in force first.
fn shown(
    definition: &Definition,
    synonyms: Vec<DescribeConfigsSynonym>,
) -> DescribeConfigsResourceResult {
    let (value, config_source) = match synonyms.first() {
        Some(first) => (first.value.clone(), first.source),
        None => (None, Source::Default as i8),
    };
    DescribeConfigsResourceResult {
        name: definition.name.to_owned(),
        value,
        read_only: false,
        is_default: false,
        config_source,
        is_sensitive: false,
        synonyms,
        config_type: definition.kind.number(),
        documentation: None,
    }
}
