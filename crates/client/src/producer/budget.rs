//! The memory of a producer: bytes of records from `send` to their acknowledgement.
//!
//! Never more than the limit is taken, except that a single record larger than it is let in when nothing else is.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Budget {
    max: usize,
    used: AtomicUsize,
    waiters: AtomicUsize,
    freed: Notify,
}

impl Budget {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, used: AtomicUsize::new(0), waiters: AtomicUsize::new(0), freed: Notify::new() }
    }

    /// The limit, in bytes.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Bytes taken now.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Takes all of `bytes` or nothing.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let fits = |used: usize| {
            let sum = used.checked_add(bytes)?;
            (sum <= self.max || used == 0).then_some(sum)
        };
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_ok()
    }

    /// Gives bytes back and wakes who waits for some.
    pub(crate) fn give(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.used.fetch_sub(bytes, Ordering::SeqCst);
        if self.waiters.load(Ordering::SeqCst) > 0 {
            self.freed.notify_waiters();
        }
    }

    /// Lets all who wait try once more: there will be no more memory.
    pub(crate) fn end(&self) {
        self.freed.notify_waiters();
    }

    /// Runs `attempt` until it gives something, each time when memory was given back. `waiting` is called before it
    /// waits.
    pub(crate) async fn until<T>(
        &self,
        mut attempt: impl FnMut() -> Option<T>,
        waiting: impl Fn(),
    ) -> T {
        let _waiter = Waiter::new(self);
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // From here on nothing that is given back goes unnoticed.
            freed.as_mut().enable();
            if let Some(done) = attempt() {
                return done;
            }
            waiting();
            freed.await;
        }
    }
}

/// Counts as waiting while it lives.
struct Waiter<'a>(&'a Budget);

impl<'a> Waiter<'a> {
    fn new(budget: &'a Budget) -> Self {
        budget.waiters.fetch_add(1, Ordering::SeqCst);
        Self(budget)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiters.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn takes_all_or_nothing() {
        let budget = Budget::new(10);
        assert!(budget.take(7) && !budget.take(4) && budget.take(3));
        budget.give(10);
        assert!(budget.take(99), "a record larger than all memory goes alone");
        assert!(!budget.take(1) && !budget.take(usize::MAX));
        budget.give(99);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let budget = Arc::new(Budget::new(10));
        assert!(budget.take(10));
        let (told, hears) = tokio::sync::oneshot::channel();
        let told = std::sync::Mutex::new(Some(told));
        let waiter = tokio::spawn({
            let budget = budget.clone();
            async move {
                let tell = || {
                    if let Some(told) = told.lock().unwrap().take() {
                        told.send(()).unwrap();
                    }
                };
                budget.until(|| budget.take(5).then_some(()), tell).await;
            }
        });
        hears.await.unwrap();
        assert_eq!(budget.waiters.load(Ordering::SeqCst), 1);
        budget.give(5);
        waiter.await.unwrap();
        assert_eq!((budget.used(), budget.waiters.load(Ordering::SeqCst)), (10, 0));
    }
}
