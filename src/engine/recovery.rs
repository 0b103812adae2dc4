//! Where the recovery of a table partition begins, when it has ended, and what to do when the log is not what it was.
//!
//! - It begins at the stored changelog offset, else at the log start.
//! - It ends at *position >= end offset*, the end being taken when it begins. The last record of a log may be a transaction
//!   marker or compacted away, so waiting for a record at `end - 1` would wait for ever (as Goka does).
//! - Local state that the log cannot continue is given up and read anew: the changelog is the truth.

use std::{fmt, time::Duration};

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
