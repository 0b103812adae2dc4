//! What the leader of a group does: it runs the assignor for all.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use roka_protocol::{
    ErrorCode,
    messages::{join_group::JoinGroupResponseMember, sync_group::SyncGroupRequestAssignment},
};

use super::{
    assignor::{AssignError, Assignor, PartitionCounts, RebalanceProtocol, withhold_moving},
    error::GroupError,
    requests::Caller,
    subscription,
};
use crate::{Metadata, core::Core, metadata::Why};

/// How long the leader waits for the metadata of topics that only others subscribe to.
const METADATA_PATIENCE: Duration = Duration::from_secs(10);

/// What the leader decided.
pub(super) struct Led {
    pub(super) assignments: Vec<SyncGroupRequestAssignment>,
    /// What it is based on.
    pub(super) counts: PartitionCounts,
    /// All topics that anybody subscribes to.
    pub(super) topics: Tracked,
}

/// Topics that metadata is kept of, until it is dropped.
pub(super) struct Tracked {
    core: Arc<Core>,
    pub(super) names: BTreeSet<Arc<str>>,
}

impl Tracked {
    fn new(core: &Arc<Core>, names: BTreeSet<Arc<str>>) -> Self {
        let all: Vec<_> = names.iter().collect();
        core.track_topics(&all);
        Self { core: core.clone(), names }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let all: Vec<_> = self.names.iter().collect();
        self.core.untrack_topics(&all);
    }
}

/// The topics that exist and their number of partitions.
pub(super) fn counts(metadata: &Metadata, topics: &BTreeSet<Arc<str>>) -> PartitionCounts {
    let exists = |name: &Arc<str>| {
        let topic = metadata.topic(name)?;
        let gone = topic.error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let n = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        (n > 0 && !gone).then(|| (name.clone(), n))
    };
    topics.iter().filter_map(exists).collect()
}

/// The topics that members subscribe to, as far as that can be read.
pub(super) fn topics(members: &[JoinGroupResponseMember]) -> BTreeSet<Arc<str>> {
    let read = |it: &JoinGroupResponseMember| {
        subscription::decode_subscription(String::new(), None, it.metadata.clone()).ok()
    };
    members.iter().filter_map(read).flat_map(|it| it.topics).collect()
}

/// Runs the strategy that the coordinator chose.
pub(super) async fn assign(
    caller: &Caller,
    assignors: &[Arc<dyn Assignor>],
    protocol: &str,
    members: Vec<JoinGroupResponseMember>,
) -> Result<Led, GroupError> {
    let group = caller.config.group_id.clone();
    let Some(assignor) = assignors.iter().find(|it| it.name() == protocol) else {
        let reason = "the coordinator chose it, but this member does not have it".into();
        let error = AssignError { assignor: protocol.into(), reason };
        return Err(GroupError::Assign { group, error });
    };
    let members: Result<Vec<_>, _> = members
        .into_iter()
        .map(|it| {
            subscription::decode_subscription(it.member_id, it.group_instance_id, it.metadata)
        })
        .collect();
    let members = members.map_err(|problem| caller.malformed("subscription", problem))?;
    let topics = members.iter().flat_map(|it| it.topics.iter().cloned()).collect();
    let topics = Tracked::new(&caller.core, topics);
    let metadata = known(&caller.core, &topics.names).await;
    let counts = counts(&metadata, &topics.names);
    for topic in topics.names.iter().filter(|topic| !counts.contains_key(*topic)) {
        tracing::warn!(%group, topic = &**topic, "subscribed to a topic that does not exist");
    }
    let mut assignments = assignor
        .assign(&members, &counts)
        .map_err(|error| GroupError::Assign { group: group.clone(), error })?;
    if assignor.protocol() == RebalanceProtocol::Cooperative {
        withhold_moving(&members, &mut assignments);
    }
    let encode = |(member_id, assignment)| {
        let assignment = subscription::encode_assignment(&assignment)
            .map_err(|error| caller.malformed("assignment", error.to_string()))?;
        Ok(SyncGroupRequestAssignment { member_id, assignment })
    };
    let assignments = assignments.into_iter().map(encode).collect::<Result<_, _>>()?;
    Ok(Led { assignments, counts, topics })
}

/// Metadata that says something about each of the topics, or after a while what there is.
async fn known(core: &Arc<Core>, topics: &BTreeSet<Arc<str>>) -> Arc<Metadata> {
    let waiting = async {
        let mut metadata = core.metadata();
        while topics.iter().any(|topic| metadata.topic(topic).is_none()) {
            metadata = core.refresh(metadata.generation, Why::Asked).await;
        }
    };
    if tokio::time::timeout(METADATA_PATIENCE, waiting).await.is_err() {
        tracing::warn!("assigning without the metadata of all topics");
    }
    core.metadata()
}
