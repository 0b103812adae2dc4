//! One partition as the sender sees it: what waits, what is in flight, where it goes and when.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::NodeId;
use crate::producer::batch::Batch;
use crate::producer::error::Obstacle;
use crate::producer::sequencer::{Identity, Next, Sequencer};
use crate::producer::shared::Shared;
use crate::producer::slot::Slot;
use crate::retry::Backoff;

/// A leader and the number of its leadership.
pub(crate) type Leader = (NodeId, i32);

#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) slot: Arc<Slot>,
    /// Index of its topic.
    pub(crate) topic: usize,
    pub(crate) sequencer: Sequencer<Batch>,
    /// Closed batches that were never sent.
    pub(crate) queue: VecDeque<Batch>,
    /// When the open batch was opened.
    pub(crate) opened: Option<Instant>,
    pub(crate) leader: Option<Leader>,
    /// Nothing is sent before, unless something newer becomes known.
    pub(crate) retry_at: Option<Instant>,
    pub(crate) backoff: Backoff,
    pub(crate) obstacle: Option<Obstacle>,
    /// It is on the list of those that have something to do.
    pub(crate) busy: bool,
}

impl Part {
    pub(crate) fn new(
        slot: Arc<Slot>,
        topic: usize,
        limit: usize,
        identity: Option<Identity>,
        backoff: Backoff,
    ) -> Self {
        Self {
            slot,
            topic,
            sequencer: Sequencer::new(limit, identity),
            queue: VecDeque::new(),
            opened: None,
            leader: None,
            retry_at: None,
            backoff,
            obstacle: None,
            busy: false,
        }
    }

    /// Whether there is nothing to send and nothing unanswered.
    pub(crate) fn is_idle(&self) -> bool {
        self.opened.is_none()
            && self.queue.is_empty()
            && self.sequencer.is_empty()
            && self.sequencer.wanted().is_none()
    }

    /// The leader is another, or none: news, so that nothing is waited for.
    pub(crate) fn led_by(&mut self, leader: Option<Leader>) {
        if leader == self.leader {
            return;
        }
        self.leader = leader;
        self.slot.leaderless.store(leader.is_none(), Ordering::Relaxed);
        self.retry_at = None;
        if let Some((node, _)) = leader {
            self.sequencer.moved(node.0);
        }
    }

    /// A sending to `tried` failed: waits, unless something newer is known.
    pub(crate) fn back_off(&mut self, tried: Leader, until: impl FnOnce(&mut Backoff) -> Instant) {
        if self.leader == Some(tried) {
            self.retry_at = Some(until(&mut self.backoff));
        }
    }

    /// A batch was delivered.
    pub(crate) fn progressed(&mut self) {
        self.backoff.reset();
        self.retry_at = None;
        self.obstacle = None;
    }

    /// Takes what was closed; with `open`, also the open batch. How many batches are new.
    pub(crate) fn collect(&mut self, shared: &Shared, open: bool, generation: u64) -> usize {
        let found = self.slot.collect(shared, open, generation, &mut self.queue);
        self.opened = found.opened;
        found.new
    }

    /// Whether the open batch has waited long enough.
    fn is_ripe(&self, now: Instant, linger: Duration) -> bool {
        self.opened.is_some_and(|opened| opened + linger <= now)
    }

    /// What to send now, if its leader takes it.
    pub(crate) fn ready(&self, now: Instant, linger: Duration) -> Next {
        if self.leader.is_none() || self.retry_at.is_some_and(|at| at > now) {
            return Next::Nothing;
        }
        match self.sequencer.next() {
            Next::Fresh if self.queue.is_empty() && !self.is_ripe(now, linger) => Next::Nothing,
            next => next,
        }
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn due(
        &self,
        now: Instant,
        linger: Duration,
        delivery: Duration,
    ) -> Option<Instant> {
        let retry = self.retry_at.filter(|at| *at > now);
        let waits = self.queue.is_empty() && self.sequencer.next() == Next::Fresh;
        let ripe = self.opened.filter(|_| waits && self.leader.is_some()).map(|at| at + linger);
        let given_up = self.oldest().map(|at| at + delivery);
        [retry, ripe.filter(|at| *at > now), given_up].into_iter().flatten().min()
    }

    /// When its oldest batch was opened.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let sent = self.sequencer.oldest().map(Batch::opened);
        sent.or_else(|| self.queue.front().map(Batch::opened)).or(self.opened)
    }
}
