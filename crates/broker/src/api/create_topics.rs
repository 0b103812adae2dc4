//! `CreateTopics`: names, replicas and settings are checked as Kafka does, then the topic is there at once.

use std::collections::BTreeMap;

use roka_protocol::{
    ErrorCode, Uuid,
    messages::create_topics::{
        CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
        CreateTopicsResponse,
    },
};

use super::{Handler, RequestContext};
use crate::{
    config::{TOPIC_SETTINGS, TopicConfig},
    node::Node,
    state::{NewTopic, Shared, Topic, placement},
};

impl Handler for CreateTopicsRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> CreateTopicsResponse {
        let shared = &*node.shared;
        let names: Vec<String> = self.topics.iter().map(|it| it.name.clone()).collect();
        let topics = self.topics.into_iter().map(|asked| {
            let name = asked.name.clone();
            if names.iter().filter(|it| **it == name).count() > 1 {
                let text = "the request names the topic twice".to_owned();
                return failed(name, ErrorCode::INVALID_REQUEST, Some(text));
            }
            match create(shared, asked, self.validate_only) {
                Ok(result) => result,
                Err((error, text)) => failed(name, error, Some(text)),
            }
        });
        CreateTopicsResponse { topics: topics.collect(), ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> CreateTopicsResponse {
        let topics = self.topics.iter().map(|it| failed(it.name.clone(), error, None));
        CreateTopicsResponse { topics: topics.collect(), ..Default::default() }
    }
}

fn failed(name: String, error: ErrorCode, text: Option<String>) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        error_code: error.0,
        error_message: text,
        configs: None,
        ..Default::default()
    }
}

pub(super) type Refused = (ErrorCode, String);

/// Makes one topic, or only checks that it could be made.
pub(super) fn create(
    shared: &Shared,
    asked: CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, Refused> {
    check_name(&asked.name)?;
    if shared.topics.by_name(&asked.name).is_some() {
        let text = format!("topic {} already exists", asked.name);
        return Err((ErrorCode::TOPIC_ALREADY_EXISTS, text));
    }
    let replicas = replicas(shared, &asked)?;
    let overrides: BTreeMap<String, String> =
        asked.configs.into_iter().filter_map(|it| Some((it.name, it.value?))).collect();
    let config = TopicConfig::new(&shared.config, overrides)
        .map_err(|error| (ErrorCode::INVALID_CONFIG, error.to_string()))?;
    let (partitions, factor) = (replicas.len(), replicas.first().map_or(0, Vec::len));
    let shown = shown(shared, &config);
    let topic_id = if validate_only {
        Uuid::ZERO
    } else {
        let new = NewTopic { name: asked.name.clone(), replicas, config };
        add(shared, new)?.id
    };
    Ok(CreatableTopicResult {
        name: asked.name,
        topic_id,
        error_message: None,
        num_partitions: partitions as i32,
        replication_factor: factor as i16,
        configs: Some(shown),
        ..Default::default()
    })
}

fn add(shared: &Shared, new: NewTopic) -> Result<std::sync::Arc<Topic>, Refused> {
    let name = new.name.clone();
    let created = shared.topics.create(new, &|id| shared.is_live(id));
    match created.and_then(|topic| shared.save().map(|()| topic)) {
        Ok(Some(topic)) => Ok(topic),
        Ok(None) => Err((ErrorCode::TOPIC_ALREADY_EXISTS, format!("topic {name} already exists"))),
        Err(error) => {
            Err((ErrorCode::KAFKA_STORAGE_ERROR, format!("topic {name} cannot be stored: {error}")))
        }
    }
}

fn check_name(name: &str) -> Result<(), Refused> {
    let legal = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-');
    let text = match name {
        "" => "the topic has no name",
        "." | ".." => "a topic cannot be named . or ..",
        name if name.len() > 249 => "a topic's name has at most 249 characters",
        name if !name.chars().all(legal) => {
            "a topic's name has only ASCII letters, digits, dots, underscores and hyphens"
        }
        _ => return Ok(()),
    };
    Err((ErrorCode::INVALID_TOPIC_EXCEPTION, text.to_owned()))
}

/// The replicas of each partition: as the request says, or spread over the live nodes.
fn replicas(shared: &Shared, asked: &CreatableTopic) -> Result<Vec<Vec<i32>>, Refused> {
    if asked.assignments.is_empty() {
        return spread(shared, asked.num_partitions, asked.replication_factor);
    }
    if asked.num_partitions != -1 || asked.replication_factor != -1 {
        let text = "replicas are either counted or assigned, not both";
        return Err((ErrorCode::INVALID_REQUEST, text.to_owned()));
    }
    let mut assignments: Vec<_> = asked.assignments.iter().collect();
    assignments.sort_by_key(|it| it.partition_index);
    let in_order = assignments.iter().zip(0..).all(|(it, index)| it.partition_index == index);
    let factor = assignments[0].broker_ids.len();
    let valid = assignments.iter().all(|it| {
        let unique = it.broker_ids.iter().collect::<std::collections::HashSet<_>>().len();
        factor > 0
            && it.broker_ids.len() == factor
            && unique == factor
            && it.broker_ids.iter().all(|&id| shared.node(id).is_some())
    });
    if !in_order || !valid {
        let text = "assignments must name partitions from 0 on, each with the same number of existing nodes";
        return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, text.to_owned()));
    }
    Ok(assignments.into_iter().map(|it| it.broker_ids.clone()).collect())
}

fn spread(shared: &Shared, partitions: i32, factor: i16) -> Result<Vec<Vec<i32>>, Refused> {
    let default = |name: &str| shared.config.number(name, 1);
    let partitions = if partitions == -1 { default("num.partitions") } else { partitions.into() };
    let factor = if factor == -1 { default("default.replication.factor") } else { factor.into() };
    if !(1..=1_000_000).contains(&partitions) {
        return Err((
            ErrorCode::INVALID_PARTITIONS,
            format!("{partitions} partitions: a topic has at least one"),
        ));
    }
    let live: Vec<i32> = shared.live_nodes().map(|node| node.id).collect();
    if factor < 1 || factor > live.len() as i64 {
        let text =
            format!("replication factor {factor}: the cluster has {} live nodes", live.len());
        return Err((ErrorCode::INVALID_REPLICATION_FACTOR, text));
    }
    Ok(placement::spread(
        &live,
        shared.topics.next_placement(),
        0,
        partitions as usize,
        factor as usize,
    ))
}

/// The settings of the new topic as the response lists them.
fn shown(shared: &Shared, config: &TopicConfig) -> Vec<CreatableTopicConfigs> {
    let show = |definition: &crate::config::Definition| {
        let own = config.overrides.get(definition.name);
        CreatableTopicConfigs {
            name: definition.name.to_owned(),
            value: Some(own.cloned().unwrap_or_else(|| definition.value_on(&shared.config))),
            read_only: false,
            config_source: definition.source(own.is_some(), &shared.config) as i8,
            is_sensitive: false,
        }
    };
    TOPIC_SETTINGS.iter().map(show).collect()
}
