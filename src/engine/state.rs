//! Where a processor and its partitions stand, for those who wait for it.
//!
//! The processor's state is that of the partition that is furthest behind. A member that has no partition (there are
//! more members than partitions) is running: it has nothing left to do.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// Where a processor, or one of its partitions, stands. Later states are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum State {
    /// `run` has not been called.
    Idle,
    /// Waits for the cluster and for its place in the group.
    Joining,
    /// Reads tables back: its own and the joined ones.
    Recovering,
    /// A view that was ready, but cannot be kept up to date at present: some leaders cannot be reached or found. It
    /// shows what it read before.
    Stale,
    /// Processes; a view: is up to date.
    Running,
    /// Commits and closes.
    Stopping,
    /// `run` has ended.
    Stopped,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Joining => "joining",
            Self::Recovering => "recovering",
            Self::Stale => "stale",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        })
    }
}

/// The state of a processor as it changes.
#[derive(Debug)]
pub(crate) struct StateBoard {
    inner: Mutex<Inner>,
    changes: watch::Sender<State>,
}

#[derive(Debug)]
struct Inner {
    /// The processor's own state; with partitions, [`State::Running`] means "as they are".
    own: State,
    partitions: BTreeMap<i32, State>,
}

impl Default for StateBoard {
    fn default() -> Self {
        let inner = Inner { own: State::Idle, partitions: BTreeMap::new() };
        Self { inner: Mutex::new(inner), changes: watch::Sender::new(State::Idle) }
    }
}

impl StateBoard {
    /// The processor's own state changes.
    pub(crate) fn set(&self, own: State) {
        self.change(|inner| inner.own = own);
    }

    /// A partition's state changes.
    pub(crate) fn set_partition(&self, partition: i32, state: State) {
        self.change(|inner| {
            inner.partitions.insert(partition, state);
        });
    }

    /// The partition is no longer here.
    pub(crate) fn remove_partition(&self, partition: i32) {
        self.change(|inner| {
            inner.partitions.remove(&partition);
        });
    }

    /// The processor's state now.
    pub(crate) fn get(&self) -> State {
        *self.changes.borrow()
    }

    /// The states of the partitions that are here.
    pub(crate) fn partitions(&self) -> BTreeMap<i32, State> {
        self.lock().partitions.clone()
    }

    /// Follows the processor's state.
    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.changes.subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        let mut inner = self.lock();
        change(&mut inner);
        let state = inner.overall();
        // Under the lock, so that changes are seen in their order.
        self.changes.send_if_modified(|seen| std::mem::replace(seen, state) != state);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn overall(&self) -> State {
        match self.own {
            State::Running => {
                let lowest = self.partitions.values().copied().min().unwrap_or(State::Running);
                // A partition that leaves does not stop the processor.
                lowest.min(State::Running)
            }
            own => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_stands_where_its_last_partition_stands() {
        let board = StateBoard::default();
        assert_eq!(board.get(), State::Idle);
        board.set(State::Joining);
        board.set_partition(0, State::Running);
        assert_eq!(board.get(), State::Joining);
        board.set(State::Running);
        assert_eq!(board.get(), State::Running);
        board.set_partition(1, State::Recovering);
        assert_eq!(board.get(), State::Recovering);
        board.set_partition(1, State::Running);
        board.set_partition(0, State::Stopping);
        assert_eq!(board.get(), State::Running);
        board.set(State::Stopped);
        assert_eq!(board.get(), State::Stopped);
    }

    #[test]
    fn a_member_without_partitions_is_running() {
        let board = StateBoard::default();
        board.set_partition(0, State::Recovering);
        board.set(State::Running);
        board.remove_partition(0);
        assert_eq!(board.get(), State::Running);
    }
}
