//! Misbehaviour on command: what the next requests meet instead of a plain answer.
//!
//! A fault waits for requests that fit it, in the order in which faults were added, and is used up by `times` of
//! them. Faults are counted down when a request arrives, so that pipelined requests meet them in their order.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use roka_protocol::{ApiKey, ErrorCode};

use crate::state::lock;

/// What happens to a request that meets the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Fail(ErrorCode),
    Delay(Duration),
    Late(Duration),
    Swallow,
    DropResponse,
    Disconnect,
    CutAfter(usize),
    Repeat,
}

/// A fault to be given to [`Cluster::inject`](crate::Cluster::inject): which requests it meets, what it does to
/// them and how often.
///
/// ```
/// # use roka_broker::Fault;
/// # use roka_protocol::{ApiKey, ErrorCode};
/// let fault = Fault::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER).on(ApiKey::Produce).at(1).times(3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    api: Option<ApiKey>,
    node: Option<i32>,
    left: u32,
    action: Action,
}

impl Fault {
    fn new(action: Action) -> Self {
        Self { api: None, node: None, left: 1, action }
    }

    /// The request is not carried out; everything it asks is answered with the error.
    pub fn fail(error: ErrorCode) -> Self {
        Self::new(Action::Fail(error))
    }

    /// The request waits before it is carried out, and with it all later ones of its connection.
    pub fn delay(delay: Duration) -> Self {
        Self::new(Action::Delay(delay))
    }

    /// The request is carried out at once and answered that much later, as all later ones of its connection.
    pub fn answer_late(delay: Duration) -> Self {
        Self::new(Action::Late(delay))
    }

    /// The request is neither carried out nor answered; the connection stays open.
    pub fn swallow() -> Self {
        Self::new(Action::Swallow)
    }

    /// The request is carried out and not answered; the connection stays open.
    pub fn drop_response() -> Self {
        Self::new(Action::DropResponse)
    }

    /// The request is carried out, then the connection is closed instead of an answer.
    pub fn disconnect() -> Self {
        Self::new(Action::Disconnect)
    }

    /// The request is carried out; of its answer only this many bytes are sent, then the connection is closed.
    pub fn cut_after(bytes: usize) -> Self {
        Self::new(Action::CutAfter(bytes))
    }

    /// The request is carried out and its answer is sent twice.
    pub fn repeat() -> Self {
        Self::new(Action::Repeat)
    }

    /// Only requests of this API meet it. Default: all but `ApiVersions`.
    #[must_use]
    pub fn on(mut self, api: ApiKey) -> Self {
        self.api = Some(api);
        self
    }

    /// Only requests to this node meet it. Default: to any.
    #[must_use]
    pub fn at(mut self, node: i32) -> Self {
        self.node = Some(node);
        self
    }

    /// How many requests meet it before it is used up. Default: 1.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.left = times;
        self
    }

    fn meets(&self, node: i32, api: ApiKey) -> bool {
        let api_fits = self.api.map_or(api != ApiKey::ApiVersions, |it| it == api);
        self.left > 0 && api_fits && self.node.is_none_or(|it| it == node)
    }
}

/// What one request meets: the sum of all faults that fit it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Met {
    pub(crate) fail: Option<ErrorCode>,
    pub(crate) delay: Option<Duration>,
    /// Waits between the deed and the answer.
    pub(crate) late: Option<Duration>,
    /// Not even carried out.
    pub(crate) swallow: bool,
    pub(crate) drop_response: bool,
    /// How many bytes of the response go out before the connection is closed.
    pub(crate) cut_after: Option<usize>,
    pub(crate) repeat: bool,
}

/// The faults that wait.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// So that the usual request, which meets nothing, takes no lock.
    waiting: AtomicUsize,
    list: Mutex<Vec<Fault>>,
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        let mut list = lock(&self.list);
        list.push(fault);
        self.waiting.store(list.len(), Ordering::Release);
    }

    pub(crate) fn clear(&self) {
        lock(&self.list).clear();
        self.waiting.store(0, Ordering::Release);
    }

    /// How many requests can still meet a fault.
    pub(crate) fn left(&self) -> u64 {
        lock(&self.list).iter().map(|it| u64::from(it.left)).sum()
    }

    /// What a request meets; of faults that do the same only the first.
    pub(crate) fn meet(&self, node: i32, api: ApiKey) -> Met {
        let mut met = Met::default();
        if self.waiting.load(Ordering::Acquire) == 0 {
            return met;
        }
        let mut list = lock(&self.list);
        let mut seen: Vec<std::mem::Discriminant<Action>> = Vec::new();
        for fault in list.iter_mut().filter(|it| it.meets(node, api)) {
            let kind = std::mem::discriminant(&fault.action);
            if seen.contains(&kind) {
                continue;
            }
            seen.push(kind);
            fault.left -= 1;
            match fault.action {
                Action::Fail(error) => met.fail = Some(error),
                Action::Delay(delay) => met.delay = Some(delay),
                Action::Late(delay) => met.late = Some(delay),
                Action::Swallow => met.swallow = true,
                Action::DropResponse => met.drop_response = true,
                Action::Disconnect => met.cut_after = Some(0),
                Action::CutAfter(bytes) => met.cut_after = Some(bytes),
                Action::Repeat => met.repeat = true,
            }
        }
        list.retain(|it| it.left > 0);
        self.waiting.store(list.len(), Ordering::Release);
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_as_many_requests_as_it_says() {
        let faults = Faults::default();
        faults.add(Fault::fail(ErrorCode::NOT_CONTROLLER).on(ApiKey::CreateTopics).at(2).times(2));
        assert_eq!(faults.meet(1, ApiKey::CreateTopics), Met::default());
        assert_eq!(faults.meet(2, ApiKey::Metadata), Met::default());
        for _ in 0..2 {
            let met = faults.meet(2, ApiKey::CreateTopics);
            assert_eq!(met.fail, Some(ErrorCode::NOT_CONTROLLER));
        }
        assert_eq!(faults.meet(2, ApiKey::CreateTopics), Met::default());
        assert_eq!(faults.left(), 0);
    }

    #[test]
    fn faults_of_different_kinds_add_up_and_equal_ones_queue() {
        let faults = Faults::default();
        faults.add(Fault::fail(ErrorCode::NOT_CONTROLLER));
        faults.add(Fault::fail(ErrorCode::REQUEST_TIMED_OUT));
        faults.add(Fault::delay(Duration::from_millis(5)));
        let first = faults.meet(1, ApiKey::Metadata);
        assert_eq!(first.fail, Some(ErrorCode::NOT_CONTROLLER));
        assert_eq!(first.delay, Some(Duration::from_millis(5)));
        let second = faults.meet(1, ApiKey::Metadata);
        assert_eq!((second.fail, second.delay), (Some(ErrorCode::REQUEST_TIMED_OUT), None));
    }
}
