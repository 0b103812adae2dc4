//! Committed offsets, read.
//!
//! Rules:
//! - "No offset was committed" is said only if the coordinator said so for that partition. An error, at any level, or
//!   a partition that the answer leaves out, is never read as that: a reader would start over.
//! - Only what failed is asked again.
//! - Offsets that an open transaction may still change are waited for (KIP-447, `UNSTABLE_OFFSET_COMMIT`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use roka_protocol::{
    ApiKey, ErrorCode,
    messages::offset_fetch::{
        OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic,
        OffsetFetchRequestTopics, OffsetFetchResponse,
    },
};
use tokio::time::Instant;

use super::{
    ask::{AskError, How, ask},
    membership::moves_coordinator,
};
use crate::{
    Error, Outcome, Subject, TopicPartition, action, connection::Lane, consumer::Position,
    core::Core, retry::Deadline,
};

/// From version 10 on topics go by id.
const BY_NAME: (i16, i16) = (0, 9);

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Where to read on.
    pub position: Position,
    /// What was committed with it.
    pub metadata: Option<String>,
}

/// What was committed for each partition; none where nothing was.
pub(super) type CommittedOffsets = BTreeMap<TopicPartition, Option<Committed>>;

/// Reads the offsets of all `partitions`, or fails at the deadline.
pub(super) async fn committed(
    core: &Arc<Core>,
    group: &Arc<str>,
    partitions: &[TopicPartition],
    deadline: Deadline,
) -> Result<CommittedOffsets, Error> {
    let started = Instant::now();
    let mut found = CommittedOffsets::new();
    let mut left: BTreeSet<_> = partitions.iter().cloned().collect();
    let mut backoff = core.backoff();
    while !left.is_empty() {
        let build = |version| request(group, &left, version);
        let timeout = core.config().request_timeout.min(deadline.left(Instant::now()));
        let how = How { lane: Lane::Group, timeout, versions: BY_NAME };
        let asked = ask::<OffsetFetchRequest>(core, group, how, build, outcome).await;
        let (mut last, mut unreachable) = (None, None);
        match asked.map(|(response, _)| answers(group, response)) {
            Err(AskError::Unreachable(error)) => unreachable = error.map(Error::Send),
            Err(AskError::Refused(code)) => {
                let subject = Subject::Group(group.clone());
                return Err(Error::refused(ApiKey::FindCoordinator, subject, code));
            }
            Err(AskError::Hopeless(error)) => return Err(error),
            // Refused as a whole.
            Ok(Err(error)) => last = Some(error),
            Ok(Ok(answers)) => left.retain(|partition| match answers.get(partition) {
                Some(Ok(committed)) => {
                    found.insert(partition.clone(), committed.clone());
                    false
                }
                Some(Err(refusal)) => {
                    last = Some(refused(group, partition, *refusal));
                    true
                }
                None => {
                    let subject = subject(group, partition);
                    last = Some(Error::Missing { api: ApiKey::OffsetFetch, subject });
                    true
                }
            }),
        }
        if left.is_empty() {
            break;
        }
        if let Some(error) =
            last.take_if(|it| !it.code().is_some_and(|it| action::of(it).is_retry()))
        {
            return Err(error);
        }
        let retry_at = Instant::now() + core.next_wait(&mut backoff);
        if deadline.passed(retry_at) {
            let operation = format!("reading the committed offsets of group {group}");
            let (after, last) = (started.elapsed(), last.or(unreachable).map(Box::new));
            return Err(Error::Timeout { operation, after, last });
        }
        tokio::time::sleep_until(retry_at).await;
    }
    Ok(found)
}

/// The code in the response that says that the coordinator is another broker, if there is one.
fn outcome(response: &OffsetFetchResponse) -> ErrorCode {
    let mut found = ErrorCode::NONE;
    response.each_code(&mut |code| {
        if moves_coordinator(code) {
            found = code;
        }
    });
    found
}

fn subject(group: &Arc<str>, partition: &TopicPartition) -> Subject {
    let TopicPartition { topic, partition } = partition.clone();
    Subject::GroupOffset { group: group.clone(), topic, partition }
}

/// A code about one partition's offset.
pub(super) fn refused(group: &Arc<str>, partition: &TopicPartition, code: ErrorCode) -> Error {
    Error::refused(ApiKey::OffsetFetch, subject(group, partition), code)
}

/// Partition numbers by topic.
pub(super) fn by_topic<'a>(
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
) -> BTreeMap<&'a Arc<str>, Vec<i32>> {
    let mut topics: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    topics
}

fn request(group: &str, partitions: &BTreeSet<TopicPartition>, version: i16) -> OffsetFetchRequest {
    let topics = by_topic(partitions).into_iter();
    let mut request =
        OffsetFetchRequest { require_stable: version >= 7, ..OffsetFetchRequest::default() };
    if version >= 8 {
        let topic = |(name, partition_indexes): (&Arc<str>, _)| OffsetFetchRequestTopics {
            name: name.to_string(),
            partition_indexes,
            ..OffsetFetchRequestTopics::default()
        };
        request.groups = vec![OffsetFetchRequestGroup {
            group_id: group.to_string(),
            topics: Some(topics.map(topic).collect()),
            ..OffsetFetchRequestGroup::default()
        }];
    } else {
        let topic = |(name, partition_indexes): (&Arc<str>, _)| OffsetFetchRequestTopic {
            name: name.to_string(),
            partition_indexes,
        };
        request.group_id = group.to_string();
        request.topics = Some(topics.map(topic).collect());
    }
    request
}

type Answers = BTreeMap<TopicPartition, Result<Option<Committed>, ErrorCode>>;

/// What the response says about each partition; an error if it refuses as a whole.
fn answers(group: &Arc<str>, response: OffsetFetchResponse) -> Result<Answers, Error> {
    let refuse = |code| Error::refused(ApiKey::OffsetFetch, Subject::Group(group.clone()), code);
    let mut answers = Answers::new();
    let mut add = |topic: &Arc<str>, partition, code, offset, epoch: i32, metadata| {
        let leader_epoch = (epoch >= 0).then_some(epoch);
        let position = Position { offset, leader_epoch };
        let answer = ErrorCode(code)
            .ok()
            .map(|()| (offset >= 0).then_some(Committed { position, metadata }));
        answers.insert(TopicPartition::new(topic.clone(), partition), answer);
    };
    ErrorCode(response.error_code).ok().map_err(refuse)?;
    for topic in response.topics {
        let name: Arc<str> = topic.name.into();
        for it in topic.partitions {
            let epoch = it.committed_leader_epoch;
            add(&name, it.partition_index, it.error_code, it.committed_offset, epoch, it.metadata);
        }
    }
    for it in response.groups.into_iter().filter(|it| *it.group_id == **group) {
        ErrorCode(it.error_code).ok().map_err(refuse)?;
        for topic in it.topics {
            let name: Arc<str> = topic.name.into();
            for it in topic.partitions {
                let (offset, epoch) = (it.committed_offset, it.committed_leader_epoch);
                add(&name, it.partition_index, it.error_code, offset, epoch, it.metadata);
            }
        }
    }
    Ok(answers)
}
