//! The handle of a fetcher.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    FetchQueue, FetcherConfig, ResetPolicy, Start,
    driver::{Driver, Mailbox},
    engine::Command,
    flow::Flow,
};
use crate::{Client, Error, TopicPartition};

/// Fetches partitions and puts what comes into queues: without a group, partition by partition, as the user says.
///
/// It follows leaders, retries, and keeps at most two answers per partition on their way to a reader, and no more
/// than the readers' queues hold. All clones are the same fetcher; it ends when the last one is dropped, and then
/// the queues end too.
///
/// ```no_run
/// # use roka_client::{Client, Config, Error, TopicPartition};
/// # use roka_client::consumer::{FetchEvent, FetcherConfig, ResetPolicy, Start, Decompressor};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(Config::new("localhost:9092"))?;
/// let fetcher = client.fetcher(FetcherConfig::default())?;
/// let queue = fetcher.queue(16 << 20);
/// let partition = TopicPartition::new("clicks", 0);
/// fetcher.assign(partition, Start::Earliest, ResetPolicy::Fail, &queue, 0);
/// let mut decompressor = Decompressor::new();
/// while let Some(event) = queue.recv().await {
///     match event {
///         FetchEvent::Data(chunk) => chunk.for_each(&mut decompressor, |record| {
///             println!("{} at {}", record.value.map_or(0, |value| value.len()), record.offset);
///         })?,
///         FetchEvent::Failed { error, .. } => return Err(error.into()),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Fetcher {
    inner: Arc<Inner>,
}

struct Inner {
    /// Keeps the I/O thread.
    client: Client,
    mailbox: Arc<Mailbox>,
    assigned: Mutex<HashMap<TopicPartition, Arc<Flow>>>,
    eras: AtomicU64,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("assigned", &self.inner.assigned().len()).finish()
    }
}

impl Inner {
    fn assigned(&self) -> MutexGuard<'_, HashMap<TopicPartition, Arc<Flow>>> {
        self.assigned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_era(&self) -> u64 {
        self.eras.fetch_add(1, Ordering::SeqCst)
    }
}

impl Client {
    /// A fetcher on this client's connections.
    pub fn fetcher(&self, config: FetcherConfig) -> Result<Fetcher, Error> {
        config.validate()?;
        let mailbox = Arc::new(Mailbox::default());
        self.core().spawn(Driver::run(self.core().clone(), config, mailbox.clone()));
        let inner = Inner {
            client: self.clone(),
            mailbox,
            assigned: Mutex::default(),
            eras: AtomicU64::new(0),
        };
        Ok(Fetcher { inner: Arc::new(inner) })
    }
}

impl Fetcher {
    /// The client it fetches with.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// A new queue for one reader, with room for about `max_bytes` of fetched records. 16 to 32 MiB keep a reader
    /// busy; with many partitions on one queue less of each is fetched at a time.
    pub fn queue(&self, max_bytes: usize) -> FetchQueue {
        let queue = FetchQueue::new(max_bytes, self.inner.mailbox.wake.clone());
        self.inner.mailbox.add_queue(&queue.shared);
        queue
    }

    /// Fetches the partition into `queue`, one of this fetcher's, from `start` on. `tag` comes back with each event, for the reader to tell
    /// apart assignments. `policy` says what to do when the wanted offset is not in the log.
    ///
    /// An assignment of the same partition before is replaced.
    pub fn assign(
        &self,
        partition: TopicPartition,
        start: impl Into<Start>,
        policy: ResetPolicy,
        queue: &FetchQueue,
        tag: u64,
    ) {
        let flow = Arc::new(Flow::new(queue.shared.flow().clone(), self.inner.next_era()));
        // Held on to, so that commands come in the order of the calls.
        let mut assigned = self.inner.assigned();
        let before = assigned.insert(partition.clone(), flow.clone());
        let mut commands = Vec::new();
        if let Some(before) = before {
            before.begin_era(self.inner.next_era());
            commands.push(Command::Unassign(partition.clone()));
        }
        commands.push(Command::Assign {
            name: partition,
            start: start.into(),
            policy,
            tag,
            queue: queue.shared.clone(),
            flow,
        });
        self.inner.mailbox.put(commands);
    }

    /// Whether the last request for the partition was answered: whether what was read of it is as new as its leader
    /// said. False while its leader cannot be reached or found, and before the first answer.
    pub fn is_following(&self, partition: &TopicPartition) -> bool {
        self.inner.assigned().get(partition).is_some_and(|flow| flow.answered())
    }

    /// Does not fetch the partition any more. What its queue holds of it is not read any more; chunks that were taken
    /// from the queue before stay as they are.
    pub fn unassign(&self, partition: &TopicPartition) {
        if let Some(flow) = self.inner.assigned().remove(partition) {
            flow.begin_era(self.inner.next_era());
            self.inner.mailbox.put([Command::Unassign(partition.clone())]);
        }
    }

    /// Goes on elsewhere, also after the partition was stopped by an error. What the queue holds of the partition is
    /// not read any more. Nothing happens if it is not assigned.
    pub fn seek(&self, partition: &TopicPartition, start: impl Into<Start>) {
        let era = self.inner.next_era();
        if let Some(flow) = self.inner.assigned().get(partition) {
            flow.begin_era(era);
            let (name, start) = (partition.clone(), start.into());
            self.inner.mailbox.put([Command::Seek { name, start, era }]);
        }
    }

    /// Fetches no more of the partition until [`resume`](Self::resume). What was fetched before still comes: at most
    /// two chunks, and what is on its way.
    pub fn pause(&self, partition: &TopicPartition) {
        self.inner.mailbox.put([Command::Pause(partition.clone())]);
    }

    /// Fetches the partition again.
    pub fn resume(&self, partition: &TopicPartition) {
        self.inner.mailbox.put([Command::Resume(partition.clone())]);
    }

    /// The partitions that are assigned, in no order.
    pub fn assigned(&self) -> Vec<TopicPartition> {
        self.inner.assigned().keys().cloned().collect()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}
