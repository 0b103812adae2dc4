//! Where a reader gets what was fetched for it.
//!
//! Rules:
//! - Bounded in bytes: see [`flow`](super::flow). The number of events is bounded by that too.
//! - One reader. It is woken when the queue stops being empty, not per chunk.
//! - What was fetched before a seek or unassign is dropped here, at the last moment, so that the reader never
//!   sees anything of a partition after it gave it up.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

use super::{
    Chunk, FetchError,
    flow::{Flow, QueueFlow},
};
use crate::TopicPartition;

/// What a reader gets from its [`FetchQueue`].
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchEvent {
    /// Records of one partition, in order.
    Data(Chunk),
    /// A partition goes on elsewhere than it was read to. Comes before the first chunk from there.
    Reset(Reset),
    /// A partition was stopped, until a [`seek`](super::Fetcher::seek) or a new assignment.
    Failed {
        /// The tag of its assignment.
        tag: u64,
        /// Why.
        error: FetchError,
    },
}

/// A partition goes on elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// The partition.
    pub partition: TopicPartition,
    /// The tag of its assignment.
    pub tag: u64,
    /// The offset that was wanted; none if the assignment named none.
    pub from: Option<i64>,
    /// The offset it goes on at.
    pub to: i64,
    /// Why.
    pub reason: ResetReason,
}

/// Why a partition goes on elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResetReason {
    /// The assignment did not name an offset but a place like [`Start::Earliest`](super::Start::Earliest).
    Start,
    /// The offset was not in the log (retention, deleted records, a new topic): the reset policy was applied.
    OutOfRange,
    /// The log was truncated below what was read: it goes on where the log and what was read part (KIP-320).
    Truncated,
}

struct Queued {
    event: FetchEvent,
    flow: Arc<Flow>,
    era: u64,
}

pub(super) struct Shared {
    flow: Arc<QueueFlow>,
    events: Mutex<VecDeque<Queued>>,
    readable: Notify,
    closed: AtomicBool,
}

impl Shared {
    fn events(&self) -> std::sync::MutexGuard<'_, VecDeque<Queued>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn flow(&self) -> &Arc<QueueFlow> {
        &self.flow
    }

    /// Appends without waking the reader: see [`ring`](Self::ring).
    pub(super) fn push(&self, event: FetchEvent, flow: Arc<Flow>, era: u64) {
        self.events().push_back(Queued { event, flow, era });
    }

    /// Wakes the reader.
    pub(super) fn ring(&self) {
        self.readable.notify_one();
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.ring();
    }
}

/// A queue of fetched chunks, made by [`Fetcher::queue`](super::Fetcher::queue). Clones are the same queue;
/// only one of them reads at a time.
#[derive(Clone)]
pub struct FetchQueue {
    pub(super) shared: Arc<Shared>,
}

impl std::fmt::Debug for FetchQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchQueue")
            .field("max_bytes", &self.shared.flow.max_bytes())
            .field("used", &self.shared.flow.used())
            .finish_non_exhaustive()
    }
}

impl FetchQueue {
    pub(super) fn new(max_bytes: usize, wake: Arc<Notify>) -> Self {
        let shared = Shared {
            flow: Arc::new(QueueFlow::new(max_bytes.max(1), wake)),
            events: Mutex::new(VecDeque::new()),
            readable: Notify::new(),
            closed: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The next event, in order per partition. `None` when the fetcher was closed and everything is read.
    /// Cancel safe. May be awaited on any runtime.
    pub async fn recv(&self) -> Option<FetchEvent> {
        loop {
            if let Some(event) = self.try_recv() {
                return Some(event);
            }
            if self.shared.closed.load(Ordering::SeqCst) {
                // What came in between.
                return self.try_recv();
            }
            self.shared.readable.notified().await;
        }
    }

    /// The next event, if one is there.
    pub fn try_recv(&self) -> Option<FetchEvent> {
        loop {
            // The lock is let go of before a stale chunk is dropped.
            let queued = self.shared.events().pop_front()?;
            if queued.flow.era() == queued.era {
                return Some(queued.event);
            }
        }
    }

    /// Bytes in the queue and in chunks that were taken from it and not dropped yet.
    pub fn used_bytes(&self) -> usize {
        self.shared.flow.used()
    }

    /// The bound of [`used_bytes`](Self::used_bytes). It is exceeded by one batch that is larger than it, and by
    /// partitions of which nothing is on its way yet, by 16 KiB each: so that a reader that waits for one
    /// partition while it holds on to chunks of others does not wait for ever.
    pub fn max_bytes(&self) -> usize {
        self.shared.flow.max_bytes()
    }
}
