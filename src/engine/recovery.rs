//! Where the recovery of a table partition begins, when it has ended, and what to do when the log is not what it was.
//!
//! - It begins at the stored changelog offset, else at the log start.
//! - It ends at *position >= end offset*, the end being taken when it begins. The last record of a log may be a transaction
//!   marker or compacted away, so waiting for a record at `end - 1` would wait for ever (as Goka does).
//! - Local state that the log cannot continue is given up and read anew: the changelog is the truth.
//! - So is local state that is too old. Compaction removes a tombstone `delete.retention.ms` after it was written, at the
//!   earliest; whoever reads on from an offset after a longer time may miss deletions, and deleted rows would come back.
//!   So a store says since when it is known to have everything up to its position ([`Stored::as_of_ms`]).

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use crate::Store;

/// Local state that is nearly as old as tombstones are kept counts as too old: by this part of that time …
const MARGIN_PART: u32 = 4;
/// … but by this at most.
const MARGIN_MAX: Duration = Duration::from_secs(3600);

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What a local store stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The changelog offset up to which it is complete.
    pub(crate) position: i64,
    /// Reading on from the position misses no deletion as long as the log keeps tombstones of that time, in ms since
    /// 1970. None if the store does not say.
    pub(crate) as_of_ms: Option<i64>,
}

impl Stored {
    /// Of a store; none for one that stands for nothing.
    pub(crate) fn of(store: &dyn Store, as_of_ms: Option<i64>) -> Option<Self> {
        Some(Self { position: store.position()?, as_of_ms })
    }

    /// Whether tombstones beyond the position may be gone, if the log keeps them for so long.
    fn is_older_than(self, kept: Duration, now_ms: i64) -> bool {
        let Some(as_of) = self.as_of_ms else { return true };
        let age = Duration::from_millis(now_ms.saturating_sub(as_of).unsigned_abs());
        age + (kept / MARGIN_PART).min(MARGIN_MAX) >= kept
    }
}

/// First and end offset of a changelog partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// First offset that the log still has.
    pub(crate) start: i64,
    /// Offset of the next record that will be written.
    pub(crate) end: i64,
}

/// Why local state is given up and read anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rebuild {
    /// The log ends before the stored offset.
    LogEndsBefore {
        /// What the local store stands for.
        stored: i64,
        /// Where the log ends.
        end: i64,
    },
    /// The log begins after the stored offset: what lies between can no longer be read.
    LogBeginsAfter {
        /// What the local store stands for.
        stored: i64,
        /// Where the log begins.
        start: i64,
    },
    /// The log does not keep tombstones for as long as the local store has not been up to date.
    TooOld {
        /// What the local store stands for.
        stored: i64,
        /// How long the log keeps tombstones.
        kept: Duration,
    },
}

impl fmt::Display for Rebuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LogEndsBefore { stored, end } => write!(
                f,
                "local state stands for offset {stored}, but the log ends at {end}: the topic was made anew or \
                 lost records"
            ),
            Self::LogBeginsAfter { stored, start } => write!(
                f,
                "local state stands for offset {stored}, but the log begins at {start}: records between them were \
                 deleted"
            ),
            Self::TooOld { stored, kept } => write!(
                f,
                "local state stands for offset {stored} and is older than the topic keeps tombstones \
                 (delete.retention.ms, {kept:?}): deletions since then may not be in the log any more"
            ),
        }
    }
}

/// A recovery under way. Offsets are those of the changelog.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recovery {
    first: i64,
    position: i64,
    end: i64,
    rebuild: Option<Rebuild>,
}

impl Recovery {
    /// Begins at the offset that the local store stands for (`None`: it is empty).
    pub(crate) fn new(stored: Option<i64>, bounds: Bounds) -> Self {
        let rebuild = match stored {
            Some(stored) if stored > bounds.end => {
                Some(Rebuild::LogEndsBefore { stored, end: bounds.end })
            }
            Some(stored) if stored < bounds.start => {
                Some(Rebuild::LogBeginsAfter { stored, start: bounds.start })
            }
            _ => None,
        };
        let first = if rebuild.is_some() { bounds.start } else { stored.unwrap_or(bounds.start) };
        Self { first, position: first, end: bounds.end, rebuild }
    }

    /// As [`new`](Self::new), but not from a store that is too old: the log keeps tombstones for the time `kept`.
    pub(crate) fn of_store(
        stored: Option<Stored>,
        bounds: Bounds,
        kept: Duration,
        now_ms: i64,
    ) -> Self {
        let recovery = Self::new(stored.map(|stored| stored.position), bounds);
        match stored {
            // With nothing to read there is no deletion to miss.
            Some(stored)
                if recovery.rebuild.is_none()
                    && !recovery.is_done()
                    && stored.is_older_than(kept, now_ms) =>
            {
                let rebuild = Some(Rebuild::TooOld { stored: stored.position, kept });
                Self { rebuild, ..Self::new(None, bounds) }
            }
            _ => recovery,
        }
    }

    /// Why the local store has to be cleared first, if it has.
    pub(crate) fn rebuild(&self) -> Option<Rebuild> {
        self.rebuild
    }

    /// The offset to read next.
    pub(crate) fn position(&self) -> i64 {
        self.position
    }

    /// The offset at which it ends.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// Everything below `next` has been read, whether or not there was a record.
    pub(crate) fn advance(&mut self, next: i64) {
        self.position = self.position.max(next);
    }

    /// The log no longer has the position: begins again within `bounds`, with an empty store if something is missing.
    pub(crate) fn out_of_range(&self, bounds: Bounds) -> Self {
        Self::new(Some(self.position), bounds)
    }

    /// Whether all that was in the log when it began has been read.
    pub(crate) fn is_done(&self) -> bool {
        self.position >= self.end
    }

    /// Offsets left to read.
    pub(crate) fn remaining(&self) -> i64 {
        (self.end - self.position).max(0)
    }

    /// How long the rest will take at the rate so far.
    pub(crate) fn estimate(&self, elapsed: Duration) -> Option<Duration> {
        let read = self.position - self.first;
        (read > 0).then(|| elapsed.mul_f64(self.remaining() as f64 / read as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: Bounds = Bounds { start: 10, end: 20 };

    #[test]
    fn begins_at_the_stored_offset_else_at_the_log_start() {
        assert_eq!(Recovery::new(Some(15), LOG).position(), 15);
        assert_eq!(Recovery::new(None, LOG).position(), 10);
    }

    #[test]
    fn nothing_to_read_is_done_at_once() {
        assert!(Recovery::new(Some(20), LOG).is_done());
        assert!(Recovery::new(None, Bounds { start: 0, end: 0 }).is_done());
    }

    #[test]
    fn ends_by_position_not_by_record() {
        let mut recovery = Recovery::new(None, LOG);
        recovery.advance(19);
        assert!(!recovery.is_done());
        // The last offset is a transaction marker: no record, but the position moves past it.
        recovery.advance(20);
        assert!(recovery.is_done());
    }

    #[test]
    fn state_ahead_of_the_log_is_rebuilt() {
        let recovery = Recovery::new(Some(21), LOG);
        assert_eq!(recovery.rebuild(), Some(Rebuild::LogEndsBefore { stored: 21, end: 20 }));
        assert_eq!(recovery.position(), 10);
    }

    #[test]
    fn state_before_the_log_is_rebuilt() {
        let recovery = Recovery::new(Some(9), LOG);
        assert_eq!(recovery.rebuild(), Some(Rebuild::LogBeginsAfter { stored: 9, start: 10 }));
        assert_eq!(recovery.position(), 10);
    }

    #[test]
    fn state_that_may_miss_tombstones_is_rebuilt() {
        let kept = Duration::from_secs(24 * 3600);
        let (now, hour) = (1_700_000_000_000, 3_600_000);
        let at = |position, age: i64| {
            let stored = Stored { position, as_of_ms: Some(now - age * hour) };
            Recovery::of_store(Some(stored), LOG, kept, now)
        };
        assert_eq!((at(15, 22).rebuild(), at(15, 22).position()), (None, 15));
        let old = at(15, 23);
        assert_eq!(old.rebuild(), Some(Rebuild::TooOld { stored: 15, kept }));
        assert_eq!((old.position(), old.end()), (10, 20));
        // Nothing was written since: nothing was deleted.
        assert_eq!(at(20, 1000).rebuild(), None);
        let unknown = Stored { position: 15, as_of_ms: None };
        assert!(Recovery::of_store(Some(unknown), LOG, kept, now).rebuild().is_some());
        assert_eq!(Recovery::of_store(None, LOG, kept, now).rebuild(), None);
        // The clock was set back by years.
        assert!(at(15, -20_000).rebuild().is_some());
    }

    #[test]
    fn a_log_start_that_overtakes_the_recovery_starts_it_again() {
        let mut recovery = Recovery::new(None, LOG);
        recovery.advance(12);
        let again = recovery.out_of_range(Bounds { start: 15, end: 30 });
        assert!(again.rebuild().is_some());
        assert_eq!((again.position(), again.end()), (15, 30));
    }

    #[test]
    fn estimates_by_the_rate_so_far() {
        let mut recovery = Recovery::new(None, LOG);
        assert_eq!(recovery.estimate(Duration::from_secs(1)), None);
        recovery.advance(12);
        assert_eq!(recovery.estimate(Duration::from_secs(1)), Some(Duration::from_secs(4)));
    }
}
