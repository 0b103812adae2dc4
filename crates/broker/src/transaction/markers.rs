//! The end of a transaction, written into a partition.

use std::io;

use roka_protocol::records::{ControlBatch, ControlRecord, encode_control_batch};

use super::machine::{Identity, Outcome};
use crate::{
    log::{Rolling, Stamp},
    state::{Mode, PartitionState, Shared, Topic, now_ms},
};

/// What a marker says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marker {
    pub(crate) producer: Identity,
    pub(crate) outcome: Outcome,
    pub(crate) coordinator_epoch: i32,
}

impl Marker {
    /// Appends the marker to a partition of whoever leads it, and wakes those who wait for committed records. The
    /// caller has checked that the partition is led.
    pub(crate) fn append(self, topic: &Topic, state: &mut PartitionState) -> io::Result<()> {
        let config = topic.config();
        let (now_ms, coordinator_epoch) = (now_ms(), self.coordinator_epoch);
        let record = match self.outcome {
            Outcome::Commit => ControlRecord::Commit { coordinator_epoch },
            Outcome::Abort => ControlRecord::Abort { coordinator_epoch },
        };
        let place = ControlBatch {
            base_offset: 0,
            leader_epoch: state.leadership.epoch,
            timestamp_ms: now_ms,
            producer_id: self.producer.id,
            producer_epoch: self.producer.epoch,
        };
        let batch = encode_control_batch(place, record)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let stamp =
            Stamp { leader_epoch: state.leadership.epoch, now_ms, append_time: config.append_time };
        let rolling =
            Rolling { segment_bytes: config.segment_bytes, segment_ms: config.segment_ms };
        state.log.append(&batch, stamp, rolling)?;
        state.wake();
        Ok(())
    }

    /// Writes the marker for the coordinator: `Ok(false)` while nobody leads the partition. One that was deleted needs
    /// no marker.
    pub(super) fn write(self, shared: &Shared, topic: &str, partition: i32) -> io::Result<bool> {
        let Some(topic) = shared.topics.by_name(topic) else { return Ok(true) };
        let Some(partition) = topic.partition(partition) else { return Ok(true) };
        let mut state = partition.lock();
        if state.deleted {
            return Ok(true);
        }
        let leader = state.leadership.leader.and_then(|id| shared.node(id));
        if leader.is_none_or(|it| it.mode() != Mode::Running) {
            return Ok(false);
        }
        let Identity { id, epoch } = self.producer;
        if state.log.producers.check_marker(id, epoch, i32::MAX).is_err() {
            // A newer instance has written here already, so the transaction has its end.
            return Ok(true);
        }
        self.append(&topic, &mut state).map(|()| true)
    }
}
