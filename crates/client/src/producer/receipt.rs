//! One completion per batch; a receipt is a place in it.
//!
//! A batch that was split is completed in parts. A promise that is dropped says that the producer was closed, so that
//! nobody waits for ever.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::error::ProduceError;
use super::record::RecordMetadata;

/// What the broker said of a batch that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// Offset of the first record, -1 if the broker did not say.
    pub(crate) base_offset: i64,
    /// The broker's timestamp for all records, -1 if they keep their own.
    pub(crate) append_time_ms: i64,
}

type Outcome = Result<Written, ProduceError>;

/// The result to come of the records of one batch.
#[derive(Debug)]
pub(crate) struct Completion {
    topic: Arc<str>,
    partition: i32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Ranges of records that are done, each with its outcome.
    parts: Vec<(u32, u32, Outcome)>,
    waiting: Vec<Waker>,
}

impl Completion {
    pub(crate) fn new(topic: Arc<str>, partition: i32) -> Self {
        Self { topic, partition, state: Mutex::default() }
    }

    fn complete(&self, first: u32, end: u32, outcome: Outcome) {
        let waiting = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.parts.push((first, end, outcome));
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// The duty to complete a range of a batch's records.
#[derive(Debug)]
pub(crate) struct Promise {
    completion: Arc<Completion>,
    first: u32,
    end: u32,
}

impl Promise {
    /// For the first `count` records.
    pub(crate) fn new(completion: Arc<Completion>, count: u32) -> Self {
        Self { completion, first: 0, end: count }
    }

    /// Keeps the first `count` records; the rest is the other's duty.
    pub(crate) fn split_off(&mut self, count: u32) -> Self {
        let end = std::mem::replace(&mut self.end, self.first + count);
        Self { completion: self.completion.clone(), first: self.end, end }
    }

    pub(crate) fn keep(mut self, outcome: Outcome) {
        self.completion.complete(self.first, self.end, outcome);
        self.end = self.first;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if self.first < self.end {
            let closed = ProduceError::Closed {
                topic: self.completion.topic.clone(),
                partition: self.completion.partition,
            };
            self.completion.complete(self.first, self.end, Err(closed));
        }
    }
}

/// The delivery to come of one record. May be dropped.
#[derive(Debug)]
#[must_use = "a receipt tells something only when it is awaited"]
pub struct Receipt {
    completion: Arc<Completion>,
    index: u32,
    timestamp_ms: i64,
    /// Where its waker is in the list.
    place: Option<usize>,
}

impl Receipt {
    pub(crate) fn new(completion: Arc<Completion>, index: u32, timestamp_ms: i64) -> Self {
        Self { completion, index, timestamp_ms, place: None }
    }

    /// The outcome, if it is known by now.
    pub fn outcome(&self) -> Option<Result<RecordMetadata, ProduceError>> {
        let state = self.completion.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.find(&state)
    }

    fn find(&self, state: &State) -> Option<Result<RecordMetadata, ProduceError>> {
        let (first, _, outcome) =
            state.parts.iter().find(|(first, end, _)| (*first..*end).contains(&self.index))?;
        Some(outcome.clone().map(|written| {
            RecordMetadata {
                partition: self.completion.partition,
                offset: (written.base_offset >= 0)
                    .then(|| written.base_offset + i64::from(self.index - first)),
                timestamp_ms: match written.append_time_ms {
                    ..0 => self.timestamp_ms,
                    broker => broker,
                },
            }
        }))
    }
}

impl Future for Receipt {
    type Output = Result<RecordMetadata, ProduceError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let completion = this.completion.clone();
        let mut state = completion.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = this.find(&state) {
            return Poll::Ready(outcome);
        }
        match this.place.and_then(|place| state.waiting.get_mut(place)) {
            // After a part was completed the list began anew: the place may be another's, who then
            // is woken with us and registers again.
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => {
                this.place = Some(state.waiting.len());
                state.waiting.push(cx.waker().clone());
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> (Arc<Completion>, Promise, Vec<Receipt>) {
        let completion = Arc::new(Completion::new("t".into(), 3));
        let receipts =
            (0..4).map(|i| Receipt::new(completion.clone(), i, 100 + i64::from(i))).collect();
        (completion.clone(), Promise::new(completion, 4), receipts)
    }

    #[test]
    fn each_record_of_a_batch_has_its_own_offset() {
        let (_, promise, receipts) = batch();
        assert!(receipts[0].outcome().is_none());
        promise.keep(Ok(Written { base_offset: 50, append_time_ms: -1 }));
        let last = receipts[3].outcome().unwrap().unwrap();
        assert_eq!(last, RecordMetadata { partition: 3, offset: Some(53), timestamp_ms: 103 });
    }

    #[test]
    fn halves_of_a_split_batch_complete_apart() {
        let (_, mut first, receipts) = batch();
        let second = first.split_off(1);
        second.keep(Ok(Written { base_offset: 9, append_time_ms: 7 }));
        assert!(receipts[0].outcome().is_none());
        let metadata = receipts[2].outcome().unwrap().unwrap();
        assert_eq!((metadata.offset, metadata.timestamp_ms), (Some(10), 7));
        first.keep(Ok(Written { base_offset: -1, append_time_ms: -1 }));
        assert_eq!(receipts[0].outcome().unwrap().unwrap().offset, None);
    }

    #[tokio::test]
    async fn a_dropped_promise_says_that_the_producer_is_closed() {
        let (_, promise, mut receipts) = batch();
        let mut last = receipts.pop().unwrap();
        assert!(futures_poll(&mut last).await.is_none());
        drop(promise);
        let error = last.await.unwrap_err().to_string();
        assert!(error.contains("t/3"), "{error}");
    }

    /// Polls once.
    async fn futures_poll(
        receipt: &mut Receipt,
    ) -> Option<<Receipt as std::future::Future>::Output> {
        std::future::poll_fn(|cx| match Pin::new(&mut *receipt).poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}
