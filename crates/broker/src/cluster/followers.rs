//! Followers that lag, leaders that send consumers to them, and elections that lose records.

use super::Cluster;
use crate::{
    Error, Follower,
    state::{lock, now_ms},
};

impl Cluster {
    /// From now on the node shows only so much of the partition to consumers that fetch from it as a follower
    /// (KIP-392, Fetch from version 11 on). An offset outside is `OFFSET_OUT_OF_RANGE` there. Nothing while it leads;
    /// over when it becomes leader. Calling it again moves the bounds, and wakes who waits.
    pub fn set_follower(
        &self,
        topic: &str,
        partition: i32,
        node: i32,
        follower: Follower,
    ) -> Result<(), Error> {
        self.info(node)?;
        let partition = self.partition(topic, partition)?;
        let mut state = partition.lock();
        if state.leadership.leader != Some(node) {
            state.followers.insert(node, follower);
            state.wake();
        }
        Ok(())
    }

    /// The node's follower holds all that the leader has: the default.
    pub fn catch_up(&self, topic: &str, partition: i32, node: i32) -> Result<(), Error> {
        self.info(node)?;
        let partition = self.partition(topic, partition)?;
        let mut state = partition.lock();
        state.followers.remove(&node);
        state.wake();
        Ok(())
    }

    /// The leader of the partition sends every consumer that says a rack to this node, which need not be a replica
    /// nor exist; `None` has it go by racks again.
    pub fn name_replica(
        &self,
        topic: &str,
        partition: i32,
        node: Option<i32>,
    ) -> Result<(), Error> {
        let partition = self.partition(topic, partition)?;
        let mut state = partition.lock();
        state.named_replica = node;
        state.wake();
        Ok(())
    }

    /// Makes a live follower the leader although it lacks records: what its [`Follower`] does not hold is lost, as after
    /// an unclean election. Gives the offset at which the log ends now.
    pub fn elect_unclean(&self, topic: &str, partition: i32, node: i32) -> Result<i64, Error> {
        let found = self.partition(topic, partition)?;
        {
            // A compaction that is under way would bring back what is cut off.
            let _compacting = lock(&found.compacting);
            let mut state = found.lock();
            let upto = state.followers.get(&node).map(|it| it.high_watermark);
            if let Some(upto) = upto {
                let what = format!("topic {topic} partition {partition} cannot be truncated");
                state.log.truncate_back(upto, now_ms()).map_err(Error::io(what))?;
            }
            let end = state.log.end();
            for follower in state.followers.values_mut() {
                follower.high_watermark = follower.high_watermark.min(end);
            }
        }
        self.move_leader(topic, partition, node)?;
        self.end_offset(topic, partition)
    }
}
