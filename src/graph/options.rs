//! How an input is consumed: errors, null payloads, where to start.

use std::{borrow::Cow, time::Duration};

use super::Edges;

/// What happens when a record cannot be processed: its key or value cannot be decoded, or its
/// callback returns an error. Whatever the policy, the failed callback leaves no trace.
///
/// A callback that panics ends the processor under every policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnError {
    /// The processor ends with the error; the record is not committed. The default.
    #[default]
    Fail,
    /// The record is logged and left out.
    Skip,
    /// The record is tried again, while its partition waits.
    Retry {
        /// How long to wait before each attempt.
        backoff: Backoff,
        /// How often to try again; `None` is until it works.
        retries_max: Option<u32>,
        /// What happens after the last attempt.
        then: Box<OnError>,
    },
    /// The record's bytes go to the topic of this name, with its headers and these: `roka.error`,
    /// `roka.stage` (`key`, `value` or `callback`), `roka.group`, `roka.topic`, `roka.partition`,
    /// `roka.offset`, `roka.timestamp`.
    DeadLetter(Cow<'static, str>),
}

impl OnError {
    /// Sends failed records to `topic`.
    pub fn dead_letter(topic: impl Into<Cow<'static, str>>) -> Self {
        Self::DeadLetter(topic.into())
    }

    /// Tries again up to `retries_max` times with the default back-off, then does `then`.
    pub fn retry(retries_max: u32, then: Self) -> Self {
        let (backoff, then) = (Backoff::default(), Box::new(then));
        Self::Retry { backoff, retries_max: Some(retries_max), then }
    }

    /// Tries again with the default back-off until it works.
    pub fn retry_forever() -> Self {
        let (backoff, then) = (Backoff::default(), Box::new(Self::Fail));
        Self::Retry { backoff, retries_max: None, then }
    }

    /// The dead-letter topic that this policy ends in, if it does.
    fn dead_letter_topic(&self) -> Option<&str> {
        match self {
            Self::DeadLetter(topic) => Some(topic),
            Self::Retry { then, .. } => then.dead_letter_topic(),
            Self::Fail | Self::Skip => None,
        }
    }
}

/// Waiting times that double from `first` up to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Before the first retry. Default: 100 ms.
    pub first: Duration,
    /// The longest. Default: 10 s.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), max: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// The wait before retry `n`, counted from 0.
    pub fn wait(&self, n: u32) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(n)).min(self.max)
    }
}

/// What happens on a null payload of an input whose codec has no value for it.
///
/// Goka's `NilHandling`. Its `NilProcess` is [`Stream::nullable`](crate::Stream::nullable).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nulls {
    /// The record is left out and committed. The default, as in Goka.
    #[default]
    Ignore,
    /// The codec decodes zero bytes.
    Decode,
}

/// Where a group starts on a partition for which it has no committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Start {
    /// At the oldest record. The default: what was sent before the group first ran counts.
    ///
    /// Goka starts at the newest.
    #[default]
    Earliest,
    /// At the end: only what is sent from now on.
    Latest,
}

/// The options of one input, changed in place.
///
/// ```
/// # use roka::{Group, Nulls, OnError, Start, Stream};
/// # const CLICKS: Stream<String, u32> = Stream::json("clicks");
/// let mut graph = Group::<String, u64>::json("counter").graph();
/// graph
///     .input(CLICKS, |_ctx, _click| Ok(()))
///     .on_error(OnError::retry(3, OnError::dead_letter("clicks-failed")))
///     .start(Start::Latest);
/// ```
#[derive(Debug)]
pub struct InputOptions<'g> {
    options: &'g mut Options,
    edges: &'g mut Edges,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) on_error: OnError,
    /// Place of the dead-letter output that `on_error` ends in.
    pub(crate) dead_letter: Option<usize>,
    pub(crate) nulls: Nulls,
    /// `None`: as the configuration says.
    pub(crate) start: Option<Start>,
}

impl<'g> InputOptions<'g> {
    pub(super) fn new(options: &'g mut Options, edges: &'g mut Edges) -> Self {
        Self { options, edges }
    }

    /// What happens to a record that cannot be processed. Default: [`OnError::Fail`].
    #[expect(clippy::return_self_not_must_use, reason = "changes the graph in place")]
    pub fn on_error(self, on_error: OnError) -> Self {
        let topic = on_error.dead_letter_topic().map(str::to_owned);
        self.options.dead_letter = topic.map(|topic| self.edges.dead_letter(topic));
        self.options.on_error = on_error;
        self
    }

    /// What happens on a null payload. Default: [`Nulls::Ignore`].
    #[expect(clippy::return_self_not_must_use, reason = "changes the graph in place")]
    pub fn nulls(self, nulls: Nulls) -> Self {
        self.options.nulls = nulls;
        self
    }

    /// Where to start without a committed offset. Default: [`Config::start`](crate::Config::start).
    #[expect(clippy::return_self_not_must_use, reason = "changes the graph in place")]
    pub fn start(self, start: Start) -> Self {
        self.options.start = Some(start);
        self
    }
}

impl std::fmt::Debug for Edges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edges")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits = [0, 1, 2, 6, 7, 40].map(|n| Backoff::default().wait(n).as_millis());
        assert_eq!(waits, [100, 200, 400, 6_400, 10_000, 10_000]);
    }
}
