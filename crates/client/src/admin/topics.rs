//! Topics: create, delete, grow, describe, list.

use std::sync::Arc;

use roka_protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use roka_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicResult,
    CreateTopicsRequest,
};
use roka_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use roka_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use roka_protocol::{ApiKey, ErrorCode, Uuid};

use super::{Admin, judged, only};
use crate::connection::Lane;
use crate::core::Core;
use crate::metadata::Update;
use crate::retry::Deadline;
use crate::router::Target;
use crate::{Error, Metadata, NodeId, Subject, Topic};

/// The version of `CreateTopics` that knows the broker's defaults.
const DEFAULTS_SINCE: i16 = 4;
/// The replicas of a topic where nobody says how many.
const REPLICAS: usize = 3;

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    name: Arc<str>,
    partitions: i32,
    replication: i16,
    assignments: Vec<Vec<NodeId>>,
    configs: Vec<(String, String)>,
}

impl NewTopic {
    /// A topic with that many partitions, each on that many brokers; -1 is the broker's default for either
    /// (KIP-464, Kafka 2.4). Older brokers have no default for replicas: there -1 is three, or as many as there are
    /// brokers if they are fewer.
    pub fn new(name: impl Into<Arc<str>>, partitions: i32, replication: i16) -> Self {
        let (assignments, configs) = (Vec::new(), Vec::new());
        Self { name: name.into(), partitions, replication, assignments, configs }
    }

    /// Chooses the brokers of each partition, the preferred leader first, instead of counts.
    #[must_use]
    pub fn assignments(mut self, assignments: Vec<Vec<NodeId>>) -> Self {
        (self.partitions, self.replication) = (-1, -1);
        self.assignments = assignments;
        self
    }

    /// Sets a setting of the topic by Kafka's name, such as `cleanup.policy`.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.push((name.into(), value.into()));
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As it is asked for in that version of `CreateTopics`, of that many brokers.
    fn creatable(&self, version: i16, brokers: usize) -> CreatableTopic {
        let defaults = version >= DEFAULTS_SINCE || !self.assignments.is_empty();
        let replication_factor = match self.replication {
            -1 if !defaults => brokers.clamp(1, REPLICAS) as i16,
            replication => replication,
        };
        let assignment = |(index, nodes): (usize, &Vec<NodeId>)| CreatableReplicaAssignment {
            partition_index: index as i32,
            broker_ids: nodes.iter().map(|node| node.0).collect(),
        };
        let config = |(name, value): &(String, String)| CreatableTopicConfig {
            name: name.clone(),
            value: Some(value.clone()),
        };
        CreatableTopic {
            name: self.name.to_string(),
            num_partitions: self.partitions,
            replication_factor,
            assignments: self.assignments.iter().enumerate().map(assignment).collect(),
            configs: self.configs.iter().map(config).collect(),
        }
    }
}

/// A topic that was created, as far as the broker tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreatedTopic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; zero before Kafka 2.8.
    pub id: Uuid,
    /// Its partitions; none before Kafka 2.4.
    pub partitions: Option<i32>,
    /// Its replicas per partition; none before Kafka 2.4.
    pub replication: Option<i16>,
}

impl Admin {
    /// Creates a topic. Brokers other than the controller may take a moment to know it. [`ErrorCode::TOPIC_ALREADY_EXISTS`] may also mean that an attempt whose answer got
    /// lost succeeded.
    pub async fn create_topic(&self, topic: NewTopic) -> Result<CreatedTopic, Error> {
        only(self.create_topics(&[topic]).await)
    }

    /// Creates topics; one result per topic.
    pub async fn create_topics(&self, topics: &[NewTopic]) -> Vec<Result<CreatedTopic, Error>> {
        self.create(topics, false).await
    }

    /// Checks, without creating anything, whether the topics could be created (Kafka 0.10.2).
    pub async fn validate_topics(&self, topics: &[NewTopic]) -> Vec<Result<CreatedTopic, Error>> {
        self.create(topics, true).await
    }

    async fn create(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Vec<Result<CreatedTopic, Error>> {
        let topics = topics.to_vec();
        self.run_each(topics.len(), |core, deadline| async move {
            let request = |version| {
                let brokers = core.metadata().brokers.len();
                CreateTopicsRequest {
                    topics: topics.iter().map(|it| it.creatable(version, brokers)).collect(),
                    timeout_ms: broker_timeout(&core),
                    validate_only,
                }
            };
            let route = core.route(Target::Controller, Lane::General, deadline, request);
            let answers = route.await.map_err(|it| it.for_feature("creating topics"))?.topics;
            let result = |topic: &NewTopic| created(topic, &answers);
            Ok(topics.iter().map(result).collect())
        })
        .await
    }

    /// Deletes a topic, with all its records.
    pub async fn delete_topic(&self, topic: &str) -> Result<(), Error> {
        only(self.delete_topics(&[topic]).await)
    }

    /// Deletes topics, with all their records; one result per topic. One that is unknown after an attempt whose answer
    /// got lost counts as deleted.
    pub async fn delete_topics(&self, topics: &[&str]) -> Vec<Result<(), Error>> {
        let names: Vec<_> = topics.iter().map(|&name| Arc::<str>::from(name)).collect();
        self.run_each(names.len(), |core, deadline| async move {
            let state = |name: &Arc<str>| DeleteTopicState {
                name: Some(name.to_string()),
                ..DeleteTopicState::default()
            };
            let request = |version: i16| {
                let mut request = DeleteTopicsRequest {
                    timeout_ms: broker_timeout(&core),
                    ..DeleteTopicsRequest::default()
                };
                match version {
                    6.. => request.topics = names.iter().map(state).collect(),
                    _ => request.topic_names = names.iter().map(ToString::to_string).collect(),
                }
                request
            };
            let any = (0, i16::MAX);
            let route =
                core.route_noting(any, Target::Controller, Lane::General, deadline, request);
            let answer = route.await.map_err(|it| it.for_feature("deleting topics"));
            let (answers, repeated) = answer.map(|(it, repeated)| (it.responses, repeated))?;
            let result = |name: &Arc<str>| {
                let (api, subject) = (ApiKey::DeleteTopics, Subject::Topic(name.clone()));
                let mut answers = answers.iter();
                match answers.find(|it| it.name.as_deref() == Some(name)) {
                    // An attempt whose answer got lost has deleted it.
                    Some(it) if repeated && is_gone(ErrorCode(it.error_code)) => Ok(()),
                    Some(it) => judged(api, subject, it.error_code, it.error_message.clone()),
                    None => Err(Error::Missing { api, subject }),
                }
            };
            Ok(names.iter().map(result).collect())
        })
        .await
    }

    /// Raises the number of partitions of a topic to `count` (Kafka 1.0). Keys go to other partitions then.
    pub async fn create_partitions(&self, topic: &str, count: i32) -> Result<(), Error> {
        let name = Arc::<str>::from(topic);
        self.run(|core, deadline| async move {
            let topic =
                || CreatePartitionsTopic { name: name.to_string(), count, assignments: None };
            let request = |_| CreatePartitionsRequest {
                topics: vec![topic()],
                timeout_ms: broker_timeout(&core),
                validate_only: false,
            };
            let route = core.route(Target::Controller, Lane::General, deadline, request);
            let answers = route.await.map_err(|it| it.for_feature("adding partitions"))?.results;
            let (api, subject) = (ApiKey::CreatePartitions, Subject::Topic(name.clone()));
            match answers.into_iter().find(|it| *it.name == *name) {
                Some(it) => judged(api, subject, it.error_code, it.error_message),
                None => Err(Error::Missing { api, subject }),
            }
        })
        .await
    }

    /// Partitions, leaders and replicas of a topic.
    pub async fn describe_topic(&self, topic: &str) -> Result<Arc<Topic>, Error> {
        only(self.describe_topics(&[topic]).await)
    }

    /// Partitions, leaders and replicas of topics; one result per topic.
    pub async fn describe_topics(&self, topics: &[&str]) -> Vec<Result<Arc<Topic>, Error>> {
        let names: Vec<_> = topics.iter().map(|&name| Arc::<str>::from(name)).collect();
        self.run_each(names.len(), |core, deadline| async move {
            let metadata = ask(&core, deadline, Some(&names)).await?;
            let result = |name: &Arc<str>| {
                let (api, subject) = (ApiKey::Metadata, Subject::Topic(name.clone()));
                match metadata.topic(name) {
                    Some(topic) if topic.error.is_ok() => Ok(topic.clone()),
                    Some(topic) => Err(Error::refused(api, subject, topic.error)),
                    None => Err(Error::Missing { api, subject }),
                }
            };
            Ok(names.iter().map(result).collect())
        })
        .await
    }

    /// All topics that this client may see, Kafka's own (`internal`) included, by name. A topic that the
    /// broker could not describe has its `error` set.
    pub async fn list_topics(&self) -> Result<Vec<Arc<Topic>>, Error> {
        self.run(|core, deadline| async move {
            let metadata = ask(&core, deadline, None).await?;
            let mut topics: Vec<_> = metadata.topics.values().cloned().collect();
            topics.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            Ok(topics)
        })
        .await
    }
}

/// How long the broker may take: shorter than the connection waits, so that it answers in any case.
pub(super) fn broker_timeout(core: &Core) -> i32 {
    let timeout = core.config().request_timeout.mul_f64(0.8).as_millis();
    i32::try_from(timeout).unwrap_or(i32::MAX)
}

/// The answer about these topics, or all of them, as a snapshot of its own.
pub(super) async fn ask(
    core: &Arc<Core>,
    deadline: Deadline,
    names: Option<&[Arc<str>]>,
) -> Result<Metadata, Error> {
    let topic = |name: &Arc<str>| MetadataRequestTopic {
        name: Some(name.to_string()),
        ..MetadataRequestTopic::default()
    };
    let request = |version: i16| MetadataRequest {
        topics: match names {
            Some(names) => Some(names.iter().map(topic).collect()),
            // In version 0 it is the empty list that means all.
            None => (version == 0).then(Vec::new),
        },
        allow_auto_topic_creation: version < 4,
        ..MetadataRequest::default()
    };
    let route = core.route(Target::Any, Lane::General, deadline, request);
    let answer = route.await?;
    let missing = Error::Missing { api: ApiKey::Metadata, subject: Subject::Cluster };
    Metadata::default().after(Update::Answer(answer)).ok_or(missing)
}

fn is_gone(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID)
}

fn created(topic: &NewTopic, answers: &[CreatableTopicResult]) -> Result<CreatedTopic, Error> {
    let (api, subject) = (ApiKey::CreateTopics, Subject::Topic(topic.name.clone()));
    let Some(it) = answers.iter().find(|it| *it.name == *topic.name) else {
        return Err(Error::Missing { api, subject });
    };
    judged(api, subject, it.error_code, it.error_message.clone())?;
    Ok(CreatedTopic {
        name: topic.name.clone(),
        id: it.topic_id,
        partitions: (it.num_partitions >= 0).then_some(it.num_partitions),
        replication: (it.replication_factor >= 0).then_some(it.replication_factor),
    })
}

/// Whether a topic was not created because it is there already.
impl Error {
    /// Whether this says that the topic to be created exists.
    pub fn is_topic_exists(&self) -> bool {
        self.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS)
    }

    /// Whether this says that the topic or partition does not exist.
    pub fn is_unknown_topic(&self) -> bool {
        self.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }
}
