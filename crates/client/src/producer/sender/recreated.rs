//! A topic that was deleted and created again while it is written to.
//!
//! What was on its way is reported, not sent to the new topic: nobody said that it belongs there. Brokers that name topics
//! by id (Produce v13) refuse it anyway; for the others the next epoch keeps what arrives late apart from what follows.

use std::sync::atomic::Ordering;

use roka_protocol::Uuid;

use super::Sender;
use crate::producer::error::ProduceError;

impl Sender {
    /// Gives up what was sent or collected for the topic of that index, whose id was `was`.
    pub(super) fn recreated(&mut self, topic: usize, was: Uuid) {
        let (state, is) = (self.topics[topic].state.clone(), self.topics[topic].id);
        tracing::warn!(topic = %state.name, %was, %is, "the topic was created again");
        let known = self.core.metadata();
        let partitions = known.topic(&state.name).map_or(0, |it| it.partitions.len());
        state.recreated(partitions as i32);
        for (partition, index) in self.topics[topic].parts.clone().into_iter().enumerate() {
            self.collect(index, true);
            let part = &mut self.parts[index as usize];
            if partition >= partitions {
                part.led_by(None);
            }
            let mut dropped: Vec<_> =
                part.sequencer.give_up(|_| true).into_iter().map(|(batch, _)| batch).collect();
            dropped.extend(part.queue.drain(..));
            part.slot.leaderless.store(part.leader.is_none(), Ordering::Relaxed);
            for batch in dropped {
                let slot = &self.parts[index as usize].slot;
                let error = ProduceError::TopicRecreated {
                    topic: slot.topic.clone(),
                    partition: slot.partition,
                    records: batch.count(),
                    was,
                    is,
                };
                self.finish(index, batch, Err(error));
            }
        }
    }
}
