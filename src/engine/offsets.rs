//! How far each input of a partition has been processed, and how far that is committed.
//!
//! - A partition's records are processed one after the other, so the low-water mark of an input is its position: every
//!   record below it is done, none above it has begun.
//! - The position moves past offsets without a record (compaction, transaction markers), so that lag can reach zero.
//! - A position is committed only when everything that its records caused is acknowledged; it never moves back.
//! - An input without a committed offset commits where it begins before anything is processed: a crash then continues
//!   there, wherever "latest" is by that time.

/// The progress of one input of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    position: i64,
    committed: Option<i64>,
    /// What is committed, or where it began while nothing is.
    base: i64,
}

impl Progress {
    /// Begins at `position`; `committed` is what the group has committed, if anything.
    pub(crate) fn new(position: i64, committed: Option<i64>) -> Self {
        Self { position, committed, base: committed.unwrap_or(position) }
    }

    /// The next offset to process.
    pub(crate) fn position(self) -> i64 {
        self.position
    }

    /// Where processing begins after a crash: the committed offset, or where this began while there is none.
    pub(crate) fn base(self) -> i64 {
        self.base
    }

    /// Everything below `next` is processed.
    pub(crate) fn processed(&mut self, next: i64) {
        self.position = self.position.max(next);
    }

    /// The offset to commit, if there is anything new.
    pub(crate) fn to_commit(self) -> Option<i64> {
        (self.committed != Some(self.position)).then_some(self.position)
    }

    /// The group has committed `offset`.
    pub(crate) fn commit(&mut self, offset: i64) {
        self.committed = self.committed.max(Some(offset));
        self.base = self.base.max(offset);
    }

    /// The log no longer has the position: continues at `position`, which may be lower.
    pub(crate) fn reset(&mut self, position: i64) {
        *self = Self::new(position, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_what_is_processed_once() {
        let mut progress = Progress::new(5, Some(5));
        assert_eq!(progress.to_commit(), None);
        progress.processed(8);
        assert_eq!(progress.to_commit(), Some(8));
        // More is processed while the commit is under way.
        progress.processed(9);
        progress.commit(8);
        assert_eq!(progress.to_commit(), Some(9));
        progress.commit(9);
        assert_eq!(progress.to_commit(), None);
    }

    #[test]
    fn an_input_without_a_committed_offset_commits_where_it_begins() {
        assert_eq!(Progress::new(0, None).to_commit(), Some(0));
    }

    #[test]
    fn a_reset_may_go_back() {
        let mut progress = Progress::new(100, Some(100));
        progress.reset(0);
        assert_eq!((progress.position(), progress.to_commit()), (0, Some(0)));
    }
}
