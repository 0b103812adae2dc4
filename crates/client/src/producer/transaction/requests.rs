//! What the machine asks, as requests to the coordinators, and their answers as it takes them in.
//!
//! The router finds the coordinators, and finds them again when they moved; it repeats what was refused for that, until
//! the time for a call is up. Everything else is the machine's to judge. Versions are those of the transaction's level:
//! a broker tells by them who announces partitions (KIP-890).

use std::sync::Arc;
use std::time::Duration;

use roka_protocol::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use roka_protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
};
use roka_protocol::messages::end_txn::EndTxnRequest;
use roka_protocol::messages::init_producer_id::InitProducerIdRequest;
use roka_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use roka_protocol::{ErrorCode, Request};

use super::ask::{Answer, Ask, Level};
use super::offsets::Offsets;
use super::verdict::{self, Step};
use crate::connection::Lane;
use crate::coordinator::CoordinatorKind;
use crate::core::Core;
use crate::outcome::Outcome;
use crate::producer::sequencer::Identity;
use crate::retry::Deadline;
use crate::router::Target;
use crate::{Error, NodeId};

/// Since this version `InitProducerId` raises an epoch (KIP-360, Kafka 2.5).
const FIRST_WITH_BUMP: i16 = 3;
/// Since this version `TxnOffsetCommit` says who the member is (KIP-447, Kafka 2.5).
const FIRST_WITH_MEMBER: i16 = 3;
/// The first version of `EndTxn`, and of `TxnOffsetCommit`, of level 2.
const FIRST_OF_LEVEL_2: i16 = 5;
/// The feature that tells the level.
const FEATURE: &str = "transaction.version";

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) core: Arc<Core>,
    pub(crate) id: Arc<str>,
    pub(crate) timeout: Duration,
}

/// A partition by name.
pub(crate) type Named = (Arc<str>, i32);

impl Caller {
    /// Asks; `named` are the names of the partitions that it is about.
    pub(crate) async fn ask(&self, ask: &Ask, named: &[Named]) -> Answer {
        let mut bumps = false;
        let answered = match ask {
            Ask::Init { current } => self.init(*current, &mut bumps).await,
            Ask::AddPartitions { identity, .. } => self.add_partitions(*identity, named).await,
            Ask::AddOffsets { identity, group } => self.add_offsets(*identity, group).await,
            Ask::CommitOffsets { identity, level, offsets } => {
                self.commit_offsets(*identity, *level, offsets).await
            }
            Ask::End { identity, level, commit } => self.end(*identity, *level, *commit).await,
        };
        match answered {
            Ok((code, identity)) => Answer { code: Ok(code), identity, bumps },
            Err(error) => Answer { code: Err(error), identity: None, bumps },
        }
    }

    async fn route<R>(
        &self,
        versions: (i16, i16),
        target: Target,
        build: impl FnMut(i16) -> R,
    ) -> Result<R::Response, Error>
    where
        R: Request<Response: Outcome>,
    {
        let deadline = Deadline::after(self.core.config().api_timeout);
        self.core.route_in(versions, target, Lane::General, deadline, build).await
    }

    fn coordinator(&self) -> Target {
        Target::Coordinator(CoordinatorKind::Transaction, self.id.clone())
    }

    async fn init(
        &self,
        current: Option<Identity>,
        bumps: &mut bool,
    ) -> Result<(ErrorCode, Option<Identity>), Error> {
        let versions = (if current.is_some() { FIRST_WITH_BUMP } else { 0 }, 5);
        let current = current.unwrap_or(Identity { id: -1, epoch: -1 });
        let build = |version| {
            *bumps = version >= FIRST_WITH_BUMP;
            InitProducerIdRequest {
                transactional_id: Some(self.id.to_string()),
                transaction_timeout_ms: self.timeout.as_millis() as i32,
                producer_id: current.id,
                producer_epoch: current.epoch,
                ..InitProducerIdRequest::default()
            }
        };
        let response = self.route(versions, self.coordinator(), build).await;
        let response = response.map_err(|error| error.for_feature("a transactional producer"))?;
        let identity = Identity { id: response.producer_id, epoch: response.producer_epoch };
        Ok((ErrorCode(response.error_code), Some(identity)))
    }

    async fn add_partitions(
        &self,
        identity: Identity,
        named: &[Named],
    ) -> Result<(ErrorCode, Option<Identity>), Error> {
        let mut topics: Vec<AddPartitionsToTxnTopic> = Vec::new();
        for (name, partition) in named {
            match topics.iter_mut().find(|it| it.name == **name) {
                Some(topic) => topic.partitions.push(*partition),
                None => topics.push(AddPartitionsToTxnTopic {
                    name: name.to_string(),
                    partitions: vec![*partition],
                }),
            }
        }
        let build = |_| AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.to_string(),
            v3_and_below_producer_id: identity.id,
            v3_and_below_producer_epoch: identity.epoch,
            v3_and_below_topics: topics.clone(),
            ..AddPartitionsToTxnRequest::default()
        };
        // Later versions are for brokers.
        let response = self.route((0, 3), self.coordinator(), build).await?;
        let results = response.results_by_topic_v3_and_below.iter();
        let codes = results.flat_map(|topic| &topic.results_by_partition);
        let codes = codes.map(|it| ErrorCode(it.partition_error_code));
        Ok((verdict::of_all(Step::AddPartitions, codes), None))
    }

    async fn add_offsets(
        &self,
        identity: Identity,
        group: &str,
    ) -> Result<(ErrorCode, Option<Identity>), Error> {
        let build = |_| AddOffsetsToTxnRequest {
            transactional_id: self.id.to_string(),
            producer_id: identity.id,
            producer_epoch: identity.epoch,
            group_id: group.into(),
        };
        let response = self.route((0, i16::MAX), self.coordinator(), build).await?;
        Ok((ErrorCode(response.error_code), None))
    }

    async fn commit_offsets(
        &self,
        identity: Identity,
        level: Level,
        offsets: &Offsets,
    ) -> Result<(ErrorCode, Option<Identity>), Error> {
        let group = &offsets.group;
        // Without the member nobody fences one that lost its partitions: rather not at all.
        let fenced = group.generation >= 0 || !group.member_id.is_empty();
        let versions = match level {
            Level::One => (if fenced { FIRST_WITH_MEMBER } else { 0 }, FIRST_OF_LEVEL_2 - 1),
            Level::Two => (FIRST_OF_LEVEL_2, FIRST_OF_LEVEL_2),
        };
        let topics = topics(offsets);
        let build = |_| TxnOffsetCommitRequest {
            transactional_id: self.id.to_string(),
            group_id: group.group_id.to_string(),
            producer_id: identity.id,
            producer_epoch: identity.epoch,
            generation_id_or_member_epoch: group.generation,
            member_id: group.member_id.clone(),
            group_instance_id: group.instance_id.as_ref().map(ToString::to_string),
            topics: topics.clone(),
        };
        let response = self.route(versions, Target::group(&group.group_id), build).await;
        let response = response
            .map_err(|error| error.for_feature("a group's offsets in a transaction (KIP-447)"))?;
        let codes = response.topics.iter().flat_map(|topic| &topic.partitions);
        let codes = codes.map(|it| ErrorCode(it.error_code));
        Ok((verdict::of_all(Step::CommitOffsets, codes), None))
    }

    async fn end(
        &self,
        identity: Identity,
        level: Level,
        commit: bool,
    ) -> Result<(ErrorCode, Option<Identity>), Error> {
        let versions = match level {
            Level::One => (0, FIRST_OF_LEVEL_2 - 1),
            Level::Two => (FIRST_OF_LEVEL_2, FIRST_OF_LEVEL_2),
        };
        let build = |_| EndTxnRequest {
            transactional_id: self.id.to_string(),
            producer_id: identity.id,
            producer_epoch: identity.epoch,
            committed: commit,
        };
        let response = self.route(versions, self.coordinator(), build).await?;
        let next = Identity { id: response.producer_id, epoch: response.producer_epoch };
        let next = (level == Level::Two && next.id >= 0 && next.epoch >= 0).then_some(next);
        Ok((ErrorCode(response.error_code), next))
    }

    /// The level of the next transaction, as its coordinator says on its connection; waits until there is one.
    pub(crate) async fn level(&self) -> Result<Level, Error> {
        let mut backoff = self.core.backoff();
        loop {
            let node = self.core.coordinator(CoordinatorKind::Transaction, &self.id).await?;
            if let Some(level) = self.level_at(node) {
                return Ok(level);
            }
            match self.core.connection(node, Lane::General).await {
                Ok(_) => {}
                Err(error) if !error.is_retriable() => return Err(error.into()),
                Err(_) => {
                    self.core.forget_coordinator(CoordinatorKind::Transaction, &self.id, node);
                    tokio::time::sleep(self.core.next_wait(&mut backoff)).await;
                }
            }
        }
    }

    /// The level if the coordinator and a connection to it are known.
    pub(crate) fn level_now(&self) -> Option<Level> {
        let known = self.core.coordinators.known(CoordinatorKind::Transaction, &self.id)?;
        self.level_at(known)
    }

    fn level_at(&self, node: NodeId) -> Option<Level> {
        let connection = self.core.connections.existing(node, Lane::General)?;
        let finalized = connection.versions()?.features().find(|(name, _)| *name == FEATURE);
        let modern =
            connection.version_of::<EndTxnRequest>(None).is_ok_and(|it| it >= FIRST_OF_LEVEL_2);
        let two = modern && finalized.is_some_and(|(_, level)| level >= 2);
        Some(if two { Level::Two } else { Level::One })
    }
}

fn topics(offsets: &Offsets) -> Vec<TxnOffsetCommitRequestTopic> {
    let mut topics: Vec<TxnOffsetCommitRequestTopic> = Vec::new();
    for (partition, position, metadata) in &offsets.positions {
        let at = topics.iter().position(|it| it.name == *partition.topic).unwrap_or_else(|| {
            topics.push(TxnOffsetCommitRequestTopic {
                name: partition.topic.to_string(),
                ..TxnOffsetCommitRequestTopic::default()
            });
            topics.len() - 1
        });
        topics[at].partitions.push(TxnOffsetCommitRequestPartition {
            partition_index: partition.partition,
            committed_offset: position.offset,
            committed_leader_epoch: position.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(metadata.clone().unwrap_or_default()),
        });
    }
    topics
}
