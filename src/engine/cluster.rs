//! What the engine asks the cluster outside of the flow of records: topics and the ends of logs.
//!
//! Questions are asked until they are answered: a cluster that is away is waited for. Only an answer that asking again
//! cannot change is an error.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use roka_client::{Client, TopicPartition};

use super::{error::ProcessorError, recovery::Bounds};

/// Between attempts.
const RETRY: Duration = Duration::from_millis(500);
/// How often to say that the cluster is still waited for.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Asks until there is an answer that asking again would not change.
pub(crate) async fn patiently<T>(
    action: &str,
    mut ask: impl AsyncFnMut() -> Result<T, roka_client::Error>,
) -> Result<T, ProcessorError> {
    let mut said: Option<Instant> = None;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_retriable() => {
                if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
                    said = Some(Instant::now());
                    tracing::warn!(%error, action, "waiting for the cluster");
                }
                tokio::time::sleep(RETRY).await;
            }
            Err(source) => return Err(ProcessorError::Refused { action: action.to_owned(), source }),
        }
    }
}

/// Where the logs of these partitions begin and end.
pub(crate) async fn bounds(
    client: &Client,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Bounds>, ProcessorError> {
    let admin = client.admin();
    patiently("listing offsets", async || {
        let starts = admin.list_offsets(partitions, OffsetSpec::Earliest).await?;
        let ends = admin.list_offsets(partitions, OffsetSpec::Latest).await?;
        Ok(starts.zip(ends))
    })
    .await
}
