//! Syncing: the leader says who gets what, everybody learns their share.

use std::time::Instant;

use bytes::Bytes;
use roka_protocol::ErrorCode;

use super::{Effect, Group, State, Synced};
use crate::group::member::{Identity, Ticket};

/// What a member says when it syncs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Syncing {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
    /// As the member understood them; not told before version 5.
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    /// From the leader: the share of each member.
    pub(crate) assignments: Vec<(String, Bytes)>,
}

impl Group {
    /// A member syncs. It is answered by an [`Effect`] with its ticket, at once or later.
    pub(crate) fn sync(&mut self, now: Instant, ticket: Ticket, syncing: Syncing) {
        if let Err(error) = self.try_sync(now, ticket, syncing) {
            self.effects.push(Effect::Sync(ticket, Err(error)));
        }
    }

    fn try_sync(
        &mut self,
        now: Instant,
        ticket: Ticket,
        syncing: Syncing,
    ) -> Result<(), ErrorCode> {
        self.check(&Identity {
            member_id: &syncing.member_id,
            instance_id: syncing.instance_id.as_deref(),
            generation: syncing.generation,
        })?;
        let differs =
            |told: &Option<String>, is: &str| told.as_ref().is_some_and(|told| told != is);
        if differs(&syncing.protocol_type, &self.protocol_type)
            || differs(&syncing.protocol, &self.protocol)
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        let is_leader = self.leader.as_deref() == Some(&*syncing.member_id);
        let member =
            self.members.get_mut(&syncing.member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        match self.state {
            State::Empty => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
            State::PreparingRebalance => return Err(ErrorCode::REBALANCE_IN_PROGRESS),
            State::Stable => {
                member.seen(now);
                member.syncing = Some(ticket);
            }
            State::CompletingRebalance => {
                member.synced = true;
                if let Some(former) = member.syncing.replace(ticket) {
                    let refused = Err(ErrorCode::REBALANCE_IN_PROGRESS);
                    self.effects.push(Effect::Sync(former, refused));
                }
                if !is_leader {
                    return Ok(());
                }
                self.assign(syncing.assignments);
            }
        }
        self.answer_syncing(now);
        Ok(())
    }

    fn assign(&mut self, assignments: Vec<(String, Bytes)>) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = assignment;
            }
        }
        self.state = State::Stable;
        self.deadline = None;
    }

    fn answer_syncing(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            let Some(ticket) = member.syncing.take() else { continue };
            member.seen(now);
            let synced = Synced {
                protocol_type: self.protocol_type.clone(),
                protocol: self.protocol.clone(),
                assignment: member.assignment.clone(),
            };
            self.effects.push(Effect::Sync(ticket, Ok(synced)));
        }
    }
}
