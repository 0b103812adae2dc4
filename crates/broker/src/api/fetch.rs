//! Fetch: batches from the leader's log, and waiting for them.
//!
//! - A fetch that finds fewer than `min_bytes` waits until appends bring them, at most `max_wait`. It is woken by the
//!   append; nothing polls.
//! - An error on any partition ends the wait, so that clients learn of it at once.
//! - Records are slices of the log, not copies. The first partition with records gets at least one batch, however
//!   large (KIP-74).
//! - In a session (KIP-227) the node remembers what the client asked for; requests and responses carry only what
//!   changed.

mod convert;
mod read;
pub(crate) mod session;

use std::{sync::Arc, time::Duration};

use roka_protocol::{
    ErrorCode, Uuid,
    messages::fetch::{
        FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse,
        NodeEndpoint, PartitionData,
    },
};
use tokio::{sync::Notify, time::Instant};

use self::{
    read::{Found, Limits, failed, read_all},
    session::{Context, Sent},
};
use super::{Handler, RequestContext, hints};
use crate::{
    node::Node,
    state::{Partition, Topics},
};

const ENDPOINTS_FROM: i16 = 16;

impl Handler for FetchRequest {
    async fn handle(self, node: &Node, ctx: &RequestContext) -> FetchResponse {
        let deadline = Instant::now() + Duration::from_millis(self.max_wait_ms.max(0) as u64);
        let limits = Limits {
            max_bytes: self.max_bytes.max(0) as usize,
            min_bytes: self.min_bytes.max(0) as usize,
            committed_only: self.isolation_level == 1,
            version: ctx.version,
            rack: self.rack_id.clone(),
        };
        let mut context = match session::begin(node, ctx.version, self) {
            Ok(context) => context,
            Err(error) => return FetchResponse { error_code: error.0, ..Default::default() },
        };
        let mut found = read_or_wait(node, &context.wanted, &limits, deadline).await;
        convert::to_version(&mut found.data, ctx.version);
        let node_endpoints = if ctx.version >= ENDPOINTS_FROM {
            hints::endpoints(node, &found.moved)
                .map(|(node_id, host, port, rack)| NodeEndpoint { node_id, host, port, rack })
                .collect()
        } else {
            Vec::new()
        };
        let responses = respond(&mut context, found.data);
        let session_id = session::end(node, context);
        FetchResponse { session_id, responses, node_endpoints, ..Default::default() }
    }

    fn refuse(&self, error: ErrorCode) -> FetchResponse {
        let topic = |topic: &FetchTopic| FetchableTopicResponse {
            topic: topic.topic.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(|it| failed(it.partition, error)).collect(),
        };
        FetchResponse { responses: self.topics.iter().map(topic).collect(), ..Default::default() }
    }
}

/// One partition that is asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    topic: String,
    topic_id: Uuid,
    /// `None` while it does not exist.
    partition: Option<Arc<Partition>>,
    asked: FetchPartition,
    /// What the client was told of it in this session.
    sent: Option<Sent>,
}

impl Wanted {
    fn new(topics: &Topics, topic: String, topic_id: Uuid, asked: FetchPartition) -> Self {
        let mut wanted = Self { topic, topic_id, partition: None, asked, sent: None };
        wanted.resolve(topics);
        wanted
    }

    /// Finds the partition, also again when its topic was made anew.
    fn resolve(&mut self, topics: &Topics) {
        let found = topics.find(self.topic_id, &self.topic);
        self.partition = found.and_then(|it| it.partition(self.asked.partition));
    }
}

/// Takes part in the wake-ups of partitions for as long as it lives.
struct Waiting<'a> {
    wanted: &'a [Wanted],
    notify: Arc<Notify>,
}

impl<'a> Waiting<'a> {
    fn on(wanted: &'a [Wanted], notify: &Arc<Notify>) -> Self {
        wanted.iter().filter_map(|it| it.partition.as_ref()).for_each(|it| it.wait(notify));
        Self { wanted, notify: notify.clone() }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let partitions = self.wanted.iter().filter_map(|it| it.partition.as_ref());
        partitions.for_each(|it| it.stop_waiting(&self.notify));
    }
}

async fn read_or_wait(node: &Node, wanted: &[Wanted], limits: &Limits, deadline: Instant) -> Found {
    let enough = |found: &Found| found.failed || found.bytes >= limits.min_bytes;
    let found = read_all(node, wanted, limits);
    // As in Kafka, a request for nothing does not wait.
    if enough(&found) || wanted.is_empty() || Instant::now() >= deadline {
        return found;
    }
    let notify = Arc::new(Notify::new());
    loop {
        let waiting = Waiting::on(wanted, &notify);
        // An append may have come since: only what happens from here on wakes.
        let found = read_all(node, wanted, limits);
        if enough(&found) {
            return found;
        }
        let woken = tokio::time::timeout_at(deadline, notify.notified()).await;
        drop(waiting);
        if woken.is_err() {
            return read_all(node, wanted, limits);
        }
    }
}

/// Puts the partitions under their topics, which follow each other as they were asked for. An incremental response
/// leaves out what has nothing new; partitions with records go to the end of their session, so that each gets its turn.
fn respond(context: &mut Context, data: Vec<PartitionData>) -> Vec<FetchableTopicResponse> {
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    let (mut quiet, mut served) = (Vec::new(), Vec::new());
    let incremental = context.is_incremental();
    for (mut want, data) in std::mem::take(&mut context.wanted).into_iter().zip(data) {
        let has_records = data.records.as_ref().is_some_and(|it| !it.is_empty());
        let news = want.note(&data);
        if news || !incremental {
            let last = topics.last_mut();
            match last.filter(|it| it.topic == want.topic && it.topic_id == want.topic_id) {
                Some(topic) => topic.partitions.push(data),
                None => topics.push(FetchableTopicResponse {
                    topic: want.topic.clone(),
                    topic_id: want.topic_id,
                    partitions: vec![data],
                }),
            }
        }
        if has_records { served.push(want) } else { quiet.push(want) }
    }
    quiet.append(&mut served);
    context.wanted = quiet;
    topics
}
