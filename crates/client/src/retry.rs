//! How long to wait, and until when. Both are values: randomness and time are passed in.
//!
//! The rule for every wait of this crate: *back off only if nothing newer than the failed attempt is
//! known*. It is applied by the router; here is only the length of the wait.

use std::time::Duration;

use tokio::time::Instant;

/// Exponential back-off: `initial`, doubled with each step up to `max`, each with ±20 % jitter.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
    step: u32,
}

impl Backoff {
    pub(crate) fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, step: 0 }
    }

    /// The next wait, longer than the one before.
    pub(crate) fn next(&mut self, rng: &mut fastrand::Rng) -> Duration {
        let wait = self.initial.saturating_mul(1 << self.step.min(20)).min(self.max);
        self.step = self.step.saturating_add(1);
        wait.mul_f64(0.8 + 0.4 * rng.f64())
    }

    /// Something went right: start over.
    pub(crate) fn reset(&mut self) {
        self.step = 0;
    }

    /// How often [`next`](Self::next) was asked since the last reset.
    pub(crate) fn steps(&self) -> u32 {
        self.step
    }
}

/// The moment after which an operation is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// `timeout` from now on (tokio's clock, so that it can be a paused one).
    pub(crate) fn after(timeout: Duration) -> Self {
        Self::from(Instant::now(), timeout)
    }

    /// `timeout` after `now`.
    pub(crate) fn from(now: Instant, timeout: Duration) -> Self {
        // The far future stands for "never": an instant cannot overflow there.
        Self(now + timeout.min(Duration::from_secs(60 * 60 * 24 * 365)))
    }

    pub(crate) fn at(self) -> Instant {
        self.0
    }

    pub(crate) fn passed(self, now: Instant) -> bool {
        now >= self.0
    }

    /// What is left of the time.
    pub(crate) fn left(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_maximum_within_the_jitter() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for wanted in [100, 200, 400, 800, 1000, 1000] {
            let wait = backoff.next(&mut rng).as_secs_f64() * 1000.0;
            let wanted = f64::from(wanted);
            assert!((wanted * 0.8..=wanted * 1.2).contains(&wait), "{wait} for {wanted}");
        }
        backoff.reset();
        assert!(backoff.next(&mut rng) <= Duration::from_millis(120));
    }

    #[test]
    fn never_overflows() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::MAX / 4);
        for _ in 0..100 {
            backoff.next(&mut rng);
        }
        assert_eq!(backoff.steps(), 100);
    }

    #[test]
    fn a_deadline_passes() {
        let now = Instant::now();
        let deadline = Deadline::from(now, Duration::from_secs(3));
        assert_eq!(deadline.at(), now + Duration::from_secs(3));
        assert!(!deadline.passed(now + Duration::from_secs(2)));
        assert!(deadline.passed(now + Duration::from_secs(3)));
        assert!(!Deadline::from(now, Duration::MAX).passed(now));
        assert_eq!(deadline.left(now + Duration::from_secs(2)), Duration::from_secs(1));
        assert_eq!(deadline.left(now + Duration::from_secs(4)), Duration::ZERO);
    }
}
