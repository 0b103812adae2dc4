//! What the engine asks the cluster outside of the flow of records: topics and the ends of logs.
//!
//! Questions are asked until they are answered: a cluster that is away is waited for. Only an answer that asking again
//! cannot change is an error.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use roka_client::{
    ApiKey, Client, Error, ErrorCode, TopicPartition,
    admin::{ConfigResource, NewTopic, OffsetSpec},
    consumer::Isolation,
};

use super::{
    error::ProcessorError,
    recovery::Bounds,
    topics::{Create, Found, TOMBSTONES_KEPT, TopicError, Wanted},
};
use crate::{Backoff, Config};

/// Between attempts; the client has its own back-off below this.
const RETRY: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(2) };
/// A topic that was just created is not known to every broker at once, so that the next one asked may deny it.
const TOPIC_PROPAGATION: Duration = Duration::from_secs(5);
/// How often to say that the cluster is still waited for.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// The version of Produce that brought record headers.
const HEADERS_SINCE: i16 = 3;
/// How long brokers are asked for their versions. Those that hang are not waited for.
const VERSIONS_PATIENCE: Duration = Duration::from_secs(2);

/// Asks until there is an answer that asking again would not change.
pub(crate) async fn patiently<T>(
    action: &str,
    mut ask: impl AsyncFnMut() -> Result<T, Error>,
) -> Result<T, ProcessorError> {
    let mut said: Option<Instant> = None;
    let mut attempt = 0;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if may_pass(&error) => {
                if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
                    said = Some(Instant::now());
                    tracing::warn!(%error, action, "waiting for the cluster");
                }
                tokio::time::sleep(RETRY.wait(attempt)).await;
                attempt += 1;
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
        let left = config.start_timeout.saturating_sub(started.elapsed());
        let error = match tokio::time::timeout(left, client.refresh_metadata()).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) if started.elapsed() < config.start_timeout && may_pass(&error) => {
                tracing::warn!(%error, "waiting for a broker");
                tokio::time::sleep(RETRY.first).await;
                continue;
            }
            Ok(Err(source)) if source.security().is_some() => {
                let action = "reaching the cluster".to_owned();
                return Err(ProcessorError::Refused { action, source });
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        let brokers = config.brokers.clone();
        return Err(ProcessorError::NoBroker { brokers, waited: started.elapsed(), reason: error });
    }
}

/// Whether records may have headers: brokers before Kafka 0.11 cannot store any. A broker that does not tell at once
/// counts as one that can.
pub(crate) async fn has_headers(client: &Client) -> bool {
    let all = async {
        for node in client.metadata().brokers.keys() {
            let Ok(versions) = client.admin().describe_versions(*node).await else { continue };
            let produce = versions.apis.get(&ApiKey::Produce);
            if let Some((_, highest)) = produce.filter(|(_, highest)| *highest < HEADERS_SINCE) {
                tracing::warn!(
                    %node,
                    produce = highest,
                    "a broker has no record headers (Kafka 0.11): rows of the table get no marks, and after a crash \
                     an input may count twice"
                );
                return false;
            }
        }
        true
    };
    tokio::time::timeout(VERSIONS_PATIENCE, all).await.unwrap_or(true)
}

/// Where the logs of these partitions begin, and where what is visible of them ends.
pub(crate) async fn bounds(
    client: &Client,
    isolation: Isolation,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Bounds>, ProcessorError> {
    let latest = match isolation {
        Isolation::ReadUncommitted => OffsetSpec::Latest,
        Isolation::ReadCommitted => OffsetSpec::LastStable,
    };
    patiently("asking where logs begin and end", async || {
        let starts = offsets(client, partitions, OffsetSpec::Earliest).await?;
        let ends = offsets(client, partitions, latest).await?;
        let bounds = starts.into_iter().zip(ends).map(|(start, end)| Bounds { start, end });
        Ok(partitions.iter().cloned().zip(bounds).collect())
    })
    .await
}

async fn offsets(
    client: &Client,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
) -> Result<Vec<i64>, Error> {
    let wanted: Vec<_> = partitions.iter().map(|partition| (partition.clone(), spec)).collect();
    let listed = client.admin().list_offsets(&wanted).await;
    listed.into_iter().map(|listed| Ok(listed?.offset.unwrap_or(0))).collect()
}

/// The topics that the graph names, as far as they exist. Somebody else's that are not there are looked for until
/// [`TOPIC_PROPAGATION`] is over.
pub(crate) async fn describe(
    client: &Client,
    wanted: &Wanted,
) -> Result<BTreeMap<String, Found>, ProcessorError> {
    let started = Instant::now();
    let mut attempt = 0;
    let mut found = loop {
        let found = look(client, wanted).await?;
        let complete = wanted.foreign().all(|topic| found.contains_key(topic));
        if complete || started.elapsed() >= TOPIC_PROPAGATION {
            break found;
        }
        tokio::time::sleep(RETRY.wait(attempt)).await;
        attempt += 1;
    };
    let tables = wanted.table.iter().chain(&wanted.joins).chain(&wanted.lookups);
    for name in tables.chain(&wanted.loopback).collect::<BTreeSet<_>>() {
        if let Some(found) = found.get_mut(name) {
            settings(client, name, found).await;
        }
    }
    Ok(found)
}

/// What one answer of the cluster says of the topics.
async fn look(client: &Client, wanted: &Wanted) -> Result<BTreeMap<String, Found>, ProcessorError> {
    let names: Vec<&str> = wanted.all().into_iter().collect();
    patiently("looking for topics", async || {
        let mut found = BTreeMap::new();
        for (name, topic) in names.iter().zip(client.admin().describe_topics(&names).await) {
            match topic {
                Ok(topic) => {
                    let partitions = topic.partitions.len() as i32;
                    let topic = Found { partitions, cleanup: None, tombstones: TOMBSTONES_KEPT };
                    found.insert((*name).to_owned(), topic);
                }
                Err(error) if error.is_unknown_topic() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    })
    .await
}

/// Asks for a topic's settings. Not every broker tells, and not everybody may ask: then they stay as they are.
async fn settings(client: &Client, topic: &str, found: &mut Found) {
    let asked = patiently("reading a topic's configuration", async || {
        client.admin().describe_config(ConfigResource::topic(topic)).await
    });
    let entries = match asked.await {
        Ok(entries) => entries,
        Err(error) => {
            tracing::debug!(topic, %error, "a topic's settings cannot be read");
            return;
        }
    };
    for entry in entries {
        match (&*entry.name, entry.value) {
            ("cleanup.policy", value) => found.cleanup = value,
            ("delete.retention.ms", Some(value)) => {
                let kept = value.parse().map(Duration::from_millis);
                found.tombstones = kept.unwrap_or(TOMBSTONES_KEPT);
            }
            _ => {}
        }
    }
}

/// Creates topics; those that exist by now are left as they are.
pub(crate) async fn create(
    client: &Client,
    config: &Config,
    wanted: &Wanted,
    topics: &[Create],
) -> Result<(), ProcessorError> {
    for create in topics {
        let mut topic = NewTopic::new(create.topic.as_str(), create.partitions, config.replication)
            .config("cleanup.policy", create.cleanup);
        if wanted.loopback.as_ref() == Some(&create.topic) {
            let kept = config.loop_retention.map(|kept| kept.as_millis().to_string());
            topic = topic.config("retention.ms", kept.unwrap_or_else(|| "-1".to_owned()));
        }
        create_one(client, config, &wanted.group, topic).await?;
    }
    Ok(())
}

/// Creates a topic. Too few brokers for its replicas may mean that some are away for a moment: that is tried again
/// until [`Config::start_timeout`] is over.
async fn create_one(
    client: &Client,
    config: &Config,
    group: &str,
    topic: NewTopic,
) -> Result<(), ProcessorError> {
    let started = Instant::now();
    let mut attempt = 0;
    loop {
        let refused = patiently("creating a topic of the group", async || {
            match client.admin().create_topic(topic.clone()).await {
                Err(error) if lacks_brokers(&error) => Ok(Some(error)),
                Err(error) if !error.is_topic_exists() => Err(error),
                _ => Ok(None),
            }
        });
        let Some(error) = refused.await? else { return Ok(()) };
        let waited = started.elapsed();
        if waited >= config.start_timeout {
            return Err(ProcessorError::Topics(TopicError::TooFewBrokers {
                group: group.to_owned(),
                topic: topic.name().to_owned(),
                replication: config.replication,
                waited,
                reason: error.to_string(),
            }));
        }
        tracing::warn!(%error, "waiting for brokers to create a topic on");
        let wait = RETRY.wait(attempt).min(config.start_timeout.saturating_sub(waited));
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

fn lacks_brokers(error: &Error) -> bool {
    matches!(error, Error::Refused { code, .. } if *code == ErrorCode::INVALID_REPLICATION_FACTOR)
}
