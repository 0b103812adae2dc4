//! What the engine asks the cluster outside of the flow of records: topics and the ends of logs.
//!
//! Questions are asked until they are answered: a cluster that is away is waited for. Only an answer that asking again
//! cannot change is an error.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use roka_client::{
    Client, Error, TopicPartition,
    admin::{ConfigResource, NewTopic, OffsetSpec},
};

use super::{
    error::ProcessorError,
    recovery::Bounds,
    topics::{Create, Found, Wanted},
};
use crate::Config;

/// Between attempts.
const RETRY: Duration = Duration::from_millis(500);
/// A topic that was just created is not known to every broker at once, so that the next one asked may deny it.
const TOPIC_PROPAGATION: Duration = Duration::from_secs(5);
/// How often to say that the cluster is still waited for.
const SAY_EVERY: Duration = Duration::from_secs(10);

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
        let left = config.start_timeout.saturating_sub(started.elapsed());
        let error = match tokio::time::timeout(left, client.refresh_metadata()).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) if started.elapsed() < config.start_timeout && may_pass(&error) => {
                tracing::warn!(%error, "waiting for a broker");
                tokio::time::sleep(RETRY).await;
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        let brokers = config.brokers.clone();
        return Err(ProcessorError::NoBroker { brokers, waited: started.elapsed(), reason: error });
    }
}

/// Where the logs of these partitions begin and end.
pub(crate) async fn bounds(
    client: &Client,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Bounds>, ProcessorError> {
    patiently("asking where logs begin and end", async || {
        let starts = offsets(client, partitions, OffsetSpec::Earliest).await?;
        let ends = offsets(client, partitions, OffsetSpec::Latest).await?;
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
    let mut found = loop {
        let found = look(client, wanted).await?;
        let complete = wanted.foreign().all(|topic| found.contains_key(topic));
        if complete || started.elapsed() >= TOPIC_PROPAGATION {
            break found;
        }
        tokio::time::sleep(RETRY).await;
    };
    for name in wanted.table.iter().chain(&wanted.loopback) {
        if let Some(found) = found.get_mut(name) {
            found.cleanup = cleanup_policy(client, name).await;
        }
    }
    Ok(found)
}

/// What one answer of the cluster says of the topics.
async fn look(client: &Client, wanted: &Wanted) -> Result<BTreeMap<String, Found>, ProcessorError> {
    let names: Vec<&str> = wanted.all().map(String::as_str).collect();
    patiently("looking for topics", async || {
        let mut found = BTreeMap::new();
        for (name, topic) in names.iter().zip(client.admin().describe_topics(&names).await) {
            match topic {
                Ok(topic) => {
                    let partitions = topic.partitions.len() as i32;
                    found.insert((*name).to_owned(), Found { partitions, cleanup: None });
                }
                Err(error) if error.is_unknown_topic() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    })
    .await
}

/// A topic's clean-up policy. Not every broker tells, and not everybody may ask: then it is not checked.
async fn cleanup_policy(client: &Client, topic: &str) -> Option<String> {
    let asked = patiently("reading a topic's configuration", async || {
        client.admin().describe_config(ConfigResource::topic(topic)).await
    });
    match asked.await {
        Ok(entries) => entries.into_iter().find(|entry| entry.name == "cleanup.policy")?.value,
        Err(error) => {
            tracing::debug!(topic, %error, "a topic's clean-up policy cannot be checked");
            None
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
        patiently("creating a topic of the group", async || {
            match client.admin().create_topic(topic.clone()).await {
                Err(error) if !error.is_topic_exists() => Err(error),
                _ => Ok(()),
            }
        })
        .await?;
    }
    Ok(())
}
