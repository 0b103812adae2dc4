//! Consumer groups: list, describe, delete, find the coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use roka_protocol::messages::delete_groups::DeleteGroupsRequest;
use roka_protocol::messages::describe_groups::{DescribeGroupsRequest, DescribedGroup};
use roka_protocol::messages::list_groups::ListGroupsRequest;
use roka_protocol::{ApiKey, ErrorCode};
use tokio::time::timeout_at;

use super::{Admin, fanout, judged, only};
use crate::connection::Lane;
use crate::coordinator::CoordinatorKind;
use crate::router::Target;
use crate::{Error, NodeId, Subject};

/// A group in brief.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupListing {
    /// Its id.
    pub group: Arc<str>,
    /// What its members do together: `consumer` for consumer groups, empty without members.
    pub protocol_type: String,
    /// Its state, such as `Stable` or `Empty`; empty before Kafka 2.6.
    pub state: String,
    /// The broker that named it: its coordinator.
    pub coordinator: NodeId,
}

/// A group and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDescription {
    /// Its id.
    pub group: Arc<str>,
    /// Its state: `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Stable`, or `Dead` if there is no
    /// such group.
    pub state: String,
    /// What its members do together: `consumer` for consumer groups.
    pub protocol_type: String,
    /// The assignor (or other protocol) in use.
    pub protocol: String,
    /// Its members.
    pub members: Vec<MemberDescription>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberDescription {
    /// The id the coordinator gave it.
    pub member_id: String,
    /// The id it gave itself, if it is a static member (Kafka 2.4).
    pub instance_id: Option<String>,
    /// The client's name.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// Its subscription, as bytes of its protocol.
    pub subscription: Bytes,
    /// Its assignment, as bytes of its protocol.
    pub assignment: Bytes,
}

impl Admin {
    /// All groups of all brokers, by id. Fails if any broker cannot be asked: a part would look like all.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, Error> {
        self.run(|core, deadline| async move {
            // Asked anew, so that a broker that just joined is not left out.
            let newer = async { Ok(core.refresh_anew().await) };
            let metadata = timeout_at(deadline.at(), core.unless_distrusted(newer)).await;
            let metadata = metadata.map_err(|_| Error::Timeout {
                operation: "asking which brokers there are".into(),
                after: core.config().api_timeout,
                last: None,
            })??;
            let list = |node: NodeId| {
                let core = core.clone();
                async move {
                    let request = |_| ListGroupsRequest::default();
                    let route = core.route(Target::Node(node), Lane::General, deadline, request);
                    let answer = route.await?;
                    judged(ApiKey::ListGroups, Subject::Node(node), answer.error_code, None)?;
                    Ok((node, answer.groups))
                }
            };
            let nodes = metadata.brokers.keys().copied().collect();
            let mut groups = BTreeMap::new();
            for result in fanout::each(nodes, list).await {
                let (coordinator, listed) = result?;
                for it in listed {
                    let group = Arc::<str>::from(it.group_id);
                    let (protocol_type, state) = (it.protocol_type, it.group_state);
                    let listing =
                        GroupListing { group: group.clone(), protocol_type, state, coordinator };
                    groups.insert(group, listing);
                }
            }
            Ok(groups.into_values().collect())
        })
        .await
    }

    /// A group and its members. A group that does not exist is described as `Dead`.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, Error> {
        only(self.describe_groups(&[group]).await)
    }

    /// Groups and their members, asked of their coordinators; one result per group.
    pub async fn describe_groups(&self, groups: &[&str]) -> Vec<Result<GroupDescription, Error>> {
        let groups: Vec<_> = groups.iter().map(|&group| Arc::<str>::from(group)).collect();
        self.run_each(groups.len(), |core, deadline| async move {
            let describe = |group: Arc<str>| {
                let core = core.clone();
                async move {
                    let request = |_| DescribeGroupsRequest {
                        groups: vec![group.to_string()],
                        ..DescribeGroupsRequest::default()
                    };
                    let target = Target::group(&group);
                    let answer = core.route(target, Lane::General, deadline, request).await?;
                    let (api, subject) = (ApiKey::DescribeGroups, Subject::Group(group.clone()));
                    let Some(it) = answer.groups.into_iter().next() else {
                        return Err(Error::Missing { api, subject });
                    };
                    // Version 6 has a code for what was a state before.
                    if it.error_code != ErrorCode::GROUP_ID_NOT_FOUND.0 {
                        judged(api, subject, it.error_code, it.error_message.clone())?;
                    }
                    Ok(description(group, it))
                }
            };
            Ok(fanout::each(groups, describe).await)
        })
        .await
    }

    /// Deletes a group without members, with its offsets (Kafka 1.1).
    pub async fn delete_group(&self, group: &str) -> Result<(), Error> {
        only(self.delete_groups(&[group]).await)
    }

    /// Deletes groups without members, with their offsets (Kafka 1.1); one result per group.
    pub async fn delete_groups(&self, groups: &[&str]) -> Vec<Result<(), Error>> {
        let groups: Vec<_> = groups.iter().map(|&group| Arc::<str>::from(group)).collect();
        self.run_each(groups.len(), |core, deadline| async move {
            let delete = |group: Arc<str>| {
                let core = core.clone();
                async move {
                    let request = |_| DeleteGroupsRequest { groups_names: vec![group.to_string()] };
                    let target = Target::group(&group);
                    let route = core.route(target, Lane::General, deadline, request);
                    let answer = route.await.map_err(|it| it.for_feature("deleting groups"))?;
                    let (api, subject) = (ApiKey::DeleteGroups, Subject::Group(group));
                    match answer.results.into_iter().next() {
                        Some(it) => judged(api, subject, it.error_code, it.error_message),
                        None => Err(Error::Missing { api, subject }),
                    }
                }
            };
            Ok(fanout::each(groups, delete).await)
        })
        .await
    }

    /// Forgets which broker coordinates the group, and looks it up anew. Calls do this by themselves when a
    /// coordinator proves wrong.
    pub async fn refresh_coordinator(&self, group: &str) -> Result<NodeId, Error> {
        let group = Arc::<str>::from(group);
        self.run(|core, deadline| async move {
            if let Some(node) = core.coordinators.known(CoordinatorKind::Group, &group) {
                core.forget_coordinator(CoordinatorKind::Group, &group, node);
            }
            let found = core.coordinator(CoordinatorKind::Group, &group);
            timeout_at(deadline.at(), found).await.map_err(|_| Error::Timeout {
                operation: format!("finding the coordinator of group {group}"),
                after: core.config().api_timeout,
                last: None,
            })?
        })
        .await
    }
}

fn description(group: Arc<str>, it: DescribedGroup) -> GroupDescription {
    let missing = it.error_code == ErrorCode::GROUP_ID_NOT_FOUND.0;
    let member =
        |it: roka_protocol::messages::describe_groups::DescribedGroupMember| MemberDescription {
            member_id: it.member_id,
            instance_id: it.group_instance_id,
            client_id: it.client_id,
            host: it.client_host,
            subscription: it.member_metadata,
            assignment: it.member_assignment,
        };
    GroupDescription {
        group,
        state: if missing { "Dead".into() } else { it.group_state },
        protocol_type: it.protocol_type,
        protocol: it.protocol_data,
        members: it.members.into_iter().map(member).collect(),
    }
}
