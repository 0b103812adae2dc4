//! What stores put off until there is time ([`Store::settle`](crate::Store::settle)), done beside the records: a part of
//! the thread's time, a few rows at a time.

use std::time::{Duration, Instant};

/// Rows per step: a step is not interrupted.
pub(super) const ROWS_PER_STEP: usize = 256;
/// Of so much time one part is spent on settling.
const SHARE: u32 = 5;

/// When the next step of one store is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settling {
    /// None: nothing is left to do.
    due: Option<Instant>,
}

impl Settling {
    /// A first step is due `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self { due: Some(now) }
    }

    /// Whether a step is due.
    pub(super) fn is_due(self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// How long until the next step; none if nothing is left.
    pub(super) fn wait(self, now: Instant) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(now))
    }

    /// A step was done from `began` to `now`, and there is `more` to do.
    pub(super) fn done(&mut self, began: Instant, now: Instant, more: bool) {
        self.due = more.then(|| now + pause(now.saturating_duration_since(began)));
    }
}

/// How long to leave the thread to others after so long a step.
pub(super) fn pause(step: Duration) -> Duration {
    step.max(Duration::from_millis(1)) * (SHARE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_time_until_nothing_is_left() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut settling = Settling::new(start);
        assert!(settling.is_due(start));
        settling.done(start, at(10), true);
        assert!(!settling.is_due(at(49)) && settling.is_due(at(50)));
        assert_eq!(settling.wait(at(20)), Some(Duration::from_millis(30)));
        settling.done(at(50), at(60), false);
        assert!(!settling.is_due(at(1000)));
        assert_eq!(settling.wait(at(1000)), None);
    }
}
