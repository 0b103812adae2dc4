//! The requests of a member, and their answers as the membership takes them in.

use std::{sync::Arc, time::Duration};

use roka_protocol::{
    ErrorCode,
    messages::{
        heartbeat::HeartbeatRequest,
        join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponseMember},
        leave_group::{LeaveGroupRequest, MemberIdentity},
        sync_group::{SyncGroupRequest, SyncGroupRequestAssignment},
    },
};

use super::{
    GroupConfig,
    ask::{AskError, How, ask},
    assignor::Assignor,
    error::GroupError,
    membership::{Failure, Input, Joined},
    subscription::{self, Subscription},
};
use crate::{Error, TopicPartition, connection::Lane, core::Core};

/// What all members of the classic protocol for consumers say.
const PROTOCOL_TYPE: &str = "consumer";
/// The coordinator answers `JoinGroup` and `SyncGroup` this much after the rebalance timeout at the latest.
const GRACE: Duration = Duration::from_secs(5);
/// Nobody waits longer for the coordinator to hear that a member leaves.
const GOODBYE: Duration = Duration::from_secs(5);
/// The first version of `JoinGroup` that knows static members (KIP-345).
const STATIC_JOIN: i16 = 5;

/// Who asks.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) core: Arc<Core>,
    pub(super) config: GroupConfig,
    /// For what the coordinator may hold for long.
    pub(super) lane: Lane,
}

/// For what is answered at once.
fn plain(timeout: Duration) -> How {
    How { lane: Lane::Group, timeout, versions: (0, i16::MAX) }
}

impl Caller {
    /// How long the coordinator may hold a request until the group is complete.
    fn long(&self) -> Duration {
        (self.config.rebalance_timeout + GRACE).max(self.core.config().request_timeout)
    }

    /// How long a heartbeat may take: there must be time for another, elsewhere, before the session is over.
    fn short(&self) -> Duration {
        let third = self.config.session_timeout / 3;
        third.max(self.config.heartbeat_interval).min(self.core.config().request_timeout)
    }

    /// For what the coordinator holds until the group is complete.
    fn held(&self, least: i16) -> How {
        How { lane: self.lane, timeout: self.long(), versions: (least, i16::MAX) }
    }

    fn instance_id(&self) -> Option<String> {
        self.config.instance_id.as_ref().map(ToString::to_string)
    }

    /// A failure, or the end of it all.
    fn failure(&self, error: AskError) -> Result<Failure, Input> {
        match error {
            AskError::Refused(code) => Ok(Failure::Code(code)),
            AskError::Unreachable(_) => Ok(Failure::Unreachable),
            AskError::Hopeless(error) => {
                let group = self.config.group_id.clone();
                Err(Input::Broken(match error {
                    Error::Closed => GroupError::Left { group },
                    error => GroupError::Impossible { group, problem: error.to_string() },
                }))
            }
        }
    }

    pub(super) fn malformed(&self, what: &'static str, problem: String) -> GroupError {
        GroupError::Malformed { group: self.config.group_id.clone(), what, problem }
    }
}

/// The answer to `JoinGroup`.
pub(super) struct JoinAnswer {
    pub(super) input: Input,
    pub(super) protocol: String,
    pub(super) members: Vec<JoinGroupResponseMember>,
}

impl From<Input> for JoinAnswer {
    fn from(input: Input) -> Self {
        Self { input, protocol: String::new(), members: Vec::new() }
    }
}

/// How this member describes itself for each strategy.
fn protocols(
    caller: &Caller,
    assignors: &[Arc<dyn Assignor>],
    generation: i32,
    owned: &[TopicPartition],
) -> Result<Vec<JoinGroupRequestProtocol>, roka_protocol::Error> {
    let topics = &caller.config.topics;
    let protocol = |assignor: &Arc<dyn Assignor>| {
        let subscription = Subscription {
            topics,
            user_data: assignor.user_data(topics, owned),
            owned,
            generation,
            rack: caller.core.config().rack.as_deref(),
        };
        let version = assignor.subscription_version();
        let metadata = subscription::encode_subscription(version, &subscription)?;
        Ok(JoinGroupRequestProtocol { name: assignor.name().to_string(), metadata })
    };
    assignors.iter().map(protocol).collect()
}

pub(super) async fn join(
    caller: &Caller,
    assignors: &[Arc<dyn Assignor>],
    member_id: String,
    generation: i32,
    owned: Vec<TopicPartition>,
    reason: &'static str,
) -> JoinAnswer {
    let Caller { core, config, .. } = caller;
    let protocols = match protocols(caller, assignors, generation, &owned) {
        Ok(protocols) => protocols,
        Err(error) => {
            return Input::Broken(caller.malformed("subscription", error.to_string())).into();
        }
    };
    let least = if config.instance_id.is_some() { STATIC_JOIN } else { 0 };
    let id = member_id.clone();
    let build = |_| JoinGroupRequest {
        group_id: config.group_id.to_string(),
        session_timeout_ms: millis(config.session_timeout),
        rebalance_timeout_ms: millis(config.rebalance_timeout),
        member_id: id,
        group_instance_id: caller.instance_id(),
        protocol_type: PROTOCOL_TYPE.into(),
        protocols,
        reason: Some(reason.into()),
    };
    let code =
        |it: &roka_protocol::messages::join_group::JoinGroupResponse| ErrorCode(it.error_code);
    let asked = ask::<JoinGroupRequest>(core, &config.group_id, caller.held(least), build, code);
    let response = match asked.await {
        Ok((response, ErrorCode::NONE)) => response,
        Ok((response, code)) => {
            let (result, member_id) = (Err(Failure::Code(code)), response.member_id);
            return Input::Joined { result, member_id }.into();
        }
        Err(error) => {
            let failed = |failure| Input::Joined { result: Err(failure), member_id };
            return caller.failure(error).map_or_else(|input| input, failed).into();
        }
    };
    let joined = Joined {
        generation: response.generation_id,
        leads: response.leader == response.member_id,
        member_id: response.member_id,
        skip_assignment: response.skip_assignment,
    };
    JoinAnswer {
        input: Input::Joined { result: Ok(joined), member_id: String::new() },
        protocol: response.protocol_name.unwrap_or_default(),
        members: response.members,
    }
}

pub(super) async fn sync(
    caller: &Caller,
    member_id: String,
    generation: i32,
    protocol: String,
    assignments: Vec<SyncGroupRequestAssignment>,
) -> Input {
    let Caller { core, config, .. } = caller;
    let build = |_| SyncGroupRequest {
        group_id: config.group_id.to_string(),
        generation_id: generation,
        member_id,
        group_instance_id: caller.instance_id(),
        protocol_type: Some(PROTOCOL_TYPE.into()),
        protocol_name: Some(protocol),
        assignments,
    };
    let code =
        |it: &roka_protocol::messages::sync_group::SyncGroupResponse| ErrorCode(it.error_code);
    let asked = ask::<SyncGroupRequest>(core, &config.group_id, caller.held(0), build, code);
    match asked.await {
        Ok((response, ErrorCode::NONE)) => {
            match subscription::decode_assignment(response.assignment) {
                Ok(assignment) => Input::Synced(Ok(assignment)),
                Err(problem) => Input::Broken(caller.malformed("assignment", problem)),
            }
        }
        Ok((_, code)) => Input::Synced(Err(Failure::Code(code))),
        Err(error) => caller.failure(error).map_or_else(|input| input, |it| Input::Synced(Err(it))),
    }
}

pub(super) async fn heartbeat(caller: &Caller, member_id: String, generation: i32) -> Input {
    let Caller { core, config, .. } = caller;
    let build = |_| HeartbeatRequest {
        group_id: config.group_id.to_string(),
        generation_id: generation,
        member_id,
        group_instance_id: caller.instance_id(),
    };
    let code =
        |it: &roka_protocol::messages::heartbeat::HeartbeatResponse| ErrorCode(it.error_code);
    let asked = ask::<HeartbeatRequest>(core, &config.group_id, plain(caller.short()), build, code);
    match asked.await {
        Ok((_, code)) => {
            let result = code.ok().map_err(Failure::Code);
            Input::Beat { generation, result }
        }
        Err(error) => {
            let failed = |failure| Input::Beat { generation, result: Err(failure) };
            caller.failure(error).map_or_else(|input| input, failed)
        }
    }
}

/// Says goodbye; whether it is heard only decides how soon the others get the partitions.
pub(super) async fn leave(caller: &Caller, member_id: String) {
    let Caller { core, config, .. } = caller;
    let build = |version: i16| {
        let mut request = LeaveGroupRequest {
            group_id: config.group_id.to_string(),
            ..LeaveGroupRequest::default()
        };
        if version >= 3 {
            request.members = vec![MemberIdentity {
                member_id,
                group_instance_id: caller.instance_id(),
                reason: Some("the consumer was closed".into()),
            }];
        } else {
            request.member_id = member_id;
        }
        request
    };
    let code =
        |it: &roka_protocol::messages::leave_group::LeaveGroupResponse| ErrorCode(it.error_code);
    let timeout = GOODBYE.min(core.config().request_timeout);
    let asked = ask::<LeaveGroupRequest>(core, &config.group_id, plain(timeout), build, code);
    if let Err(error) = asked.await {
        tracing::debug!(group = %config.group_id, ?error, "left without a goodbye");
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
