//! Makes the next snapshot from the last one and an answer or a hint. Pure; the rules are those of the
//! parent module.

use std::collections::HashMap;
use std::sync::Arc;

use roka_protocol::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use roka_protocol::{ErrorCode, Uuid};

use super::{Broker, Metadata, NodeId, Partition, Topic};
use crate::Address;

/// What came in.
#[derive(Debug)]
pub(crate) enum Update {
    /// A Metadata response; topics that it does not name stay as they are.
    Answer(MetadataResponse),
    /// Leaders and addresses learnt from another response (KIP-951, `FindCoordinator`).
    Hints { leaders: Vec<Hint>, brokers: Vec<Broker> },
    /// Topics that nobody tracks any more.
    Forget(Vec<Arc<str>>),
    /// The brokers known are not to be asked any more (KIP-1102).
    Rebootstrap,
}

/// A partition's leader as named by a Produce or Fetch response (KIP-951).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hint {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) leader: NodeId,
    pub(crate) leader_epoch: i32,
}

impl Metadata {
    /// The snapshot after `update`; none if the update says nothing (an answer without brokers, a hint
    /// that is not newer). An answer or a hint gives a new generation, `changed` only moves with news.
    pub(crate) fn after(&self, update: Update) -> Option<Self> {
        // What only takes away is nothing that anybody waits for.
        let brings = matches!(update, Update::Answer(_) | Update::Hints { .. });
        let generation = self.generation + u64::from(brings);
        let mut next = Self { generation, ..self.clone() };
        match update {
            Update::Answer(answer) => {
                if !next.answer(answer) {
                    return None;
                }
            }
            Update::Hints { leaders, brokers } => {
                for broker in brokers {
                    next.brokers.insert(broker.id, broker);
                }
                next.hints(leaders);
                if next.same_content(self) {
                    // Who was led astray must not take it for something newer.
                    return None;
                }
            }
            Update::Rebootstrap => next.brokers.clear(),
            Update::Forget(topics) => {
                for topic in topics {
                    next.topics.remove(&topic);
                }
            }
        }
        let news = !next.same_content(self);
        if news {
            next.changed = next.generation;
        }
        Some(next)
    }

    fn same_content(&self, other: &Self) -> bool {
        self.controller == other.controller
            && self.cluster_id == other.cluster_id
            && self.brokers == other.brokers
            && self.topics == other.topics
    }

    fn answer(&mut self, answer: MetadataResponse) -> bool {
        let brokers: HashMap<_, _, _> =
            answer.brokers.into_iter().filter_map(broker).map(|it| (it.id, it)).collect();
        if brokers.is_empty() {
            return false;
        }
        self.brokers = brokers;
        self.controller = NodeId::known(answer.controller_id);
        if let Some(id) = answer.cluster_id {
            self.cluster_id = Some(id.into());
        }
        for topic in answer.topics {
            self.topic_answer(topic);
        }
        true
    }

    fn topic_answer(&mut self, answer: MetadataResponseTopic) {
        // Asked by name, so a topic without one is an id that nobody asked for.
        let Some(name) = answer.name.as_deref() else { return };
        let old = self.topics.get(name);
        let name = old.map_or_else(|| Arc::from(name), |old| old.name.clone());
        let topic = merged_topic(name, old, answer);
        if old.is_none_or(|old| **old != topic) {
            self.topics.insert(topic.name.clone(), Arc::new(topic));
        }
    }

    fn hints(&mut self, leaders: Vec<Hint>) {
        for hint in leaders {
            if !self.brokers.contains_key(&hint.leader) {
                continue;
            }
            let Some(topic) = self.topics.get_mut(&hint.topic) else { continue };
            let known = topic.partition(hint.partition);
            if known.is_none_or(|known| hint.leader_epoch <= known.leader_epoch) {
                continue;
            }
            let partition = &mut Arc::make_mut(topic).partitions[hint.partition as usize];
            partition.leader = Some(hint.leader);
            partition.leader_epoch = hint.leader_epoch;
            partition.error = ErrorCode::NONE;
        }
    }
}

fn broker(answer: MetadataResponseBroker) -> Option<Broker> {
    let port = u16::try_from(answer.port).ok().filter(|port| *port > 0)?;
    Some(Broker {
        id: NodeId::known(answer.node_id)?,
        address: Address::new(answer.host, port),
        rack: answer.rack.map(Arc::from),
    })
}

fn merged_topic(name: Arc<str>, old: Option<&Arc<Topic>>, answer: MetadataResponseTopic) -> Topic {
    let error = ErrorCode::from(answer.error_code);
    let recreated = |old: &Topic| {
        let none = Uuid::default();
        old.id != none && answer.topic_id != none && old.id != answer.topic_id
    };
    let old = old.filter(|old| !recreated(old));
    if error != ErrorCode::NONE {
        return match old {
            Some(old) => Topic { error, ..Topic::clone(old) },
            None => Topic {
                name,
                id: answer.topic_id,
                partitions: Vec::new(),
                error,
                internal: answer.is_internal,
            },
        };
    }
    let known = old.map_or(&[][..], |old| &old.partitions);
    let same_topic = old.is_some_and(|old| old.id != Uuid::default() && old.id == answer.topic_id);
    Topic {
        name,
        id: answer.topic_id,
        partitions: merged_partitions(known, same_topic, answer.partitions),
        error,
        internal: answer.is_internal,
    }
}

/// The partitions by number. One that the answer leaves out is kept if it is surely the same topic (its
/// partitions never get fewer), else it counts as leaderless.
fn merged_partitions(
    known: &[Partition],
    same_topic: bool,
    answer: Vec<MetadataResponsePartition>,
) -> Vec<Partition> {
    // A number beyond the count of partitions is a lie; it must not make us allocate.
    let count = answer.len().max(if same_topic { known.len() } else { 0 });
    let mut merged: Vec<_> = (0..count)
        .map(|index| match known.get(index) {
            Some(known) if same_topic => known.clone(),
            _ => Partition {
                leader: None,
                leader_epoch: -1,
                replicas: Arc::new([]),
                isr: Arc::new([]),
                error: ErrorCode::LEADER_NOT_AVAILABLE,
            },
        })
        .collect();
    for partition in answer {
        let Ok(index) = usize::try_from(partition.partition_index) else { continue };
        let known = known.get(index);
        if let Some(slot) = merged.get_mut(index) {
            *slot = merged_partition(known, partition);
        }
    }
    merged
}

fn merged_partition(known: Option<&Partition>, answer: MetadataResponsePartition) -> Partition {
    let nodes = |ids: Vec<i32>| ids.into_iter().map(NodeId).collect::<Arc<[_]>>();
    let epoch = answer.leader_epoch;
    match known {
        // Older than what is known: from a broker that is behind.
        Some(known) if epoch >= 0 && epoch < known.leader_epoch => known.clone(),
        _ => Partition {
            leader: NodeId::known(answer.leader_id),
            leader_epoch: if answer.leader_id < 0 {
                known.map_or(epoch, |known| epoch.max(known.leader_epoch))
            } else {
                epoch
            },
            replicas: nodes(answer.replica_nodes),
            isr: nodes(answer.isr_nodes),
            error: ErrorCode::from(answer.error_code),
        },
    }
}

#[cfg(test)]
mod tests;
