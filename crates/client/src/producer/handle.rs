//! Where records go in: a topic of a producer.

use std::sync::Arc;

use super::Inner;
use super::error::{ProduceError, TrySendError};
use super::receipt::Receipt;
use super::record::RecordRef;
use super::slot::Slot;
use super::topic::TopicState;

/// A topic that a producer writes to. Cheap to clone; may be used by many threads at a time.
///
/// Records of one thread for one partition arrive in the order in which they were sent. A record that was taken is
/// delivered or reported: by its [`Receipt`], and by the next [`Producer::flush`](super::Producer::flush).
#[derive(Debug, Clone)]
pub struct TopicHandle {
    pub(super) topic: Arc<TopicState>,
    pub(super) inner: Arc<Inner>,
}

impl TopicHandle {
    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.topic.name
    }

    /// How many partitions the topic has. Grows while the handle lives if the topic does.
    pub fn partitions(&self) -> i32 {
        self.topic.partitions()
    }

    /// The partition of a key, as `partitioning` of the configuration says.
    pub fn partition_of(&self, key: &[u8]) -> i32 {
        self.inner.shared.config.partitioning.partition(key, self.partitions())
    }

    /// Takes the record, if there is memory for it. Never waits: it is encoded into the partition's open batch.
    #[inline]
    pub fn try_send(&self, partition: i32, record: RecordRef<'_>) -> Result<(), TrySendError> {
        self.slot(partition)?.append(&self.inner.shared, &record).map(drop)
    }

    /// Takes records for one partition under a single lock, until there is no memory for the next: how many were
    /// taken, and why not all. For many small records this is a third faster than one by one.
    pub fn try_send_all<'r>(
        &self,
        partition: i32,
        records: impl IntoIterator<Item = RecordRef<'r>>,
    ) -> (usize, Result<(), TrySendError>) {
        match self.slot(partition) {
            Ok(slot) => slot.append_all(&self.inner.shared, records),
            Err(error) => (0, Err(error)),
        }
    }

    /// As [`try_send`](Self::try_send), to the partition of the key; records without a key go to one partition for
    /// about a batch, then to another (KIP-794). Gives the partition.
    pub fn try_send_keyed(&self, record: RecordRef<'_>) -> Result<i32, TrySendError> {
        if let Some(key) = record.key {
            let partition = self.partition_of(key);
            return self.try_send(partition, record).map(|()| partition);
        }
        let partition = self.topic.sticky_partition();
        let closed = self.slot(partition)?.append(&self.inner.shared, &record)?;
        // About what it takes in a batch.
        let bytes = record.value.map_or(0, <[u8]>::len) + 8;
        self.topic.note_sticky(partition, bytes, closed);
        Ok(partition)
    }

    /// As [`try_send`](Self::try_send), with a receipt.
    pub fn try_send_with_receipt(
        &self,
        partition: i32,
        record: RecordRef<'_>,
    ) -> Result<Receipt, TrySendError> {
        self.slot(partition)?.append_with_receipt(&self.inner.shared, &record)
    }

    /// Takes the record; waits while there is no memory for it. Dropped while it waits, it has not taken it.
    pub async fn send(&self, partition: i32, record: RecordRef<'_>) -> Result<(), ProduceError> {
        match self.try_send(partition, record) {
            Ok(()) => Ok(()),
            Err(TrySendError::Failed(error)) => Err(error),
            Err(TrySendError::Full { .. }) => self.wait(|| self.try_send(partition, record)).await,
        }
    }

    /// As [`try_send_keyed`](Self::try_send_keyed), but waits while there is no memory.
    pub async fn send_keyed(&self, record: RecordRef<'_>) -> Result<i32, ProduceError> {
        match self.try_send_keyed(record) {
            Ok(partition) => Ok(partition),
            Err(TrySendError::Failed(error)) => Err(error),
            Err(TrySendError::Full { .. }) => self.wait(|| self.try_send_keyed(record)).await,
        }
    }

    /// As [`send`](Self::send), with a receipt. The first await is for memory, that of the receipt for delivery.
    pub async fn send_with_receipt(
        &self,
        partition: i32,
        record: RecordRef<'_>,
    ) -> Result<Receipt, ProduceError> {
        self.wait(|| self.try_send_with_receipt(partition, record)).await
    }

    /// The highest acknowledged offset of the partition; `None` before the first.
    pub fn acked_offset(&self, partition: i32) -> Option<i64> {
        self.topic.slot(partition)?.acked_offset()
    }

    async fn wait<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, TrySendError>,
    ) -> Result<T, ProduceError> {
        let attempt = || match attempt() {
            Ok(done) => Some(Ok(done)),
            Err(TrySendError::Failed(error)) => Some(Err(error)),
            Err(TrySendError::Full { .. }) => None,
        };
        self.inner.shared.budget.until(attempt, || self.inner.shared.press()).await
    }

    #[inline]
    fn slot(&self, partition: i32) -> Result<&Slot, TrySendError> {
        self.topic.slot(partition).map(|slot| &**slot).ok_or_else(|| self.no_such(partition))
    }

    #[cold]
    fn no_such(&self, partition: i32) -> TrySendError {
        let (topic, partitions) = (self.topic.name.clone(), self.partitions());
        TrySendError::Failed(ProduceError::NoSuchPartition { topic, partition, partitions })
    }
}
