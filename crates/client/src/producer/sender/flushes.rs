//! Who waits for what was sent before: flushes.
//!
//! Batches are counted by generation; a flush waits until none of its generation or an earlier one is left, and gives
//! the first failure since the flush before it. A plain value.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use crate::producer::ProduceError;

/// The end of a flush.
pub(crate) type Done = oneshot::Sender<Result<(), ProduceError>>;

#[derive(Debug)]
struct Waiting {
    generation: u64,
    done: Done,
    failure: Option<ProduceError>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Flushes {
    generation: u64,
    /// Batches on their way, by generation, the oldest first.
    on_the_way: VecDeque<(u64, usize)>,
    waiting: Vec<Waiting>,
    /// Of batches that failed while nobody waited.
    failure: Option<ProduceError>,
}

impl Flushes {
    /// The generation of batches that are seen now.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// That many batches more of a generation.
    pub(crate) fn began(&mut self, generation: u64, batches: usize) {
        if batches == 0 {
            return;
        }
        match self.on_the_way.iter_mut().find(|(it, _)| *it == generation) {
            Some((_, count)) => *count += batches,
            None => self.on_the_way.push_back((generation, batches)),
        }
    }

    /// One batch less.
    pub(crate) fn ended(&mut self, generation: u64, failure: Option<&ProduceError>) {
        if let Some(failure) = failure {
            let waiting = self.waiting.iter_mut().filter(|it| it.generation >= generation);
            let mut told = false;
            for flush in waiting {
                flush.failure.get_or_insert_with(|| failure.clone());
                told = true;
            }
            if !told {
                self.failure.get_or_insert_with(|| failure.clone());
            }
        }
        if let Some((_, count)) = self.on_the_way.iter_mut().find(|(it, _)| *it == generation) {
            *count -= 1;
        }
        while self.on_the_way.front().is_some_and(|(_, count)| *count == 0) {
            self.on_the_way.pop_front();
        }
        self.tell();
    }

    /// A flush of all batches seen so far.
    pub(crate) fn add(&mut self, done: Done) {
        let failure = self.failure.take();
        self.waiting.push(Waiting { generation: self.generation, done, failure });
        self.generation += 1;
        self.tell();
    }

    /// Failures that were told in another way are not told to the next flush.
    pub(crate) fn forget_failure(&mut self) {
        self.failure = None;
    }

    /// Whether no batch is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.on_the_way.is_empty()
    }

    fn tell(&mut self) {
        let oldest = self.on_the_way.front().map_or(u64::MAX, |(generation, _)| *generation);
        let ready = self.waiting.iter().take_while(|it| it.generation < oldest).count();
        for flush in self.waiting.drain(..ready) {
            // Who does not wait any more does not care.
            let _ = flush.done.send(flush.failure.map_or(Ok(()), Err));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(partition: i32) -> ProduceError {
        ProduceError::Closed { topic: "t".into(), partition }
    }

    fn flush(flushes: &mut Flushes) -> oneshot::Receiver<Result<(), ProduceError>> {
        let (done, result) = oneshot::channel();
        flushes.add(done);
        result
    }

    #[test]
    fn a_flush_waits_for_what_was_before_it_only() {
        let mut it = Flushes::default();
        flush(&mut it).try_recv().unwrap().unwrap();
        it.began(it.generation(), 2);
        let first = it.generation();
        let mut a = flush(&mut it);
        it.began(it.generation(), 1);
        let second = it.generation();
        let mut b = flush(&mut it);
        it.ended(second, None);
        it.ended(first, None);
        assert!(a.try_recv().is_err() && b.try_recv().is_err());
        it.began(it.generation(), 1);
        it.ended(first, None);
        a.try_recv().unwrap().unwrap();
        b.try_recv().unwrap().unwrap();
        assert!(!it.is_idle());
    }

    #[test]
    fn each_failure_is_told_to_the_next_flush_once() {
        let mut it = Flushes::default();
        it.began(it.generation(), 3);
        let generation = it.generation();
        it.ended(generation, Some(&failure(1)));
        let mut a = flush(&mut it);
        let mut b = flush(&mut it);
        it.ended(generation, Some(&failure(2)));
        it.ended(generation, None);
        assert_eq!(a.try_recv().unwrap().unwrap_err().partition(), Some(("t", 1)));
        assert_eq!(b.try_recv().unwrap().unwrap_err().partition(), Some(("t", 2)));
        flush(&mut it).try_recv().unwrap().unwrap();
    }
}
