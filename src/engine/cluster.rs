//! What the engine asks the cluster outside of the flow of records: topics and the ends of logs.
//!
//! Questions are asked until they are answered: a cluster that is away is waited for. Only an answer that asking again
//! cannot change is an error.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use roka_client::{
    Client, Error, ErrorCode, TopicPartition,
    protocol::messages::{
        create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest},
        describe_configs::{DescribeConfigsRequest, DescribeConfigsResource},
        list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic},
        metadata::{MetadataRequest, MetadataRequestTopic},
    },
};

use super::{
    error::ProcessorError,
    recovery::Bounds,
    topics::{Create, Found, Wanted},
};
use crate::Config;

/// Between attempts.
const RETRY: Duration = Duration::from_millis(500);
/// How often to say that the cluster is still waited for.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// Kafka's number for a topic among the resources that have a configuration.
const TOPIC_RESOURCE: i8 = 2;
/// Kafka's timestamps that stand for the ends of a log.
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// Asks until there is an answer that asking again would not change.
pub(crate) async fn patiently<T>(
    action: &str,
    mut ask: impl AsyncFnMut() -> Result<T, Error>,
) -> Result<T, ProcessorError> {
    let mut said: Option<Instant> = None;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if may_pass(&error) => {
                if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
                    said = Some(Instant::now());
                    tracing::warn!(%error, action, "waiting for the cluster");
                }
                tokio::time::sleep(RETRY).await;
            }
            Err(source) => {
                return Err(ProcessorError::Refused { action: action.to_owned(), source });
            }
        }
    }
}

/// Whether the same question may get another answer later.
pub(crate) fn may_pass(error: &Error) -> bool {
    match error {
        Error::Timeout { .. } => true,
        Error::Send(error) => error.is_retriable(),
        Error::Refused { code, .. } => code.is_retriable(),
        _ => false,
    }
}

/// Waits for a first answer from the cluster.
pub(crate) async fn reach(client: &Client, config: &Config) -> Result<(), ProcessorError> {
    let started = Instant::now();
    loop {
        let error = match client.refresh_metadata().await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if started.elapsed() >= config.start_timeout {
            let brokers = config.brokers.clone();
            let seconds = config.start_timeout.as_secs();
            return Err(ProcessorError::NoBroker { brokers, seconds, source: error });
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Where the logs of these partitions begin and end.
pub(crate) async fn bounds(
    client: &Client,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Bounds>, ProcessorError> {
    let mut all = BTreeMap::new();
    for partition in partitions {
        let bounds = patiently("asking where a log begins and ends", async || {
            let start = offset(client, partition, EARLIEST).await?;
            let end = offset(client, partition, LATEST).await?;
            Ok(Bounds { start, end })
        });
        all.insert(partition.clone(), bounds.await?);
    }
    Ok(all)
}

async fn offset(client: &Client, name: &TopicPartition, timestamp: i64) -> Result<i64, Error> {
    let partition = ListOffsetsPartition {
        partition_index: name.partition,
        timestamp,
        max_num_offsets: 1,
        ..ListOffsetsPartition::default()
    };
    let topic = ListOffsetsTopic { name: name.topic.to_string(), partitions: vec![partition] };
    let request =
        ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..ListOffsetsRequest::default() };
    let response = client.call_leader(&name.topic, name.partition, request).await?;
    let answer = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
    let Some(answer) = answer else { return Ok(0) };
    // Version 0 answers with a list.
    Ok(answer.old_style_offsets.first().copied().unwrap_or(answer.offset).max(0))
}

/// The topics that the graph names, as far as they exist.
pub(crate) async fn describe(
    client: &Client,
    wanted: &Wanted,
) -> Result<BTreeMap<String, Found>, ProcessorError> {
    let names: Vec<&String> = wanted.all().collect();
    let mut found = patiently("looking for topics", async || {
        let topics = names.iter().map(|name| MetadataRequestTopic {
            name: Some((*name).clone()),
            ..MetadataRequestTopic::default()
        });
        let request = MetadataRequest {
            topics: Some(topics.collect()),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let response = client.call(request).await?;
        let mut found = BTreeMap::new();
        for topic in response.topics {
            let name = topic.name.unwrap_or_default();
            match ErrorCode(topic.error_code) {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {}
                code if code == ErrorCode::NONE || code.is_retriable() => {
                    let partitions = topic.partitions.len() as i32;
                    found.insert(name, Found { partitions, cleanup: None });
                }
                code => tracing::warn!(topic = name, %code, "a topic cannot be described"),
            }
        }
        Ok(found)
    })
    .await?;
    let own = wanted.table.iter().chain(&wanted.loopback);
    for name in own {
        if let Some(found) = found.get_mut(name) {
            found.cleanup = cleanup_policy(client, name).await?;
        }
    }
    Ok(found)
}

/// A topic's clean-up policy, if the broker tells it.
async fn cleanup_policy(client: &Client, topic: &str) -> Result<Option<String>, ProcessorError> {
    const KEY: &str = "cleanup.policy";
    let asked = patiently("reading a topic's configuration", async || {
        let resource = DescribeConfigsResource {
            resource_type: TOPIC_RESOURCE,
            resource_name: topic.to_owned(),
            configuration_keys: Some(vec![KEY.to_owned()]),
        };
        let request = DescribeConfigsRequest {
            resources: vec![resource],
            ..DescribeConfigsRequest::default()
        };
        client.call(request).await
    });
    match asked.await {
        Ok(response) => {
            let mut configs = response.results.into_iter().flat_map(|result| result.configs);
            Ok(configs.find(|config| config.name == KEY).and_then(|config| config.value))
        }
        // Not every broker tells, and not everybody may ask: then it is not checked.
        Err(ProcessorError::Refused { source, .. }) => {
            tracing::debug!(topic, error = %source, "a topic's configuration cannot be read");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Creates topics; those that exist by now are left as they are.
pub(crate) async fn create(
    client: &Client,
    config: &Config,
    wanted: &Wanted,
    topics: &[Create],
) -> Result<(), ProcessorError> {
    let response = patiently("creating topics", async || {
        let topics = topics.iter().map(|create| CreatableTopic {
            name: create.topic.clone(),
            num_partitions: create.partitions,
            replication_factor: config.replication,
            configs: configs(create, config, wanted),
            ..CreatableTopic::default()
        });
        let request =
            CreateTopicsRequest { topics: topics.collect(), ..CreateTopicsRequest::default() };
        client.call(request).await
    });
    for result in response.await?.topics {
        match ErrorCode(result.error_code) {
            ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS => {}
            code if code.is_retriable() => {}
            code => {
                let reason = result.error_message.filter(|text| !text.is_empty());
                let reason =
                    reason.map_or_else(|| code.to_string(), |text| format!("{code}: {text}"));
                return Err(ProcessorError::Create { topic: result.name, reason });
            }
        }
    }
    Ok(())
}

fn configs(create: &Create, config: &Config, wanted: &Wanted) -> Vec<CreatableTopicConfig> {
    let setting = |name: &str, value: String| CreatableTopicConfig {
        name: name.to_owned(),
        value: Some(value),
    };
    let mut configs = vec![setting("cleanup.policy", create.cleanup.to_owned())];
    if wanted.loopback.as_ref() == Some(&create.topic) {
        let kept = config
            .loop_retention
            .map_or_else(|| "-1".to_owned(), |kept| kept.as_millis().to_string());
        configs.push(setting("retention.ms", kept));
    }
    configs
}
