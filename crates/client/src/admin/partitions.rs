//! Leaders and replicas of partitions: elections and moves.

use std::collections::HashMap;

use roka_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use roka_protocol::messages::elect_leaders::{ElectLeadersRequest, TopicPartitions};
use roka_protocol::messages::list_partition_reassignments::ListPartitionReassignmentsRequest;
use roka_protocol::{ApiKey, ErrorCode};

use super::group_offsets::by_topic;
use super::topics::broker_timeout;
use super::{Admin, judged};
use crate::connection::Lane;
use crate::router::Target;
use crate::{Error, NodeId, Subject, TopicPartition};

/// A move of a partition that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reassignment {
    /// The partition.
    pub partition: TopicPartition,
    /// Its replicas now, the new ones included.
    pub replicas: Vec<NodeId>,
    /// Those that are being added.
    pub adding: Vec<NodeId>,
    /// Those that will be removed.
    pub removing: Vec<NodeId>,
}

impl Admin {
    /// Makes the preferred replica, the first one, the leader again (Kafka 2.2); one result per partition:
    /// whether that changed anything.
    pub async fn elect_preferred_leaders(
        &self,
        partitions: &[TopicPartition],
    ) -> Vec<Result<bool, Error>> {
        let partitions = partitions.to_vec();
        self.run_each(partitions.len(), |core, deadline| async move {
            let topics = by_topic(&partitions, |at| at, |at| at.partition).into_iter();
            let topics: Vec<_> =
                topics.map(|(topic, partitions)| TopicPartitions { topic, partitions }).collect();
            let request = |_| ElectLeadersRequest {
                topic_partitions: Some(topics.clone()),
                timeout_ms: broker_timeout(&core),
                ..ElectLeadersRequest::default()
            };
            let route = core.route(Target::Controller, Lane::General, deadline, request);
            let answer = route.await.map_err(|it| it.for_feature("electing leaders"))?;
            let api = ApiKey::ElectLeaders;
            judged(api, Subject::Cluster, answer.error_code, None)?;
            let mut found = HashMap::new();
            for topic in answer.replica_election_results {
                for it in topic.partition_result {
                    let at = TopicPartition::new(topic.topic.as_str(), it.partition_id);
                    found.insert(at, (it.error_code, it.error_message));
                }
            }
            let result = |at: &TopicPartition| {
                let subject = subject(at);
                match found.remove(at) {
                    Some((code, _)) if code == ErrorCode::ELECTION_NOT_NEEDED.0 => Ok(false),
                    Some((code, detail)) => judged(api, subject, code, detail).map(|()| true),
                    None => Err(Error::Missing { api, subject }),
                }
            };
            Ok(partitions.iter().map(result).collect())
        })
        .await
    }

    /// Moves partitions to other brokers, the preferred leader first; `None` cancels a move (Kafka 2.4). The
    /// moves go on after this returns: see [`list_reassignments`](Self::list_reassignments).
    pub async fn reassign_partitions(
        &self,
        moves: &[(TopicPartition, Option<Vec<NodeId>>)],
    ) -> Vec<Result<(), Error>> {
        let moves = moves.to_vec();
        self.run_each(moves.len(), |core, deadline| async move {
            let partition = |(at, nodes): &(TopicPartition, Option<Vec<NodeId>>)| {
                let replicas = nodes.as_ref().map(|it| it.iter().map(|node| node.0).collect());
                ReassignablePartition { partition_index: at.partition, replicas }
            };
            let topics = by_topic(&moves, |(at, _)| at, partition).into_iter();
            let topics: Vec<_> =
                topics.map(|(name, partitions)| ReassignableTopic { name, partitions }).collect();
            let request = |_| AlterPartitionReassignmentsRequest {
                timeout_ms: broker_timeout(&core),
                topics: topics.clone(),
                ..AlterPartitionReassignmentsRequest::default()
            };
            let route = core.route(Target::Controller, Lane::General, deadline, request);
            let answer = route.await.map_err(|it| it.for_feature("moving partitions"))?;
            let api = ApiKey::AlterPartitionReassignments;
            judged(api, Subject::Cluster, answer.error_code, answer.error_message)?;
            let mut found = HashMap::new();
            for topic in answer.responses {
                for it in topic.partitions {
                    let at = TopicPartition::new(topic.name.as_str(), it.partition_index);
                    found.insert(at, (it.error_code, it.error_message));
                }
            }
            let result = |(at, _): &(TopicPartition, _)| match found.remove(at) {
                Some((code, detail)) => judged(api, subject(at), code, detail),
                None => Err(Error::Missing { api, subject: subject(at) }),
            };
            Ok(moves.iter().map(result).collect())
        })
        .await
    }

    /// The moves of partitions that are under way (Kafka 2.4).
    pub async fn list_reassignments(&self) -> Result<Vec<Reassignment>, Error> {
        self.run(|core, deadline| async move {
            let request = |_| ListPartitionReassignmentsRequest {
                timeout_ms: broker_timeout(&core),
                topics: None,
            };
            let route = core.route(Target::Controller, Lane::General, deadline, request);
            let answer = route.await.map_err(|it| it.for_feature("moving partitions"))?;
            let api = ApiKey::ListPartitionReassignments;
            judged(api, Subject::Cluster, answer.error_code, answer.error_message)?;
            let nodes = |ids: Vec<i32>| ids.into_iter().map(NodeId).collect();
            let mut moves = Vec::new();
            for topic in answer.topics {
                for it in topic.partitions {
                    moves.push(Reassignment {
                        partition: TopicPartition::new(topic.name.as_str(), it.partition_index),
                        replicas: nodes(it.replicas),
                        adding: nodes(it.adding_replicas),
                        removing: nodes(it.removing_replicas),
                    });
                }
            }
            Ok(moves)
        })
        .await
    }
}

fn subject(at: &TopicPartition) -> Subject {
    Subject::Partition(at.topic.clone(), at.partition)
}
