//! Offsets of partitions, by time and at the ends; deleting records.

use roka_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use roka_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
};
use roka_protocol::{ApiKey, ErrorCode};

use super::fanout::{Answers, Item, leaders};
use super::group_offsets::by_topic;
use super::{Admin, only};
use crate::connection::Lane;
use crate::{Error, TopicPartition};

/// Which offset of a partition is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OffsetSpec {
    /// The first that is there.
    Earliest,
    /// The one that the next record gets (the high watermark).
    Latest,
    /// The first that an unfinished transaction may still change: where `read_committed` ends (Kafka 0.11).
    LastStable,
    /// The first record at or after this time, in milliseconds since 1970 (Kafka 0.10.1).
    Timestamp(i64),
    /// The record with the largest timestamp (Kafka 3.0).
    MaxTimestamp,
}

impl OffsetSpec {
    fn timestamp(self) -> i64 {
        match self {
            Self::Latest | Self::LastStable => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Timestamp(timestamp_ms) => timestamp_ms,
        }
    }

    fn isolation(self) -> i8 {
        i8::from(self == Self::LastStable)
    }

    /// The first version that knows it.
    fn needs(self) -> i16 {
        match self {
            Self::Earliest | Self::Latest => 0,
            Self::Timestamp(_) => 1,
            Self::LastStable => 2,
            Self::MaxTimestamp => 7,
        }
    }
}

/// An offset that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedOffset {
    /// The offset; none if no record is at or after the time.
    pub offset: Option<i64>,
    /// The timestamp of the record there, in milliseconds since 1970; none at the ends of the log.
    pub timestamp_ms: Option<i64>,
    /// The leader epoch of the record there, if the broker tells (Kafka 2.1).
    pub leader_epoch: Option<i32>,
}

impl Admin {
    /// One offset of one partition.
    pub async fn list_offset(
        &self,
        partition: TopicPartition,
        spec: OffsetSpec,
    ) -> Result<ListedOffset, Error> {
        only(self.list_offsets(&[(partition, spec)]).await)
    }

    /// Offsets of partitions, asked of their leaders; one result per item. Give each partition once.
    pub async fn list_offsets(
        &self,
        wanted: &[(TopicPartition, OffsetSpec)],
    ) -> Vec<Result<ListedOffset, Error>> {
        let wanted = wanted.to_vec();
        self.run_each(wanted.len(), |core, deadline| {
            leaders(core, deadline, ApiKey::ListOffsets, wanted, |core, node, items| async move {
                let mut answers = Answers::new();
                // The isolation is one per request.
                for isolation in [0, 1] {
                    let part = |it: &&Item<OffsetSpec>| it.value.isolation() == isolation;
                    let part: Vec<_> = items.iter().filter(part).cloned().collect();
                    if part.is_empty() {
                        continue;
                    }
                    let needs = part.iter().map(|it| it.value.needs()).max().unwrap_or(0);
                    let connection = core.connection(node, Lane::General).await?;
                    let version = connection.version_of::<ListOffsetsRequest>(None)?;
                    if version < needs {
                        return Err(connection.too_old::<ListOffsetsRequest>((needs, i16::MAX)));
                    }
                    let request = list_request(&part, isolation);
                    let timeout = core.config().request_timeout;
                    let answer = connection.start_in(version, &request, timeout)?.await?;
                    for topic in answer.topics {
                        for partition in topic.partitions {
                            let at =
                                TopicPartition::new(topic.name.as_str(), partition.partition_index);
                            answers.insert(at, listed(&partition));
                        }
                    }
                }
                Ok(answers)
            })
        })
        .await
        .into_iter()
        .map(|it| it.map_err(|error| error.for_feature("finding an offset by time")))
        .collect()
    }

    /// Deletes the records before an offset (-1: all up to the high watermark), and gives where each log
    /// begins now (Kafka 0.11); one result per item.
    pub async fn delete_records(
        &self,
        before: &[(TopicPartition, i64)],
    ) -> Vec<Result<i64, Error>> {
        let before = before.to_vec();
        self.run_each(before.len(), |core, deadline| {
            leaders(core, deadline, ApiKey::DeleteRecords, before, |core, node, items| async move {
                let partition = |it: &Item<i64>| DeleteRecordsPartition {
                    partition_index: it.at.partition,
                    offset: it.value,
                };
                let topics = by_topic(&items, |it| &it.at, partition);
                let topics = topics
                    .into_iter()
                    .map(|(name, partitions)| DeleteRecordsTopic { name, partitions })
                    .collect();
                let timeout_ms = super::topics::broker_timeout(&core);
                let request = DeleteRecordsRequest { topics, timeout_ms };
                let timeout = core.config().request_timeout;
                let (answer, _) = core.send(node, Lane::General, &request, None, timeout).await?;
                let mut answers = Answers::new();
                for topic in answer.topics {
                    for it in topic.partitions {
                        let at = TopicPartition::new(topic.name.as_str(), it.partition_index);
                        answers
                            .insert(at, ErrorCode(it.error_code).ok().map(|()| it.low_watermark));
                    }
                }
                Ok(answers)
            })
        })
        .await
        .into_iter()
        .map(|it| it.map_err(|error| error.for_feature("deleting records")))
        .collect()
    }
}

fn list_request(items: &[Item<OffsetSpec>], isolation_level: i8) -> ListOffsetsRequest {
    let partition = |it: &Item<OffsetSpec>| ListOffsetsPartition {
        partition_index: it.at.partition,
        current_leader_epoch: it.leader_epoch,
        timestamp: it.value.timestamp(),
        ..ListOffsetsPartition::default()
    };
    let topics = by_topic(items, |it| &it.at, partition).into_iter();
    let topics = topics.map(|(name, partitions)| ListOffsetsTopic { name, partitions }).collect();
    ListOffsetsRequest { replica_id: -1, isolation_level, topics, ..ListOffsetsRequest::default() }
}

fn listed(it: &ListOffsetsPartitionResponse) -> Result<ListedOffset, ErrorCode> {
    ErrorCode(it.error_code).ok()?;
    // Version 0 gives a list of at most one.
    let offset =
        if it.offset >= 0 { Some(it.offset) } else { it.old_style_offsets.first().copied() };
    Ok(ListedOffset {
        offset,
        timestamp_ms: (it.timestamp >= 0).then_some(it.timestamp),
        leader_epoch: (it.leader_epoch >= 0).then_some(it.leader_epoch),
    })
}
