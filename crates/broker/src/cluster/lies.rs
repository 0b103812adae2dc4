//! The cluster tells what is not so on command.

use super::Cluster;
use crate::{Error, api};

impl Cluster {
    /// All nodes answer Metadata with what is true now, until [`thaw_metadata`](Self::thaw_metadata): metadata that lags.
    pub fn freeze_metadata(&self) {
        self.shared.lies.freeze_metadata(Some(api::metadata::snapshot(&self.shared)));
    }

    /// Metadata tells the truth again.
    pub fn thaw_metadata(&self) {
        self.shared.lies.freeze_metadata(None);
    }

    /// Metadata leaves the node out, which goes on serving: a broker about to leave, or one that was just fenced. Whether
    /// it leads partitions is another matter. [`start`](Self::start) does not end it, [`unhide`](Self::unhide) does.
    pub fn hide(&self, node: i32) -> Result<(), Error> {
        self.info(node)?.set_hidden(true);
        Ok(())
    }

    /// Metadata names the node again.
    pub fn unhide(&self, node: i32) -> Result<(), Error> {
        self.info(node)?.set_hidden(false);
        Ok(())
    }

    /// `FindCoordinator` names this node for the group or transactional id, at its present address, whether it coordinates or
    /// lives or not. `None`: the truth again.
    pub fn name_coordinator(&self, group: &str, node: Option<i32>) -> Result<(), Error> {
        let named = node.map(|id| self.info(id).map(|it| (id, it.address()))).transpose()?;
        self.shared.lies.name_coordinator(group, named);
        Ok(())
    }

    /// This node counts as controller for as long as it lives. The others carry out what a controller does all the same, as
    /// brokers of Kafka since 3.3, which pass it on; [fail](Self::inject) them with `NOT_CONTROLLER` for older ones.
    pub fn move_controller(&self, node: i32) -> Result<(), Error> {
        self.info(node)?;
        self.shared.lies.move_controller(node);
        Ok(())
    }

    /// Nodes that refuse a Produce because they do not lead the partition hint at this leader and leader epoch (KIP-951), whoever leads. `None`: the
    /// truth again.
    pub fn hint_at(
        &self,
        topic: &str,
        partition: i32,
        leader: Option<(i32, i32)>,
    ) -> Result<(), Error> {
        self.partition(topic, partition)?;
        self.shared.lies.hint_at(topic, partition, leader);
        Ok(())
    }
}
