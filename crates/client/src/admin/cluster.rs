//! The cluster as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use roka_protocol::ApiKey;
use tokio::time::timeout_at;

use super::{Admin, topics};
use crate::connection::Lane;
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

/// What one broker speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerVersions {
    /// Lowest and highest version of each API.
    pub apis: BTreeMap<ApiKey, (i16, i16)>,
    /// The cluster's features and their levels, such as `transaction.version` (KIP-584, Kafka 2.7).
    pub features: BTreeMap<String, i16>,
}

impl Admin {
    /// The versions that a broker speaks on the connection that there is now.
    pub async fn describe_versions(&self, node: NodeId) -> Result<BrokerVersions, Error> {
        self.run(|core, deadline| async move {
            if core.address_of(node).is_none() {
                // Bounded by the same deadline as the rest: nobody may have been asked anything yet.
                let newer = async { Ok(core.refresh_anew().await) };
                if let Ok(newer) = timeout_at(deadline.at(), core.unless_distrusted(newer)).await {
                    newer?;
                }
            }
            let connection = core.connection(node, Lane::General).await?;
            let Some(versions) = connection.versions() else {
                return Ok(BrokerVersions::default());
            };
            let range = |api: &ApiKey| Some((*api, versions.range(*api)?));
            let apis = ApiKey::ALL.iter().filter_map(range).collect();
            let features = versions.features().map(|(name, level)| (name.to_owned(), level));
            Ok(BrokerVersions { apis, features: features.collect() })
        })
        .await
    }

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
