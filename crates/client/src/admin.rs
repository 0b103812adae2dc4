//! Administration: topics, configurations, offsets, records, groups, the cluster.
//!
//! Rules:
//! - Each call ends within `api_timeout`; what moves meanwhile (controller, coordinators, leaders) is
//!   followed.
//! - A call about several items gives one result per item, in the order they were given. What fails as a
//!   whole fails each of them. Only items that failed and can succeed are asked for again.
//! - A broker that is too old for a call gives [`Error::BrokerTooOld`].
//! - An error in a response is never read as "nothing there".

mod cluster;
mod configs;
mod fanout;
mod group_offsets;
mod groups;
mod offsets;
mod partitions;
mod topics;

use std::future::Future;
use std::sync::Arc;

use roka_protocol::{ApiKey, ErrorCode};

pub use cluster::{BrokerVersions, ClusterDescription};
pub use configs::{ConfigChange, ConfigEntry, ConfigResource, ConfigSource};
pub use group_offsets::{CommittedOffset, GroupOffset};
pub use groups::{GroupDescription, GroupListing, MemberDescription};
pub use offsets::{ListedOffset, OffsetSpec};
pub use partitions::Reassignment;
pub use topics::{CreatedTopic, NewTopic};

use crate::core::Core;
use crate::retry::Deadline;
use crate::{Client, Error, Subject};

/// The administrative calls of a [`Client`]. Cheap to clone.
///
/// ```no_run
/// # async fn example() -> Result<(), roka_client::Error> {
/// use roka_client::admin::NewTopic;
/// use roka_client::{Client, Config};
///
/// let admin = Client::new(Config::new("localhost:9092"))?.admin();
/// let topic = NewTopic::new("clicks", 12, 3).config("cleanup.policy", "compact");
/// admin.create_topic(topic).await?;
/// for topic in admin.list_topics().await? {
///     println!("{} has {} partitions", topic.name, topic.partitions.len());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client,
}

impl Admin {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Runs a call on the I/O thread, within the time for one call.
    async fn run<T, F>(&self, call: impl FnOnce(Arc<Core>, Deadline) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
        T: Send + 'static,
    {
        let core = self.client.core();
        core.run(call(core.clone(), core.api_deadline())).await
    }

    /// As [`run`](Self::run), for a call about `count` items: what fails as a whole fails each.
    async fn run_each<T, F>(
        &self,
        count: usize,
        call: impl FnOnce(Arc<Core>, Deadline) -> F,
    ) -> Vec<Result<T, Error>>
    where
        F: Future<Output = Result<Vec<Result<T, Error>>, Error>> + Send + 'static,
        T: Send + 'static,
    {
        if count == 0 {
            return Vec::new();
        }
        match self.run(call).await {
            Ok(results) => results,
            Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
        }
    }
}

/// The only result of a call about one item.
fn only<T>(mut results: Vec<Result<T, Error>>) -> Result<T, Error> {
    results.pop().unwrap_or(Err(Error::Closed))
}

/// An item's error code and the broker's own words about it.
fn judged(api: ApiKey, subject: Subject, code: i16, detail: Option<String>) -> Result<(), Error> {
    match ErrorCode(code) {
        ErrorCode::NONE => Ok(()),
        code => {
            let detail = detail.filter(|it| !it.is_empty()).map(Arc::from);
            Err(Error::Refused { api, subject, code, detail })
        }
    }
}
