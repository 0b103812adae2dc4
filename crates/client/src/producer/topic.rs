//! A topic as its writers see it.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::slot::Slot;
use crate::partitioner::Sticky;

/// Slots by partition number: read without a lock, only ever extended. The segments double in length, so that none
/// moves when the topic grows.
#[derive(Debug, Default)]
struct Table {
    segments: [OnceLock<Segment>; 31],
}

type Segment = Box<[OnceLock<Arc<Slot>>]>;

impl Table {
    /// Segment k holds the partitions from 2^k - 1 to 2^(k+1) - 2.
    fn place(partition: i32) -> Option<(usize, usize)> {
        let n = u32::try_from(partition).ok()? + 1;
        let segment = n.ilog2();
        (segment < 31).then(|| (segment as usize, (n - (1 << segment)) as usize))
    }

    #[inline]
    fn get(&self, partition: i32) -> Option<&Arc<Slot>> {
        let (segment, place) = Self::place(partition)?;
        self.segments[segment].get()?[place].get()
    }

    fn set(&self, partition: i32, slot: Arc<Slot>) {
        if let Some((segment, place)) = Self::place(partition) {
            let segment = self.segments[segment]
                .get_or_init(|| (0..1 << segment).map(|_| OnceLock::new()).collect());
            // Set once: partitions are numbered by one task.
            let _ = segment[place].set(slot);
        }
    }
}

/// A topic that a producer writes to.
#[derive(Debug)]
pub(crate) struct TopicState {
    pub(crate) name: Arc<str>,
    /// How many partitions it has.
    partitions: AtomicI32,
    slots: Table,
    sticky: Mutex<Sticky>,
}

impl TopicState {
    pub(crate) fn new(name: Arc<str>, batch_bytes_max: usize) -> Self {
        Self {
            name,
            partitions: AtomicI32::new(0),
            slots: Table::default(),
            sticky: Mutex::new(Sticky::new(batch_bytes_max)),
        }
    }

    /// It was created again, with that many partitions.
    pub(crate) fn recreated(&self, partitions: i32) {
        self.partitions.store(partitions, Ordering::Release);
    }

    /// How many partitions it has; a topic only grows, unless it is created again.
    #[inline]
    pub(crate) fn partitions(&self) -> i32 {
        self.partitions.load(Ordering::Acquire)
    }

    /// The slot of a partition.
    #[inline]
    pub(crate) fn slot(&self, partition: i32) -> Option<&Arc<Slot>> {
        self.slots.get(partition)
    }

    /// Adds the next partition.
    pub(crate) fn add(&self, slot: Arc<Slot>) {
        let partition = slot.partition;
        self.slots.set(partition, slot);
        self.partitions.fetch_max(partition + 1, Ordering::AcqRel);
    }

    /// The partition that takes records without a key now.
    pub(crate) fn sticky_partition(&self) -> i32 {
        let mut sticky = self.sticky.lock().unwrap_or_else(PoisonError::into_inner);
        sticky.current(self.partitions()).unwrap_or_else(|| self.draw(&mut sticky))
    }

    /// A record of about `bytes` went to the sticky partition.
    pub(crate) fn note_sticky(&self, partition: i32, bytes: usize, batch_closed: bool) {
        let mut sticky = self.sticky.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have moved on meanwhile.
        if sticky.current(self.partitions()) == Some(partition) && sticky.note(bytes, batch_closed)
        {
            self.draw(&mut sticky);
        }
    }

    fn draw(&self, sticky: &mut Sticky) -> i32 {
        sticky.advance(self.partitions(), fastrand::u64(..), |partition| {
            let slot = self.slot(partition)?;
            let leaderless = slot.leaderless.load(Ordering::Relaxed);
            (!leaderless).then(|| slot.waiting.load(Ordering::Relaxed).max(0) as u32)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::ProducerConfig;
    use crate::producer::shared::Shared;

    #[test]
    fn partitions_are_found_while_the_topic_grows() {
        let shared = Shared::new(ProducerConfig::default());
        let topic = TopicState::new("t".into(), 1 << 10);
        assert!(topic.slot(0).is_none());
        for partition in 0..300 {
            topic.add(Arc::new(Slot::new(7, "t".into(), partition, &shared)));
            assert_eq!(topic.partitions(), partition + 1);
        }
        for partition in 0..300 {
            assert_eq!(topic.slot(partition).unwrap().partition, partition);
        }
        assert!([-1, 300, i32::MIN, i32::MAX].iter().all(|p| topic.slot(*p).is_none()));
    }

    #[test]
    fn keyless_records_stay_then_move() {
        let shared = Shared::new(ProducerConfig::default());
        let topic = TopicState::new("t".into(), 100);
        for partition in 0..50 {
            let slot = Slot::new(7, "t".into(), partition, &shared);
            slot.leaderless.store(partition != 8 && partition != 9, Ordering::Relaxed);
            topic.add(Arc::new(slot));
        }
        let first = topic.sticky_partition();
        assert!([8, 9].contains(&first), "{first} has no leader");
        topic.note_sticky(first, 99, true);
        assert_eq!(topic.sticky_partition(), first);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            let partition = topic.sticky_partition();
            seen.insert(partition);
            topic.note_sticky(partition, 100, true);
        }
        assert_eq!(seen, [8, 9].into());
    }
}
