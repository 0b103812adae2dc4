//! Configurations of topics and brokers.

use std::sync::Arc;

use roka_protocol::ApiKey;
use roka_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};
use roka_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use super::{Admin, fanout, judged, only};
use crate::connection::Lane;
use crate::router::Target;
use crate::{Error, NodeId, Subject};

/// What has a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigResource {
    /// A topic.
    Topic(Arc<str>),
    /// A broker. It is asked itself.
    Broker(NodeId),
    /// All brokers, where they have no value of their own.
    AllBrokers,
    /// A consumer group (Kafka 4.0).
    Group(Arc<str>),
}

impl ConfigResource {
    /// The topic of that name.
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self::Topic(name.into())
    }

    fn wire(&self) -> (i8, String) {
        match self {
            Self::Topic(name) => (2, name.to_string()),
            Self::Broker(node) => (4, node.to_string()),
            Self::AllBrokers => (4, String::new()),
            Self::Group(group) => (32, group.to_string()),
        }
    }

    fn target(&self) -> Target {
        match self {
            Self::Broker(node) => Target::Node(*node),
            Self::Group(group) => Target::group(group),
            Self::Topic(_) | Self::AllBrokers => Target::Any,
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::Topic(name) => Subject::Topic(name.clone()),
            Self::Broker(node) => Subject::Node(*node),
            Self::AllBrokers => Subject::Cluster,
            Self::Group(group) => Subject::Group(group.clone()),
        }
    }
}

/// Where a setting has its value from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigSource {
    /// Set for this topic.
    Topic,
    /// Set for this broker while it ran.
    Broker,
    /// Set for all brokers while they ran.
    AllBrokers,
    /// From the broker's properties file.
    File,
    /// Kafka's default.
    Default,
    /// Set for this group.
    Group,
    /// Not told, or not known to this client.
    Other(i8),
}

/// A setting and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigEntry {
    /// Kafka's name of the setting.
    pub name: String,
    /// Its value; none if it has none, or is secret.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it cannot be changed while the broker runs.
    pub read_only: bool,
    /// Whether the value is secret.
    pub sensitive: bool,
}

/// A change of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigChange {
    /// Gives it this value.
    Set(String, String),
    /// Takes its value away: the default holds again.
    Delete(String),
    /// Adds to a list.
    Append(String, String),
    /// Takes out of a list.
    Subtract(String, String),
}

impl ConfigChange {
    fn wire(&self) -> AlterableConfig {
        let (name, config_operation, value) = match self {
            Self::Set(name, value) => (name, 0, Some(value)),
            Self::Delete(name) => (name, 1, None),
            Self::Append(name, value) => (name, 2, Some(value)),
            Self::Subtract(name, value) => (name, 3, Some(value)),
        };
        AlterableConfig { name: name.clone(), config_operation, value: value.cloned() }
    }
}

impl Admin {
    /// All settings of a resource (Kafka 0.11).
    pub async fn describe_config(
        &self,
        resource: ConfigResource,
    ) -> Result<Vec<ConfigEntry>, Error> {
        only(self.describe_configs(&[resource]).await)
    }

    /// All settings of resources (Kafka 0.11); one result per resource.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
    ) -> Vec<Result<Vec<ConfigEntry>, Error>> {
        let resources = resources.to_vec();
        self.run_each(resources.len(), |core, deadline| async move {
            let ask = |resource: ConfigResource| {
                let core = core.clone();
                async move {
                    let (resource_type, resource_name) = resource.wire();
                    let asked = DescribeConfigsResource {
                        resource_type,
                        resource_name,
                        configuration_keys: None,
                    };
                    let request = |_| DescribeConfigsRequest {
                        resources: vec![asked.clone()],
                        ..DescribeConfigsRequest::default()
                    };
                    let route = core.route(resource.target(), Lane::General, deadline, request);
                    let answer =
                        route.await.map_err(|it| it.for_feature("describing configurations"))?;
                    let (api, subject) = (ApiKey::DescribeConfigs, resource.subject());
                    let Some(result) = answer.results.into_iter().next() else {
                        return Err(Error::Missing { api, subject });
                    };
                    judged(api, subject, result.error_code, result.error_message)?;
                    Ok(result.configs.into_iter().map(entry).collect())
                }
            };
            Ok(fanout::each(resources, ask).await)
        })
        .await
    }

    /// Changes single settings of a resource, and leaves the others as they are (Kafka 2.3).
    pub async fn alter_config(
        &self,
        resource: ConfigResource,
        changes: &[ConfigChange],
    ) -> Result<(), Error> {
        let configs: Vec<_> = changes.iter().map(ConfigChange::wire).collect();
        self.run(|core, deadline| async move {
            let (resource_type, resource_name) = resource.wire();
            let wanted = AlterConfigsResource { resource_type, resource_name, configs };
            let request = |_| IncrementalAlterConfigsRequest {
                resources: vec![wanted.clone()],
                validate_only: false,
            };
            let route = core.route(resource.target(), Lane::General, deadline, request);
            let answer = route.await.map_err(|it| it.for_feature("changing single settings"))?;
            let (api, subject) = (ApiKey::IncrementalAlterConfigs, resource.subject());
            match answer.responses.into_iter().next() {
                Some(it) => judged(api, subject, it.error_code, it.error_message),
                None => Err(Error::Missing { api, subject }),
            }
        })
        .await
    }
}

fn entry(it: DescribeConfigsResourceResult) -> ConfigEntry {
    let source = match it.config_source {
        // Version 0 only says whether it is a default.
        -1 if it.is_default => ConfigSource::Default,
        1 => ConfigSource::Topic,
        2 => ConfigSource::Broker,
        3 => ConfigSource::AllBrokers,
        4 => ConfigSource::File,
        5 => ConfigSource::Default,
        8 => ConfigSource::Group,
        other => ConfigSource::Other(other),
    };
    ConfigEntry {
        name: it.name,
        value: it.value,
        source,
        read_only: it.read_only,
        sensitive: it.is_sensitive,
    }
}
