//! `OffsetFetch`: the stored positions of groups.
//!
//! A partition without a position, or one that does not exist, has offset -1 and no error, as in Kafka. Up to version 7
//! a request asks about one group; it is answered by the same code as the later ones that ask about several.
//!
//! Who asks for stable positions gets none that an open transaction may change (KIP-447).

use roka_protocol::{
    ErrorCode, Uuid,
    messages::offset_fetch::{
        OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
        OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
        OffsetFetchResponseTopic, OffsetFetchResponseTopics,
    },
};

use super::{Handler, RequestContext, coordinator};
use crate::{group::offsets::Committed, node::Node, state::Shared};

/// The first version that asks for several groups (KIP-709).
const BATCHED: i16 = 8;
/// The first version in which topics have ids instead of names.
const TOPIC_IDS: i16 = 10;

impl Handler for OffsetFetchRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> OffsetFetchResponse {
        let answer =
            |group: &OffsetFetchRequestGroup| match coordinator::check(node, &group.group_id) {
                Ok(()) => group_answer(&node.shared, group, ctx.version, self.require_stable),
                Err(error) => refuse_group(group, error),
            };
        if ctx.version >= BATCHED {
            let groups = self.groups.iter().map(answer).collect();
            return OffsetFetchResponse { groups, ..Default::default() };
        }
        single(answer(&as_group(&self)))
    }

    fn refuse(&self, error: ErrorCode) -> OffsetFetchResponse {
        let groups = self.groups.iter().map(|group| refuse_group(group, error)).collect();
        OffsetFetchResponse { groups, ..single(refuse_group(&as_group(self), error)) }
    }
}

/// The question of a version for one group in the form of the later ones.
fn as_group(request: &OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.as_ref().map(|topics| {
        let topic = |it: &roka_protocol::messages::offset_fetch::OffsetFetchRequestTopic| {
            OffsetFetchRequestTopics {
                name: it.name.clone(),
                partition_indexes: it.partition_indexes.clone(),
                ..Default::default()
            }
        };
        topics.iter().map(topic).collect()
    });
    OffsetFetchRequestGroup { group_id: request.group_id.clone(), topics, ..Default::default() }
}

/// The answer in the form of the versions for one group.
fn single(group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let partition = |it: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: it.partition_index,
        committed_offset: it.committed_offset,
        committed_leader_epoch: it.committed_leader_epoch,
        metadata: it.metadata,
        error_code: it.error_code,
    };
    let topic = |it: OffsetFetchResponseTopics| OffsetFetchResponseTopic {
        name: it.name,
        partitions: it.partitions.into_iter().map(partition).collect(),
    };
    OffsetFetchResponse {
        topics: group.topics.into_iter().map(topic).collect(),
        error_code: group.error_code,
        ..Default::default()
    }
}

fn group_answer(
    shared: &Shared,
    group: &OffsetFetchRequestGroup,
    version: i16,
    stable: bool,
) -> OffsetFetchResponseGroup {
    let id = &group.group_id;
    let topics = match &group.topics {
        Some(topics) => topics.iter().map(|it| topic_answer(shared, id, it, stable)).collect(),
        None => everything(shared, id, version, stable),
    };
    OffsetFetchResponseGroup { group_id: group.group_id.clone(), topics, error_code: 0 }
}

fn topic_answer(
    shared: &Shared,
    group: &str,
    asked: &OffsetFetchRequestTopics,
    stable: bool,
) -> OffsetFetchResponseTopics {
    let by_id = !asked.topic_id.is_zero();
    let name = match shared.topics.by_id(asked.topic_id) {
        Some(topic) => topic.name.to_string(),
        None if by_id => return refuse_topic(asked, ErrorCode::UNKNOWN_TOPIC_ID),
        None => asked.name.clone(),
    };
    let partitions = shared.groups.offsets(|offsets| {
        let partition = |&index: &i32| match offsets.get(group, &name, index) {
            _ if stable && offsets.is_pending(group, &name, index) => {
                no_position(index, ErrorCode::UNSTABLE_OFFSET_COMMIT)
            }
            Some(committed) => position(index, committed),
            None => no_position(index, ErrorCode::NONE),
        };
        asked.partition_indexes.iter().map(partition).collect()
    });
    OffsetFetchResponseTopics { name, topic_id: asked.topic_id, partitions }
}

/// All positions that the group has.
fn everything(
    shared: &Shared,
    group: &str,
    version: i16,
    stable: bool,
) -> Vec<OffsetFetchResponseTopics> {
    let mut topics: Vec<OffsetFetchResponseTopics> = shared.groups.offsets(|offsets| {
        let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
        for (topic, index, committed) in offsets.all(group) {
            if topics.last().is_none_or(|last| last.name != topic) {
                let name = topic.to_owned();
                topics.push(OffsetFetchResponseTopics { name, ..Default::default() });
            }
            if let Some(last) = topics.last_mut() {
                last.partitions.push(if stable && offsets.is_pending(group, topic, index) {
                    no_position(index, ErrorCode::UNSTABLE_OFFSET_COMMIT)
                } else {
                    position(index, committed)
                });
            }
        }
        topics
    });
    for topic in &mut topics {
        let known = shared.topics.by_name(&topic.name);
        topic.topic_id = known.map_or(Uuid::ZERO, |it| it.id);
    }
    // Without a name, an id is all that tells a topic.
    topics.retain(|it| version < TOPIC_IDS || !it.topic_id.is_zero());
    topics
}

fn position(index: i32, committed: &Committed) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: committed.offset,
        committed_leader_epoch: committed.leader_epoch,
        metadata: Some(committed.metadata.clone()),
        error_code: 0,
    }
}

fn no_position(index: i32, error: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: -1,
        error_code: error.0,
        ..Default::default()
    }
}

fn refuse_group(group: &OffsetFetchRequestGroup, error: ErrorCode) -> OffsetFetchResponseGroup {
    let topics = group.topics.iter().flatten().map(|it| refuse_topic(it, error));
    OffsetFetchResponseGroup {
        group_id: group.group_id.clone(),
        topics: topics.collect(),
        error_code: error.0,
    }
}

fn refuse_topic(asked: &OffsetFetchRequestTopics, error: ErrorCode) -> OffsetFetchResponseTopics {
    let partitions = asked.partition_indexes.iter().map(|&index| no_position(index, error));
    OffsetFetchResponseTopics {
        name: asked.name.clone(),
        topic_id: asked.topic_id,
        partitions: partitions.collect(),
    }
}
