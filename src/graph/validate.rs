//! What the types of a graph cannot hold.

use std::collections::HashSet;

use super::{GroupGraph, Kind};
use crate::{
    GraphError, Key,
    topic::{loop_topic, table_topic},
};

/// Kafka's limit on the length of a topic name.
const TOPIC_NAME_BYTES_MAX: usize = 249;
/// The longest of the suffixes that make a topic name from a group's.
const SUFFIX_BYTES: usize = "-table".len();

impl<K: Key, V: 'static> GroupGraph<K, V> {
    /// Checks the rules that the module names. A processor and a tester do this when they are made.
    pub fn validate(&self) -> Result<(), GraphError> {
        let group = || self.group.name.to_string();
        if !is_name(&self.group.name, TOPIC_NAME_BYTES_MAX - SUFFIX_BYTES) {
            return Err(GraphError::GroupName { name: group() });
        }
        if self.inputs.is_empty() {
            return Err(GraphError::NoInput { group: group() });
        }
        self.validate_loop()?;
        let mut consumed = HashSet::new();
        for input in &self.inputs {
            if !input.is_loop {
                self.validate_topic(&input.topic, "input")?;
            }
            if !consumed.insert(&input.topic) {
                let topic = input.topic.clone();
                return Err(GraphError::ConsumedTwice { group: group(), topic });
            }
        }
        for (edge, kind) in [("join", Kind::Join), ("lookup", Kind::Lookup)] {
            let mut tables = HashSet::new();
            for table in self.edges.of(kind) {
                self.validate_topic(&table.topic, edge)?;
                if !tables.insert(&table.topic) {
                    let topic = table.topic.clone();
                    return Err(GraphError::TableTwice { group: group(), topic, edge });
                }
            }
        }
        let looped = self.loops.min(1);
        let mut outputs = self.edges.of(Kind::Output).iter();
        let own_loop = loop_topic(&self.group.name);
        let listed = outputs.clone().filter(|output| output.topic == own_loop).count();
        if listed > looped {
            return Err(GraphError::OwnTopic { group: group(), topic: own_loop, edge: "output" });
        }
        outputs
            .by_ref()
            .filter(|output| output.topic != own_loop)
            .try_for_each(|output| self.validate_topic(&output.topic, "output"))
    }

    fn validate_loop(&self) -> Result<(), GraphError> {
        let group = || self.group.name.to_string();
        if self.loops > 1 {
            return Err(GraphError::TwoLoops { group: group() });
        }
        if self.loops == 1 && !self.inputs.iter().any(|input| input.is_loop) {
            return Err(GraphError::LoopWithoutCallback { group: group() });
        }
        Ok(())
    }

    fn validate_topic(&self, topic: &str, edge: &'static str) -> Result<(), GraphError> {
        let (group, topic) = (self.group.name.to_string(), topic.to_owned());
        if !is_name(&topic, TOPIC_NAME_BYTES_MAX) {
            return Err(GraphError::TopicName { group, topic });
        }
        if topic == table_topic(&group) || topic == loop_topic(&group) {
            return Err(GraphError::OwnTopic { group, topic, edge });
        }
        Ok(())
    }
}

/// Kafka's rule for topic names.
fn is_name(name: &str, bytes_max: usize) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty()
        && name.len() <= bytes_max
        && name != "."
        && name != ".."
        && name.bytes().all(legal)
}
