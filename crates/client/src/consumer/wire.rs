//! Requests in the version that a connection speaks, and what their answers say, without any decision.

use std::{collections::BTreeMap, sync::Arc};

use roka_protocol::{
    ErrorCode,
    messages::{
        fetch::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic},
        list_offsets::{
            ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
        },
        offset_for_leader_epoch::{
            OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
            OffsetForLeaderTopic,
        },
    },
};

use super::{
    FetcherConfig, Position, Start,
    engine::{FetchPlan, ListWant, ValidateWant},
};
use crate::TopicPartition;

/// The first version of Fetch with sessions (KIP-227).
pub(super) const FETCH_SESSIONS: i16 = 7;
/// From this version of Fetch on the broker compares what was read with its log (KIP-595).
pub(super) const FETCH_VALIDATES: i16 = 12;
/// Below this version of Fetch topics go by name.
pub(super) const FETCH_BY_ID: i16 = 13;

/// What goes under each topic, the topics in order.
fn by_topic<'a, T>(
    items: impl IntoIterator<Item = &'a T>,
    name: impl Fn(&T) -> &TopicPartition,
) -> BTreeMap<Arc<str>, Vec<&'a T>> {
    let mut topics: BTreeMap<Arc<str>, Vec<&T>> = BTreeMap::new();
    for item in items {
        topics.entry(name(item).topic.clone()).or_default().push(item);
    }
    topics
}

/// The Fetch of a plan.
pub(super) fn fetch(
    plan: &FetchPlan,
    config: &FetcherConfig,
    rack: Option<&str>,
    version: i16,
) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for (name, want) in &plan.session.wants {
        let partition = FetchPartition {
            partition: name.partition,
            current_leader_epoch: want.leader_epoch,
            fetch_offset: want.offset,
            last_fetched_epoch: if version >= FETCH_VALIDATES {
                want.last_fetched_epoch
            } else {
                -1
            },
            partition_max_bytes: want.max_bytes,
            ..FetchPartition::default()
        };
        // Neighbours of one topic go together; the order is kept, it is who comes first in the answer.
        match topics.last_mut() {
            Some(topic) if *topic.topic == *name.topic => topic.partitions.push(partition),
            _ => topics.push(FetchTopic {
                topic: name.topic.to_string(),
                topic_id: want.topic_id,
                partitions: vec![partition],
            }),
        }
    }
    let forgotten = |(name, topic_id): &(TopicPartition, _)| ForgottenTopic {
        topic: name.topic.to_string(),
        topic_id: *topic_id,
        partitions: vec![name.partition],
    };
    FetchRequest {
        max_wait_ms: i32::try_from(plan.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: config.min_bytes,
        max_bytes: plan.max_bytes,
        isolation_level: config.isolation.wire(),
        session_id: plan.session.session_id,
        session_epoch: plan.session.session_epoch,
        topics,
        forgotten_topics_data: plan.session.forget.iter().map(forgotten).collect(),
        rack_id: rack.filter(|_| plan.replicas).unwrap_or_default().to_string(),
        ..FetchRequest::default()
    }
}

/// What `ListOffsets` calls the ends of a log.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

fn timestamp(start: Start, now_ms: i64) -> i64 {
    match start {
        Start::Earliest => EARLIEST,
        Start::Latest | Start::At(_) => LATEST,
        Start::Timestamp(at) => at,
        Start::Ago(age) => {
            now_ms.saturating_sub_unsigned(age.as_millis().try_into().unwrap_or(u64::MAX)).max(0)
        }
    }
}

/// The `ListOffsets` for these wants, `now_ms` after 1970.
pub(super) fn list(
    wants: &[ListWant],
    config: &FetcherConfig,
    version: i16,
    now_ms: i64,
) -> ListOffsetsRequest {
    let topics = by_topic(wants, |want| &want.name).into_iter().map(|(name, wants)| {
        let partition = |want: &&ListWant| ListOffsetsPartition {
            partition_index: want.name.partition,
            current_leader_epoch: want.attempt.leader.map_or(-1, |(_, epoch)| epoch),
            timestamp: timestamp(want.start, now_ms),
            ..ListOffsetsPartition::default()
        };
        let partitions = wants.iter().map(partition).collect();
        ListOffsetsTopic { name: name.to_string(), partitions }
    });
    ListOffsetsRequest {
        replica_id: -1,
        isolation_level: if version >= 2 { config.isolation.wire() } else { 0 },
        topics: topics.collect(),
        timeout_ms: 30_000,
    }
}

/// What the answer says about one want; an answer that leaves it out says nothing.
pub(super) fn listed(
    response: &ListOffsetsResponse,
    want: &ListWant,
) -> Result<Option<Position>, Option<ErrorCode>> {
    let topic = response.topics.iter().find(|topic| *topic.name == *want.name.topic);
    let partitions = topic.into_iter().flat_map(|topic| &topic.partitions);
    let found = partitions.into_iter().find(|it| it.partition_index == want.name.partition);
    let found = found.ok_or(None)?;
    ErrorCode(found.error_code).ok().map_err(Some)?;
    let offset = found.old_style_offsets.first().copied().unwrap_or(found.offset);
    if offset < 0 {
        // No record of that time or later. The ends of the log are always there.
        let by_time = matches!(want.start, Start::Timestamp(0..) | Start::Ago(_));
        return if by_time { Ok(None) } else { Err(None) };
    }
    // The epoch that comes with it is the one of the record *at* the offset, not before it.
    Ok(Some(Position::at(offset)))
}

/// The `OffsetForLeaderEpoch` for these wants.
pub(super) fn validate(wants: &[ValidateWant]) -> OffsetForLeaderEpochRequest {
    let topics = by_topic(wants, |want| &want.name).into_iter().map(|(name, wants)| {
        let partition = |want: &&ValidateWant| OffsetForLeaderPartition {
            partition: want.name.partition,
            current_leader_epoch: want.attempt.leader.map_or(-1, |(_, epoch)| epoch),
            leader_epoch: want.position.leader_epoch.unwrap_or(-1),
        };
        let partitions = wants.iter().map(partition).collect();
        OffsetForLeaderTopic { topic: name.to_string(), partitions }
    });
    OffsetForLeaderEpochRequest { replica_id: -1, topics: topics.collect() }
}

/// How far the leader's log agrees with what was read; none where it cannot tell (-1, KIP-320).
pub(super) fn validated(
    response: &OffsetForLeaderEpochResponse,
    want: &ValidateWant,
) -> Result<Option<Position>, Option<ErrorCode>> {
    let topic = response.topics.iter().find(|topic| *topic.topic == *want.name.topic);
    let partitions = topic.into_iter().flat_map(|topic| &topic.partitions);
    let found = partitions.into_iter().find(|it| it.partition == want.name.partition);
    let found = found.ok_or(None)?;
    ErrorCode(found.error_code).ok().map_err(Some)?;
    if found.end_offset < 0 {
        return Ok(None);
    }
    let leader_epoch = (found.leader_epoch >= 0).then_some(found.leader_epoch);
    Ok(Some(Position { offset: found.end_offset, leader_epoch }))
}
