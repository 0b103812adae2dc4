//! Offsets that a group has committed: list, alter, delete.

use std::collections::HashMap;
use std::sync::Arc;

use roka_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use roka_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use roka_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};
use roka_protocol::{ApiKey, ErrorCode};
use tokio::time::sleep;

use super::Admin;
use crate::connection::Lane;
use crate::core::Core;
use crate::retry::Deadline;
use crate::router::Target;
use crate::{Error, Subject, TopicPartition};

/// The newest versions that name topics by name; later ones need ids that the group may not know.
const BY_NAME: i16 = 9;

/// A position of a group in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The leader epoch of the record before it, if it was committed with one (Kafka 2.1).
    pub leader_epoch: Option<i32>,
    /// What the member noted with it.
    pub metadata: Option<String>,
}

impl CommittedOffset {
    /// A position without epoch and note.
    pub fn new(offset: i64) -> Self {
        Self { offset, leader_epoch: None, metadata: None }
    }
}

/// What a group has committed for a partition.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GroupOffset {
    /// The partition.
    pub partition: TopicPartition,
    /// The position; none if the group has none there. An error is never read as none.
    pub committed: Result<Option<CommittedOffset>, Error>,
}

impl Admin {
    /// All positions that the group has committed (Kafka 0.10.2). Waits for open transactions that may still
    /// change them, where the broker can tell (Kafka 2.5).
    pub async fn list_group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, Error> {
        self.fetch_offsets(group, None).await
    }

    /// The positions of the group in these partitions; one item per partition, in order.
    pub async fn list_group_offsets_of(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<GroupOffset>, Error> {
        self.fetch_offsets(group, Some(partitions.to_vec())).await
    }

    async fn fetch_offsets(
        &self,
        group: &str,
        partitions: Option<Vec<TopicPartition>>,
    ) -> Result<Vec<GroupOffset>, Error> {
        let group = Arc::<str>::from(group);
        self.run(|core, deadline| async move {
            let mut offsets = fetch(&core, deadline, &group, partitions.as_deref()).await?;
            let mut backoff = core.backoff();
            // Positions that a transaction may still change are asked for again.
            while unstable(&offsets) && !deadline.passed(tokio::time::Instant::now()) {
                sleep(core.next_wait(&mut backoff)).await;
                offsets = fetch(&core, deadline, &group, partitions.as_deref()).await?;
            }
            Ok(offsets)
        })
        .await
        .map_err(|it| it.for_feature("listing the offsets of a group"))
    }

    /// Sets positions of a group without members; one result per item.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Vec<Result<(), Error>> {
        let group = Arc::<str>::from(group);
        let offsets = offsets.to_vec();
        self.run_each(offsets.len(), |core, deadline| async move {
            let request = |_| OffsetCommitRequest {
                group_id: group.to_string(),
                topics: commit_topics(&offsets),
                ..OffsetCommitRequest::default()
            };
            let target = Target::group(&group);
            let route = core.route_in((0, BY_NAME), target, Lane::General, deadline, request);
            let answer = route.await?;
            let mut codes = HashMap::new();
            for topic in answer.topics {
                for it in topic.partitions {
                    let at = TopicPartition::new(topic.name.as_str(), it.partition_index);
                    codes.insert(at, it.error_code);
                }
            }
            let partitions = offsets.iter().map(|(at, _)| at);
            Ok(partitions.map(|at| settled(ApiKey::OffsetCommit, &group, at, &codes)).collect())
        })
        .await
    }

    /// Deletes positions of a group (Kafka 2.4), of which no member may subscribe to the topics; one result
    /// per partition.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Vec<Result<(), Error>> {
        let group = Arc::<str>::from(group);
        let partitions = partitions.to_vec();
        self.run_each(partitions.len(), |core, deadline| async move {
            let partition = |at: &TopicPartition| OffsetDeleteRequestPartition {
                partition_index: at.partition,
            };
            let topics = by_topic(&partitions, |at| at, partition);
            let topics = topics
                .into_iter()
                .map(|(name, partitions)| OffsetDeleteRequestTopic { name, partitions })
                .collect::<Vec<_>>();
            let request =
                |_| OffsetDeleteRequest { group_id: group.to_string(), topics: topics.clone() };
            let route = core.route(Target::group(&group), Lane::General, deadline, request);
            let answer = route.await.map_err(|it| it.for_feature("deleting a group's offsets"))?;
            let (api, subject) = (ApiKey::OffsetDelete, Subject::Group(group.clone()));
            super::judged(api, subject, answer.error_code, None)?;
            let mut codes = HashMap::new();
            for topic in answer.topics {
                for it in topic.partitions {
                    let at = TopicPartition::new(topic.name.as_str(), it.partition_index);
                    codes.insert(at, it.error_code);
                }
            }
            Ok(partitions.iter().map(|at| settled(api, &group, at, &codes)).collect())
        })
        .await
    }
}

fn unstable(offsets: &[GroupOffset]) -> bool {
    let code = |it: &GroupOffset| it.committed.as_ref().err().and_then(Error::code);
    offsets.iter().any(|it| code(it) == Some(ErrorCode::UNSTABLE_OFFSET_COMMIT))
}

async fn fetch(
    core: &Arc<Core>,
    deadline: Deadline,
    group: &Arc<str>,
    partitions: Option<&[TopicPartition]>,
) -> Result<Vec<GroupOffset>, Error> {
    // To ask for all needs version 2.
    let least = if partitions.is_some() { 0 } else { 2 };
    let request = |version| fetch_request(version, group, partitions);
    let target = Target::group(group);
    let route = core.route_in((least, BY_NAME), target, Lane::General, deadline, request);
    let (group_code, mut found) = fetched(route.await?);
    super::judged(ApiKey::OffsetFetch, Subject::Group(group.clone()), group_code, None)?;
    let all;
    let partitions = if let Some(partitions) = partitions {
        partitions
    } else {
        let mut listed: Vec<_> = found.keys().cloned().collect();
        listed.sort_unstable();
        all = listed;
        &all
    };
    let item = |at: &TopicPartition| {
        let (topic, partition) = (at.topic.clone(), at.partition);
        let subject = Subject::GroupOffset { group: group.clone(), topic, partition };
        let api = ApiKey::OffsetFetch;
        let committed = match found.remove(at) {
            Some((error, it)) => super::judged(api, subject, error, None).map(|()| it),
            None => Err(Error::Missing { api, subject }),
        };
        GroupOffset { partition: at.clone(), committed }
    };
    Ok(partitions.iter().map(item).collect())
}

fn fetch_request(
    version: i16,
    group: &str,
    partitions: Option<&[TopicPartition]>,
) -> OffsetFetchRequest {
    let topics = || Some(by_topic(partitions?, |at| at, |at| at.partition).into_iter());
    let require_stable = version >= 7;
    if version >= 8 {
        let topic = |(name, partition_indexes)| OffsetFetchRequestTopics {
            name,
            partition_indexes,
            ..OffsetFetchRequestTopics::default()
        };
        let group = OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics: topics().map(|topics| topics.map(topic).collect()),
            ..OffsetFetchRequestGroup::default()
        };
        let groups = vec![group];
        return OffsetFetchRequest { groups, require_stable, ..OffsetFetchRequest::default() };
    }
    let topic = |(name, partition_indexes)| OffsetFetchRequestTopic { name, partition_indexes };
    OffsetFetchRequest {
        group_id: group.to_owned(),
        topics: topics().map(|topics| topics.map(topic).collect()),
        require_stable,
        ..OffsetFetchRequest::default()
    }
}

type Fetched = HashMap<TopicPartition, (i16, Option<CommittedOffset>)>;

/// The group's error code, and each partition's code and position.
fn fetched(answer: OffsetFetchResponse) -> (i16, Fetched) {
    let committed = |offset, epoch: i32, metadata: Option<String>| {
        (offset >= 0).then(|| CommittedOffset {
            offset,
            leader_epoch: (epoch >= 0).then_some(epoch),
            metadata: metadata.filter(|it| !it.is_empty()),
        })
    };
    let mut found = Fetched::new();
    for topic in answer.topics {
        for it in topic.partitions {
            let at = TopicPartition::new(topic.name.as_str(), it.partition_index);
            let offset = committed(it.committed_offset, it.committed_leader_epoch, it.metadata);
            found.insert(at, (it.error_code, offset));
        }
    }
    let mut code = answer.error_code;
    for group in answer.groups {
        code = group.error_code;
        for topic in group.topics {
            for it in topic.partitions {
                let at = TopicPartition::new(topic.name.as_str(), it.partition_index);
                let offset = committed(it.committed_offset, it.committed_leader_epoch, it.metadata);
                found.insert(at, (it.error_code, offset));
            }
        }
    }
    (code, found)
}

fn commit_topics(offsets: &[(TopicPartition, CommittedOffset)]) -> Vec<OffsetCommitRequestTopic> {
    let partition = |(at, it): &(TopicPartition, CommittedOffset)| OffsetCommitRequestPartition {
        partition_index: at.partition,
        committed_offset: it.offset,
        committed_leader_epoch: it.leader_epoch.unwrap_or(-1),
        committed_metadata: Some(it.metadata.clone().unwrap_or_default()),
        ..OffsetCommitRequestPartition::default()
    };
    let topic = |(name, partitions)| OffsetCommitRequestTopic {
        name,
        partitions,
        ..OffsetCommitRequestTopic::default()
    };
    by_topic(offsets, |(at, _)| at, partition).into_iter().map(topic).collect()
}

/// The items by topic, in the order in which the topics first come.
pub(super) fn by_topic<I, P>(
    items: &[I],
    at: impl Fn(&I) -> &TopicPartition,
    partition: impl Fn(&I) -> P,
) -> Vec<(String, Vec<P>)> {
    let mut topics: Vec<(String, Vec<P>)> = Vec::new();
    let mut slots = HashMap::new();
    for item in items {
        let topic = at(item).topic.clone();
        let slot = *slots.entry(topic).or_insert_with_key(|topic| {
            topics.push((topic.to_string(), Vec::new()));
            topics.len() - 1
        });
        topics[slot].1.push(partition(item));
    }
    topics
}

/// What a response says about one partition.
fn settled(
    api: ApiKey,
    group: &Arc<str>,
    at: &TopicPartition,
    codes: &HashMap<TopicPartition, i16>,
) -> Result<(), Error> {
    let (topic, partition) = (at.topic.clone(), at.partition);
    let subject = Subject::GroupOffset { group: group.clone(), topic, partition };
    match codes.get(at) {
        Some(code) => super::judged(api, subject, *code, None),
        None => Err(Error::Missing { api, subject }),
    }
}
