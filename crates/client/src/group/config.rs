//! How to be in a group.

use std::{sync::Arc, time::Duration};

use crate::Error;

/// How a member takes part in its group.
///
/// ```
/// use roka_client::group::GroupConfig;
/// let config = GroupConfig::new("billing", ["orders", "payments"]).instance_id("billing-1");
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupConfig {
    /// `group.id`.
    pub group_id: Arc<str>,
    /// The topics to read.
    pub topics: Vec<Arc<str>>,
    /// `group.instance.id` (KIP-345): a member that comes back under the same name within the session timeout gets
    /// its partitions back without a rebalance. Needs Kafka 2.3. Default: none.
    pub instance_id: Option<Arc<str>>,
    /// The coordinator gives a member up that it did not hear of for this long. Default: 45 s.
    pub session_timeout: Duration,
    /// How long a rebalance waits for members to give up their partitions and join again. Default: 60 s.
    pub rebalance_timeout: Duration,
    /// Time between heartbeats. Default: 3 s.
    pub heartbeat_interval: Duration,
    /// How long a commit may take with all its retries, rebalances included. Default: 60 s.
    pub commit_timeout: Duration,
}

impl GroupConfig {
    /// The defaults.
    pub fn new<T: Into<Arc<str>>>(
        group_id: impl Into<Arc<str>>,
        topics: impl IntoIterator<Item = T>,
    ) -> Self {
        Self {
            group_id: group_id.into(),
            topics: topics.into_iter().map(Into::into).collect(),
            instance_id: None,
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(60),
            heartbeat_interval: Duration::from_secs(3),
            commit_timeout: Duration::from_secs(60),
        }
    }

    /// Makes the member static.
    #[must_use]
    pub fn instance_id(mut self, instance_id: impl Into<Arc<str>>) -> Self {
        self.instance_id = Some(instance_id.into());
        self
    }

    /// Sets [`session_timeout`](Self#structfield.session_timeout), and the heartbeat interval to at most a third of
    /// it.
    #[must_use]
    pub fn session_timeout(mut self, session_timeout: Duration) -> Self {
        self.session_timeout = session_timeout;
        self.heartbeat_interval = self.heartbeat_interval.min(session_timeout / 3);
        self
    }

    /// Sets [`rebalance_timeout`](Self#structfield.rebalance_timeout).
    #[must_use]
    pub fn rebalance_timeout(mut self, rebalance_timeout: Duration) -> Self {
        self.rebalance_timeout = rebalance_timeout;
        self
    }

    /// Sets [`heartbeat_interval`](Self#structfield.heartbeat_interval).
    #[must_use]
    pub fn heartbeat_interval(mut self, heartbeat_interval: Duration) -> Self {
        self.heartbeat_interval = heartbeat_interval;
        self
    }

    /// The first field with a value that cannot work.
    pub fn validate(&self) -> Result<(), Error> {
        let show = |duration: Duration| format!("{duration:?}");
        if self.group_id.is_empty() {
            return Err(Error::config("group_id", "", "a name"));
        }
        if self.topics.is_empty() {
            return Err(Error::config("topics", "", "at least one topic"));
        }
        if self.instance_id.as_ref().is_some_and(|id| id.is_empty()) {
            return Err(Error::config("instance_id", "", "a name, or none"));
        }
        if self.heartbeat_interval.is_zero() || self.heartbeat_interval >= self.session_timeout {
            let value = show(self.heartbeat_interval);
            return Err(Error::config(
                "heartbeat_interval",
                value,
                "above zero and below `session_timeout`",
            ));
        }
        for (field, value) in [
            ("session_timeout", self.session_timeout),
            ("rebalance_timeout", self.rebalance_timeout),
        ] {
            if i32::try_from(value.as_millis()).is_err() || value.is_zero() {
                return Err(Error::config(field, show(value), "above zero and below 24 days"));
            }
        }
        Ok(())
    }
}
