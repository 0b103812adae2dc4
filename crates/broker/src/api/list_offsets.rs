//! `ListOffsets`: where a log begins and ends, and which record is the first at or after a time.

use roka_protocol::{
    ErrorCode,
    messages::list_offsets::{
        ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest,
        ListOffsetsResponse, ListOffsetsTopic, ListOffsetsTopicResponse,
    },
};

use super::{Handler, RequestContext};
use crate::{
    node::Node,
    state::{PartitionState, Topic},
};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

impl Handler for ListOffsetsRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> ListOffsetsResponse {
        let committed_only = self.isolation_level == 1;
        let topics = self.topics.into_iter().map(|asked| {
            let topic = node.shared.topics.by_name(&asked.name);
            let partition = |it: &ListOffsetsPartition| {
                let found = list(node, topic.as_deref(), it, committed_only);
                respond(it, ctx.version, found)
            };
            ListOffsetsTopicResponse {
                partitions: asked.partitions.iter().map(partition).collect(),
                name: asked.name,
            }
        });
        ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> ListOffsetsResponse {
        let topic = |topic: &ListOffsetsTopic| ListOffsetsTopicResponse {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(|it| respond(it, 1, Err(error))).collect(),
        };
        ListOffsetsResponse {
            topics: self.topics.iter().map(topic).collect(),
            ..Default::default()
        }
    }
}

/// A place in a log; -1 where there is none.
struct Place {
    offset: i64,
    timestamp: i64,
    epoch: i32,
}

fn respond(
    asked: &ListOffsetsPartition,
    version: i16,
    found: Result<Place, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let partition_index = asked.partition_index;
    let place = match found {
        Ok(place) => place,
        Err(error) => {
            let error_code = error.0;
            return ListOffsetsPartitionResponse {
                partition_index,
                error_code,
                ..Default::default()
            };
        }
    };
    if version == 0 {
        let old_style_offsets = if place.offset < 0 { Vec::new() } else { vec![place.offset] };
        return ListOffsetsPartitionResponse {
            partition_index,
            old_style_offsets,
            ..Default::default()
        };
    }
    ListOffsetsPartitionResponse {
        partition_index,
        timestamp: place.timestamp,
        offset: place.offset,
        leader_epoch: if version >= 4 { place.epoch } else { -1 },
        ..Default::default()
    }
}

fn list(
    node: &Node,
    topic: Option<&Topic>,
    asked: &ListOffsetsPartition,
    committed_only: bool,
) -> Result<Place, ErrorCode> {
    let partition = topic.and_then(|it| it.partition(asked.partition_index));
    let partition = partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let mut state = partition.lock();
    state.check_leader(node.id(), asked.current_leader_epoch)?;
    let place = |state: &PartitionState, offset: i64, timestamp: i64| Place {
        offset,
        timestamp,
        epoch: state.log.epochs.at(offset).unwrap_or(-1),
    };
    let end = if committed_only { state.log.last_stable() } else { state.log.end() };
    match asked.timestamp {
        LATEST => {
            let offset = end;
            Ok(Place { offset, timestamp: -1, epoch: state.leadership.epoch })
        }
        EARLIEST | EARLIEST_LOCAL => Ok(place(&state, state.log.start(), -1)),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(place(&state, -1, -1)),
        MAX_TIMESTAMP => {
            let newest = state.log.max_timestamp();
            search(&mut state, newest, end)
        }
        timestamp => search(&mut state, timestamp, end),
    }
}

/// The first record at or after `timestamp`, if it lies before `end`.
fn search(state: &mut PartitionState, timestamp: i64, end: i64) -> Result<Place, ErrorCode> {
    let none = Place { offset: -1, timestamp: -1, epoch: -1 };
    if timestamp < 0 {
        return Ok(none);
    }
    let start = state.log.start();
    let found = state.log.find_time(timestamp).map_err(|error| {
        tracing::error!(%error, "search by time failed");
        ErrorCode::KAFKA_STORAGE_ERROR
    })?;
    let found = found.filter(|&(offset, _)| offset < end);
    Ok(found.map_or(none, |(offset, timestamp)| Place {
        offset: offset.max(start),
        timestamp,
        epoch: state.log.epochs.at(offset).unwrap_or(-1),
    }))
}
