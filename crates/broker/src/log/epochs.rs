//! Where each leader epoch begins in a log (KIP-101, KIP-320).

/// Epochs with the offset of their first batch, both ascending.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct LeaderEpochs {
    entries: Vec<(i32, i64)>,
}

impl LeaderEpochs {
    /// A batch of `epoch` begins at `offset`. Older epochs than the newest are ignored.
    pub(crate) fn note(&mut self, epoch: i32, offset: i64) {
        if self.entries.last().is_none_or(|&(last, _)| epoch > last) {
            self.entries.push((epoch, offset));
        }
    }

    /// The epoch that wrote `offset`.
    pub(crate) fn at(&self, offset: i64) -> Option<i32> {
        let after = self.entries.partition_point(|&(_, start)| start <= offset);
        after.checked_sub(1).map(|at| self.entries[at].0)
    }

    /// The newest epoch not after `epoch`, and where it ends; `current` is the leader's own epoch, whose end is
    /// `log_end` also when it wrote nothing yet. `None` for an epoch after that.
    pub(crate) fn end_of(&self, epoch: i32, current: i32, log_end: i64) -> Option<(i32, i64)> {
        if epoch == current {
            return Some((epoch, log_end));
        }
        if epoch > current || epoch < 0 {
            return None;
        }
        let after = self.entries.partition_point(|&(entry, _)| entry <= epoch);
        let end = self.entries.get(after).map_or(log_end, |&(_, start)| start);
        // Before the first known epoch Kafka answers with the asked one.
        let found = after.checked_sub(1).map_or(epoch, |at| self.entries[at].0);
        Some((found, end))
    }

    /// Records from `offset` on are gone.
    pub(crate) fn truncate_back(&mut self, offset: i64) {
        self.entries.retain(|&(_, start)| start < offset);
    }

    /// Records before `offset` are gone: the epoch that holds it now begins there.
    pub(crate) fn truncate_front(&mut self, offset: i64) {
        let after = self.entries.partition_point(|&(_, start)| start <= offset);
        if after > 1 {
            self.entries.drain(..after - 1);
        }
        if let Some(first) = self.entries.first_mut() {
            first.1 = first.1.max(offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_epochs_follow_kafkas_rules() {
        let mut epochs = LeaderEpochs::default();
        epochs.note(2, 0);
        epochs.note(2, 5);
        epochs.note(5, 10);
        assert_eq!(epochs.end_of(2, 7, 20), Some((2, 10)));
        assert_eq!(epochs.end_of(4, 7, 20), Some((2, 10)));
        assert_eq!(epochs.end_of(5, 7, 20), Some((5, 20)));
        assert_eq!(epochs.end_of(7, 7, 20), Some((7, 20)));
        assert_eq!(epochs.end_of(8, 7, 20), None);
        assert_eq!(epochs.end_of(1, 7, 20), Some((1, 0)));
        assert_eq!((epochs.at(9), epochs.at(10)), (Some(2), Some(5)));
    }

    #[test]
    fn the_front_moves_with_the_log_start() {
        let mut epochs = LeaderEpochs::default();
        for (epoch, start) in [(0, 0), (1, 10), (2, 20)] {
            epochs.note(epoch, start);
        }
        epochs.truncate_front(15);
        assert_eq!(epochs.entries, [(1, 15), (2, 20)]);
    }
}
