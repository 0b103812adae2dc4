//! `ElectLeaders`: partitions go back to their preferred leaders, or get any live one (KIP-460).

use std::sync::Arc;

use roka_protocol::{
    ErrorCode,
    messages::elect_leaders::{
        ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
    },
};

use super::{Handler, RequestContext};
use crate::{
    node::Node,
    state::{Partition, Shared},
};

const PREFERRED: i8 = 0;

impl Handler for ElectLeadersRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> ElectLeadersResponse {
        let shared = &*node.shared;
        let asked = asked(shared, &self);
        let results = asked.into_iter().map(|(topic, partitions)| {
            let result = |(index, partition): (i32, Option<Arc<Partition>>)| {
                let elected = match partition {
                    Some(partition) => elect(shared, &partition, self.election_type),
                    None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                };
                self.result(index, elected)
            };
            let partition_result = partitions.into_iter().filter_map(result).collect();
            ReplicaElectionResult { topic, partition_result }
        });
        let replica_election_results = results.collect();
        shared.save_or_warn();
        ElectLeadersResponse { replica_election_results, ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> ElectLeadersResponse {
        let topics = self.topic_partitions.iter().flatten().map(|it| ReplicaElectionResult {
            topic: it.topic.clone(),
            partition_result: it
                .partitions
                .iter()
                .map(|&partition_id| PartitionResult {
                    partition_id,
                    error_code: error.0,
                    error_message: None,
                })
                .collect(),
        });
        ElectLeadersResponse { replica_election_results: topics.collect(), ..Default::default() }
    }
}

/// Extends the request with what an answer needs.
trait Answer {
    fn result(&self, index: i32, elected: Result<(), ErrorCode>) -> Option<PartitionResult>;
}

impl Answer for ElectLeadersRequest {
    /// Asked for all partitions, those that needed no election are left out, as in Kafka.
    fn result(&self, index: i32, elected: Result<(), ErrorCode>) -> Option<PartitionResult> {
        let error = elected.err().unwrap_or(ErrorCode::NONE);
        if self.topic_partitions.is_none() && error == ErrorCode::ELECTION_NOT_NEEDED {
            return None;
        }
        let error_message = (error != ErrorCode::NONE).then(|| error.to_string());
        Some(PartitionResult { partition_id: index, error_code: error.0, error_message })
    }
}

type Asked = Vec<(String, Vec<(i32, Option<Arc<Partition>>)>)>;

fn asked(shared: &Shared, request: &ElectLeadersRequest) -> Asked {
    let Some(topics) = &request.topic_partitions else {
        let all = shared.topics.all().into_iter().map(|topic| {
            let partitions = topic.partitions();
            let partitions = partitions.iter().map(|it| (it.index, Some(it.clone())));
            (topic.name.to_string(), partitions.collect())
        });
        return all.collect();
    };
    let named = topics.iter().map(|asked| {
        let topic = shared.topics.by_name(&asked.topic);
        let find = |&index: &i32| (index, topic.as_ref().and_then(|it| it.partition(index)));
        (asked.topic.clone(), asked.partitions.iter().map(find).collect())
    });
    named.collect()
}

fn elect(shared: &Shared, partition: &Partition, kind: i8) -> Result<(), ErrorCode> {
    let mut state = partition.lock();
    let preferred = state.leadership.replicas.first().copied();
    if kind == PREFERRED {
        if state.leadership.leader == preferred {
            return Err(ErrorCode::ELECTION_NOT_NEEDED);
        }
        let live = preferred.filter(|&id| shared.is_live(id));
        let leader = live.ok_or(ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE)?;
        state.lead_by(Some(leader));
        return Ok(());
    }
    if state.leadership.leader.is_some() {
        return Err(ErrorCode::ELECTION_NOT_NEEDED);
    }
    let live = state.leadership.replicas.iter().copied().find(|&id| shared.is_live(id));
    let leader = live.ok_or(ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE)?;
    state.held_leaderless = false;
    state.lead_by(Some(leader));
    Ok(())
}
