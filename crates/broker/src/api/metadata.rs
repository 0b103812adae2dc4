//! Metadata: nodes, topics, who leads what. Topics are never made by asking for them.

use std::sync::Arc;

use roka_protocol::{
    ErrorCode, Uuid,
    messages::metadata::{
        MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
        MetadataResponsePartition, MetadataResponseTopic,
    },
};

use super::{Handler, RequestContext};
use crate::{
    node::Node,
    state::{Shared, Topic},
};

impl Handler for MetadataRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> MetadataResponse {
        let shared = &*node.shared;
        // Version 0 has no null: there an empty list asks for all topics.
        let asked = self.topics.filter(|it| ctx.version > 0 || !it.is_empty());
        if let Some(old) = shared.lies.metadata() {
            return as_of(&old, asked);
        }
        let topics = match asked {
            None => shared.topics.all().iter().map(|it| describe(shared, it)).collect(),
            Some(topics) => topics.into_iter().map(|it| find(shared, it)).collect(),
        };
        MetadataResponse { topics, ..cluster(shared) }
    }

    fn refuse(&self, error: ErrorCode) -> MetadataResponse {
        let topics = self.topics.iter().flatten();
        MetadataResponse {
            topics: topics.map(|it| failed(it.name.clone(), it.topic_id, error)).collect(),
            error_code: error.0,
            ..Default::default()
        }
    }
}

/// All that a request for all topics is answered with now.
pub(crate) fn snapshot(shared: &Shared) -> MetadataResponse {
    let topics = shared.topics.all().iter().map(|it| describe(shared, it)).collect();
    MetadataResponse { topics, ..cluster(shared) }
}

/// The answer as it was when `old` was all there was to say.
fn as_of(old: &MetadataResponse, asked: Option<Vec<MetadataRequestTopic>>) -> MetadataResponse {
    let find = |asked: MetadataRequestTopic| {
        let same = |it: &&MetadataResponseTopic| match &asked.name {
            Some(name) => it.name.as_ref() == Some(name),
            None => it.topic_id == asked.topic_id,
        };
        old.topics.iter().find(same).cloned().unwrap_or_else(|| {
            failed(asked.name, asked.topic_id, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        })
    };
    match asked {
        None => old.clone(),
        Some(topics) => {
            MetadataResponse { topics: topics.into_iter().map(find).collect(), ..old.clone() }
        }
    }
}

fn cluster(shared: &Shared) -> MetadataResponse {
    MetadataResponse {
        brokers: brokers(shared),
        cluster_id: Some(shared.cluster_id.clone()),
        controller_id: shared.controller(),
        ..Default::default()
    }
}

fn brokers(shared: &Shared) -> Vec<MetadataResponseBroker> {
    let broker = |node: Arc<crate::state::NodeInfo>| MetadataResponseBroker {
        node_id: node.id,
        host: node.address().ip().to_string(),
        port: i32::from(node.address().port()),
        rack: node.rack.clone(),
    };
    shared.live_nodes().filter(|it| !it.is_hidden()).map(broker).collect()
}

fn find(shared: &Shared, asked: MetadataRequestTopic) -> MetadataResponseTopic {
    match asked.name {
        Some(name) if asked.topic_id.is_zero() => match shared.topics.by_name(&name) {
            Some(topic) => describe(shared, &topic),
            None => failed(Some(name), Uuid::ZERO, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        },
        name => match shared.topics.by_id(asked.topic_id) {
            Some(topic) => describe(shared, &topic),
            None => failed(name, asked.topic_id, ErrorCode::UNKNOWN_TOPIC_ID),
        },
    }
}

fn failed(name: Option<String>, topic_id: Uuid, error: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic { error_code: error.0, name, topic_id, ..Default::default() }
}

fn describe(shared: &Shared, topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic.partitions();
    MetadataResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        partitions: partitions.iter().map(|it| partition(shared, it)).collect(),
        ..Default::default()
    }
}

fn partition(shared: &Shared, partition: &crate::state::Partition) -> MetadataResponsePartition {
    let leadership = partition.leadership();
    let error = match leadership.leader {
        Some(_) => ErrorCode::NONE,
        None => ErrorCode::LEADER_NOT_AVAILABLE,
    };
    let offline = leadership.replicas.iter().copied().filter(|&id| !shared.is_live(id));
    MetadataResponsePartition {
        error_code: error.0,
        partition_index: partition.index,
        leader_id: leadership.leader.unwrap_or(-1),
        leader_epoch: leadership.epoch,
        offline_replicas: offline.collect(),
        replica_nodes: leadership.replicas,
        isr_nodes: leadership.isr,
    }
}
