//! The cluster as a whole.

use std::sync::Arc;

use super::{Admin, topics};
use crate::{Broker, Error, NodeId};

/// The cluster: its brokers and who controls it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterDescription {
    /// Its id (Kafka 0.10.1).
    pub id: Option<Arc<str>>,
    /// The controller; with `KRaft` a broker that passes requests on to it.
    pub controller: Option<NodeId>,
    /// The brokers that live, by number.
    pub brokers: Vec<Broker>,
}

impl Admin {
    /// Brokers and controller, asked for now.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, Error> {
        self.run(|core, deadline| async move {
            let metadata = topics::ask(&core, deadline, Some(&[])).await?;
            let mut brokers: Vec<_> = metadata.brokers.into_values().collect();
            brokers.sort_unstable_by_key(|broker| broker.id);
            let (id, controller) = (metadata.cluster_id, metadata.controller);
            Ok(ClusterDescription { id, controller, brokers })
        })
        .await
    }
}
