//! When to ask for metadata, and for which topics. A plain value fed with events and time.
//!
//! Rules:
//! - One request at a time; whatever is wanted meanwhile goes into the next.
//! - After an answer with news the next may follow after `min_age`; each answer without news, and each
//!   failure, doubles the distance from `backoff` to `backoff_max` (storm guard). Quiet resets it.
//! - A topic that was never answered is asked for alone and without that distance, so that adding topics one by one
//!   does not ask for all of them each time.
//! - Without any wish, everything tracked is asked for after `max_age`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::Config;
use crate::retry::Backoff;

/// Why metadata is asked for; what a caller is waiting for decides nothing, but logs say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// A broker says that it does not lead a partition, or that something else moved.
    Stale,
    /// A broker could not be reached.
    Unreachable,
    /// The user asked.
    Asked,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask now for the brokers and these topics (none is allowed), then report
    /// [`Refresher::answered`] or [`Refresher::failed`].
    Ask(Vec<Arc<str>>),
    /// Look again then, or when something was requested.
    Wait(Instant),
}

/// Decides when to ask.
#[derive(Debug)]
pub(crate) struct Refresher {
    max_age: Duration,
    min_age: Duration,
    backoff: Backoff,
    /// Between rounds in which no broker gave a usable answer, though some could be reached.
    failures: Backoff,
    quiet: Duration,
    /// Tracked topics, each with how many track it.
    tracked: HashMap<Arc<str>, usize>,
    /// Tracked topics without an answer so far.
    fresh: BTreeSet<Arc<str>>,
    /// Someone wants a snapshot with a generation above this.
    wanted: Option<u64>,
    in_flight: bool,
    /// Before it nothing is asked at all: an attempt failed.
    retry_at: Option<Instant>,
    /// Before it nothing known is asked again: the last answer brought no news.
    not_before: Option<Instant>,
    last_answer: Option<Instant>,
}

impl Refresher {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            max_age: config.metadata_max_age,
            min_age: config.metadata_min_age,
            backoff: Backoff::new(config.retry_backoff, config.retry_backoff_max),
            failures: Backoff::new(config.retry_backoff, config.retry_backoff_max),
            quiet: config.retry_backoff_max * 2,
            tracked: HashMap::new(),
            fresh: BTreeSet::new(),
            wanted: None,
            in_flight: false,
            retry_at: None,
            not_before: None,
            last_answer: None,
        }
    }

    /// Someone wants a snapshot with a generation above `after`.
    pub(crate) fn want(&mut self, now: Instant, after: u64) {
        // Quiet for long: what was learnt about the pace is out of date.
        if self.last_answer.is_some_and(|at| now.duration_since(at) > self.quiet) {
            self.backoff.reset();
        }
        self.wanted = self.wanted.max(Some(after));
    }

    /// Whether a request is under way, whose answer may be older than a wish made now.
    pub(crate) fn in_flight(&self) -> bool {
        self.in_flight
    }

    /// Adds the topic to what is asked for; true if it is new.
    pub(crate) fn track(&mut self, topic: &Arc<str>) -> bool {
        let count = self.tracked.entry(topic.clone()).or_default();
        *count += 1;
        let new = *count == 1;
        if new {
            self.fresh.insert(topic.clone());
        }
        new
    }

    /// Takes back one [`track`](Self::track); true if nobody tracks the topic any more.
    pub(crate) fn untrack(&mut self, topic: &str) -> bool {
        let Some(count) = self.tracked.get_mut(topic) else { return false };
        *count -= 1;
        if *count > 0 {
            return false;
        }
        self.tracked.remove(topic);
        self.fresh.remove(topic);
        true
    }

    /// What to do at `now`.
    pub(crate) fn step(&mut self, now: Instant) -> Step {
        let due = self.last_answer.map(|at| at + self.max_age);
        let far = now + self.max_age;
        if self.in_flight {
            return Step::Wait(far);
        }
        let old = due.is_some_and(|due| due <= now);
        if self.wanted.is_none() && self.fresh.is_empty() && !old {
            return Step::Wait(due.unwrap_or(far));
        }
        let young = self.last_answer.map(|at| at + self.min_age);
        let guard = if self.fresh.is_empty() { self.not_before } else { young };
        if let Some(at) = guard.max(self.retry_at).filter(|at| *at > now) {
            return Step::Wait(at);
        }
        self.in_flight = true;
        let all = self.wanted.is_some() || old;
        let topics: Vec<_> = if all {
            self.fresh.clear();
            let mut topics: Vec<_> = self.tracked.keys().cloned().collect();
            topics.sort_unstable();
            topics
        } else {
            std::mem::take(&mut self.fresh).into_iter().collect()
        };
        Step::Ask(topics)
    }

    /// The answer to the last [`Step::Ask`] made the snapshot of that generation; `news` if it changed
    /// anything.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        generation: u64,
        news: bool,
        rng: &mut fastrand::Rng,
    ) {
        self.in_flight = false;
        self.wanted = self.wanted.filter(|after| *after >= generation);
        self.last_answer = Some(now);
        self.failures.reset();
        self.retry_at = None;
        if news {
            self.backoff.reset();
        }
        let distance = if news { self.min_age } else { self.backoff.next(rng) };
        self.not_before = Some(now + distance);
    }

    /// The last [`Step::Ask`] failed with every broker. It is asked again when one may be dialled, at `dial_at`;
    /// if that is now, none of them refused, and the wait is a growing one.
    pub(crate) fn failed(
        &mut self,
        now: Instant,
        dial_at: Option<Instant>,
        rng: &mut fastrand::Rng,
    ) {
        self.in_flight = false;
        self.wanted = self.wanted.or(Some(0));
        self.retry_at = dial_at.or_else(|| Some(now + self.failures.next(rng)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refresher() -> (Refresher, Instant, fastrand::Rng) {
        (Refresher::new(&Config::new("a:1")), Instant::now(), fastrand::Rng::with_seed(1))
    }

    fn ask(topics: &[&str]) -> Step {
        Step::Ask(topics.iter().map(|it| Arc::from(*it)).collect())
    }

    #[test]
    fn one_request_serves_all_who_want_it() {
        let (mut it, now, mut rng) = refresher();
        for _ in 0..1000 {
            it.want(now, 5);
        }
        assert_eq!(it.step(now), ask(&[]));
        it.want(now, 5);
        it.want(now, 6);
        assert!(matches!(it.step(now), Step::Wait(_)), "one at a time");
        it.answered(now, 6, true, &mut rng);
        // Generation 6 serves all but the one who knew it already.
        let Step::Wait(at) = it.step(now) else { panic!("min age not kept") };
        assert_eq!(it.step(at), ask(&[]));
        it.answered(at, 7, true, &mut rng);
        let Step::Wait(next) = it.step(at) else { panic!("asked for nothing") };
        assert_eq!(next, at + it.max_age);
    }

    #[test]
    fn answers_without_news_slow_it_down() {
        let (mut it, start, mut rng) = refresher();
        let (mut now, mut asked) = (start, 0);
        while now < start + Duration::from_secs(2) {
            it.want(now, asked);
            match it.step(now) {
                Step::Ask(_) => {
                    asked += 1;
                    it.answered(now, asked, false, &mut rng);
                }
                Step::Wait(at) => now = at,
            }
        }
        assert!((4..=6).contains(&asked), "{asked} requests in 2 s");
        // Quiet: the next is immediate again, and soon followed by another.
        now += Duration::from_secs(60);
        it.want(now, 100);
        assert!(matches!(it.step(now), Step::Ask(_)));
        it.answered(now, 101, false, &mut rng);
        it.want(now, 101);
        let Step::Wait(at) = it.step(now) else { panic!("no guard") };
        assert!(at - now <= Duration::from_millis(120));
    }

    #[test]
    fn a_new_topic_is_asked_for_alone() {
        let (mut it, now, mut rng) = refresher();
        assert!(it.track(&"b".into()));
        assert!(!it.track(&"b".into()));
        assert_eq!(it.step(now), ask(&["b"]));
        it.answered(now, 1, true, &mut rng);
        it.track(&"a".into());
        let Step::Wait(at) = it.step(now) else { panic!("min age not kept") };
        assert_eq!(it.step(at), ask(&["a"]));
        it.answered(at, 2, true, &mut rng);
        it.want(at, 2);
        assert_eq!(it.step(at + it.min_age), ask(&["a", "b"]));
        assert!(!it.untrack("b"));
        assert!(it.untrack("b"));
        assert!(!it.untrack("b"));
    }

    #[test]
    fn old_metadata_is_renewed() {
        let (mut it, now, mut rng) = refresher();
        it.want(now, 0);
        assert!(matches!(it.step(now), Step::Ask(_)));
        it.answered(now, 1, true, &mut rng);
        let Step::Wait(at) = it.step(now) else { panic!("asked for nothing") };
        assert_eq!(at, now + Duration::from_secs(300));
        assert!(matches!(it.step(at), Step::Ask(_)));
    }

    #[test]
    fn a_failure_is_repeated() {
        let (mut it, now, mut rng) = refresher();
        it.want(now, 0);
        assert!(matches!(it.step(now), Step::Ask(_)));
        let soon = now + Duration::from_millis(5);
        it.failed(now, Some(soon), &mut rng);
        assert_eq!(it.step(now), Step::Wait(soon));
        assert!(matches!(it.step(soon), Step::Ask(_)));
        it.failed(soon, None, &mut rng);
        let Step::Wait(later) = it.step(soon) else { panic!("no wait") };
        assert!(later >= soon + Duration::from_millis(80));
    }
}
