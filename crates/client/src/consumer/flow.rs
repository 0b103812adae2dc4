//! Bytes on their way from the I/O thread to the thread that reads: who has how many, and who waits for room.
//!
//! Rules:
//! - A chunk's bytes count from the moment the response is split until the chunk is dropped, wherever it is
//!   meanwhile.
//! - A partition is not asked for while it has as many bytes on their way as one answer may bring: at most two
//!   answers of a partition exist at any time.
//! - Whoever holds the fetcher back wakes it as soon as it no longer does: the fetcher says that it waits *before*
//!   it looks again, the reader gives back *before* it looks whether somebody waits (both sequentially consistent,
//!   so one of them sees the other).
//! - What was fetched before a seek or unassign carries an older era and never reaches the reader.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
};

use tokio::sync::Notify;

/// The least share of a partition in its queue, in bytes.
const SHARE_MIN: usize = 64 << 10;

/// What one queue's readers hold.
#[derive(Debug)]
pub(super) struct QueueFlow {
    max_bytes: usize,
    used: AtomicUsize,
    /// How many partitions are assigned to it.
    partitions: AtomicUsize,
    waited_for: AtomicBool,
    wake: Arc<Notify>,
}

impl QueueFlow {
    pub(super) fn new(max_bytes: usize, wake: Arc<Notify>) -> Self {
        Self {
            max_bytes,
            used: AtomicUsize::new(0),
            partitions: AtomicUsize::new(0),
            waited_for: AtomicBool::new(false),
            wake,
        }
    }

    /// One answer of a partition should not be larger, so that two of each partition fit; never above `most`.
    pub(super) fn share(&self, most: usize) -> usize {
        let partitions = self.partitions.load(SeqCst).max(1);
        (self.max_bytes / (2 * partitions)).clamp(SHARE_MIN.min(most), most)
    }

    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(SeqCst)
    }

    /// What may still come in.
    pub(super) fn room(&self) -> usize {
        self.max_bytes.saturating_sub(self.used())
    }

    /// Whether there is room; if not, the fetcher is woken when there is.
    pub(super) fn has_room(&self) -> bool {
        if self.room() > 0 {
            return true;
        }
        self.waited_for.store(true, SeqCst);
        self.room() > 0
    }
}

/// What of one partition is on its way to its reader.
#[derive(Debug)]
pub(super) struct Flow {
    queue: Arc<QueueFlow>,
    outstanding: AtomicUsize,
    /// Below this the fetcher wants to hear of it.
    limit: AtomicUsize,
    waited_for: AtomicBool,
    era: AtomicU64,
    /// Whether the last request for the partition was answered with what it has.
    answered: AtomicBool,
}

impl Flow {
    /// A partition's way into its queue; `era` is one that no other flow has.
    pub(super) fn new(queue: Arc<QueueFlow>, era: u64) -> Self {
        queue.partitions.fetch_add(1, SeqCst);
        Self {
            queue,
            outstanding: AtomicUsize::new(0),
            limit: AtomicUsize::new(0),
            waited_for: AtomicBool::new(false),
            era: AtomicU64::new(era),
            answered: AtomicBool::new(false),
        }
    }

    /// Notes whether the last request for the partition was answered with what it has.
    pub(super) fn set_answered(&self, answered: bool) {
        self.answered.store(answered, SeqCst);
    }

    pub(super) fn answered(&self) -> bool {
        self.answered.load(SeqCst)
    }

    pub(super) fn queue(&self) -> &Arc<QueueFlow> {
        &self.queue
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.load(SeqCst)
    }

    /// The number of the present era. What was fetched in another is not wanted any more.
    pub(super) fn era(&self) -> u64 {
        self.era.load(SeqCst)
    }

    pub(super) fn begin_era(&self, era: u64) {
        self.era.store(era, SeqCst);
    }

    /// Whether less than `limit` bytes are on their way; if not, the fetcher is woken when it is so.
    pub(super) fn is_below(&self, limit: usize) -> bool {
        if self.outstanding() < limit {
            return true;
        }
        self.limit.store(limit, SeqCst);
        self.waited_for.store(true, SeqCst);
        self.outstanding() < limit
    }

    /// Counts `bytes` until the credit is dropped.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Credit {
        self.outstanding.fetch_add(bytes, SeqCst);
        self.queue.used.fetch_add(bytes, SeqCst);
        Credit { flow: self.clone(), bytes }
    }

    fn give_back(&self, bytes: usize) {
        let left = self.outstanding.fetch_sub(bytes, SeqCst) - bytes;
        let used = self.queue.used.fetch_sub(bytes, SeqCst) - bytes;
        let partition = left < self.limit.load(SeqCst)
            && self.waited_for.load(SeqCst)
            && self.waited_for.swap(false, SeqCst);
        let queue = used < self.queue.max_bytes
            && self.queue.waited_for.load(SeqCst)
            && self.queue.waited_for.swap(false, SeqCst);
        if partition || queue {
            self.queue.wake.notify_one();
        }
    }
}

impl Flow {
    /// The partition left its queue.
    pub(super) fn leave(&self) {
        self.queue.partitions.fetch_sub(1, SeqCst);
    }
}

/// Bytes that are on their way. Dropping it gives them back.
#[derive(Debug)]
pub(super) struct Credit {
    flow: Arc<Flow>,
    bytes: usize,
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.flow.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    fn flow(max_bytes: usize) -> (Arc<Flow>, Arc<Notify>) {
        let wake = Arc::new(Notify::new());
        (Arc::new(Flow::new(Arc::new(QueueFlow::new(max_bytes, wake.clone())), 0)), wake)
    }

    /// Whether there was a call; takes it.
    fn woken(wake: &Notify) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(wake.notified()).poll(&mut context).is_ready()
    }

    #[test]
    fn bytes_count_until_the_credit_is_dropped() {
        let (flow, _) = flow(100);
        let (a, b) = (flow.take(60), flow.take(60));
        assert_eq!((flow.outstanding(), flow.queue().used(), flow.queue().room()), (120, 120, 0));
        drop(a);
        assert_eq!(flow.queue().room(), 40);
        drop(b);
        assert_eq!(flow.queue().used(), 0);
    }

    #[test]
    fn two_answers_of_each_partition_fit_into_the_queue() {
        let wake = Arc::new(Notify::new());
        let queue = Arc::new(QueueFlow::new(16 << 20, wake));
        let flows: Vec<_> = (0..16).map(|_| Flow::new(queue.clone(), 0)).collect();
        assert_eq!(queue.share(1 << 20), 512 << 10);
        flows[2..].iter().for_each(Flow::leave);
        assert_eq!(queue.share(1 << 20), 1 << 20);
        let _more: Vec<_> = (0..10_000).map(|_| Flow::new(queue.clone(), 0)).collect();
        assert_eq!(queue.share(1 << 20), 64 << 10);
        assert_eq!(queue.share(1000), 1000);
    }

    #[test]
    fn the_fetcher_is_woken_once_and_only_if_it_waits() {
        let (flow, wake) = flow(1000);
        let credits = [flow.take(60), flow.take(60), flow.take(60)];
        drop(flow.take(1));
        assert!(!woken(&wake), "nobody waits");
        assert!(!flow.is_below(100));
        let [a, b, c] = credits;
        drop(a);
        assert!(!woken(&wake), "120 are still out");
        drop(b);
        assert!(woken(&wake));
        drop(c);
        assert!(!woken(&wake));
    }

    #[test]
    fn a_full_queue_wakes_the_fetcher_when_there_is_room() {
        let (flow, wake) = flow(100);
        let (a, b) = (flow.take(80), flow.take(80));
        assert!(!flow.queue().has_room());
        drop(a);
        assert!(woken(&wake));
        assert!(flow.queue().has_room());
        drop(b);
    }
}
