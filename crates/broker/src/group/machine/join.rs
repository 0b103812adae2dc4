//! Joining.

use std::time::Instant;

use roka_protocol::ErrorCode;

use super::{Effect, Group, Joined, Refused, State};
use crate::group::member::{Joining, Member, Ticket};

impl Group {
    /// A member joins. It is answered by an [`Effect`] with its ticket, at once or later.
    pub(crate) fn join(&mut self, now: Instant, ticket: Ticket, joining: Joining) {
        let member_id = joining.member_id.clone();
        if let Err(error) = self.try_join(now, ticket, joining) {
            let refused = Refused { error: error.0, member_id: error.1.unwrap_or(member_id) };
            self.effects.push(Effect::Join(ticket, Err(refused)));
        }
    }

    fn try_join(
        &mut self,
        now: Instant,
        ticket: Ticket,
        joining: Joining,
    ) -> Result<(), (ErrorCode, Option<String>)> {
        if !self.accepts(&joining) {
            return Err((ErrorCode::INCONSISTENT_GROUP_PROTOCOL, None));
        }
        if joining.member_id.is_empty() {
            return self.join_new(now, ticket, joining);
        }
        if let Some(instance) = &joining.instance_id
            && self.instances.get(instance).is_some_and(|id| *id != joining.member_id)
        {
            return Err((ErrorCode::FENCED_INSTANCE_ID, None));
        }
        if self.pending.remove(&joining.member_id).is_some() {
            let id = joining.member_id.clone();
            self.add(now, ticket, id, joining);
            return Ok(());
        }
        if !self.members.contains_key(&joining.member_id) {
            return Err((ErrorCode::UNKNOWN_MEMBER_ID, None));
        }
        self.rejoin(now, ticket, joining);
        Ok(())
    }

    /// Whether the group and the member speak a common protocol.
    fn accepts(&self, joining: &Joining) -> bool {
        if joining.protocol_type.is_empty() || joining.protocols.is_empty() {
            return false;
        }
        let mut others = self.members.values().filter(|member| {
            let same_instance =
                member.instance_id.is_some() && member.instance_id == joining.instance_id;
            member.id != joining.member_id && !same_instance
        });
        if others.clone().next().is_none() {
            return true;
        }
        let common = |name: &str| {
            others.clone().all(|member| member.protocols.iter().any(|(other, _)| other == name))
        };
        let agreed = joining.protocols.iter().any(|(name, _)| common(name));
        self.protocol_type == joining.protocol_type && agreed && others.next().is_some()
    }

    fn join_new(
        &mut self,
        now: Instant,
        ticket: Ticket,
        joining: Joining,
    ) -> Result<(), (ErrorCode, Option<String>)> {
        let id = joining.fresh_id.clone();
        let comes_back =
            joining.instance_id.as_ref().is_some_and(|it| self.instances.contains_key(it));
        if !comes_back && self.members.len() + self.pending.len() >= self.limits.members_max {
            return Err((ErrorCode::GROUP_MAX_SIZE_REACHED, None));
        }
        if let Some(instance) = &joining.instance_id {
            match self.instances.get(instance).cloned() {
                Some(former) => self.replace(now, ticket, &former, joining),
                None => self.add(now, ticket, id, joining),
            }
            return Ok(());
        }
        if joining.knows_required_id {
            self.pending.insert(id.clone(), now + joining.session_timeout);
            return Err((ErrorCode::MEMBER_ID_REQUIRED, Some(id)));
        }
        self.add(now, ticket, id, joining);
        Ok(())
    }

    fn add(&mut self, now: Instant, ticket: Ticket, id: String, joining: Joining) {
        if self.members.is_empty() {
            self.protocol_type.clone_from(&joining.protocol_type);
        }
        if let Some(instance) = &joining.instance_id {
            self.instances.insert(instance.clone(), id.clone());
        }
        let mut member = Member::new(id.clone(), joining, now);
        member.joining = Some(ticket);
        self.members.insert(id, member);
        self.prepare_rebalance(now);
    }

    /// A static member came back: it takes over the place of the former one, which is fenced.
    fn replace(&mut self, now: Instant, ticket: Ticket, former: &str, joining: Joining) {
        let id = joining.fresh_id.clone();
        let Some(mut member) = self.members.remove(former) else { return };
        self.fence(&member, ErrorCode::FENCED_INSTANCE_ID);
        (member.joining, member.syncing) = (None, None);
        let was_leader = self.leader.as_deref() == Some(former);
        if was_leader {
            self.leader = Some(id.clone());
        }
        if let Some(instance) = &joining.instance_id {
            self.instances.insert(instance.clone(), id.clone());
        }
        let skips = joining.knows_skipping;
        member.id.clone_from(&id);
        member.update(joining, now);
        self.members.insert(id.clone(), member);
        // Kafka does not look at what it says of itself, only at whether the group would agree on another protocol.
        let same = self.elect_protocol() == self.protocol;
        if self.state == State::Stable && same && (!was_leader || skips) {
            // Nothing has changed: it goes on with the assignment that its place has.
            let joined = self.joined(&id, was_leader && skips);
            self.effects.push(Effect::Join(ticket, Ok(joined)));
            return;
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.joining = Some(ticket);
        }
        self.prepare_rebalance(now);
    }

    fn rejoin(&mut self, now: Instant, ticket: Ticket, joining: Joining) {
        let id = joining.member_id.clone();
        let is_leader = self.leader.as_deref() == Some(&*id);
        let Some(member) = self.members.get_mut(&id) else { return };
        let same = member.protocols == joining.protocols;
        let former = member.joining.take();
        member.update(joining, now);
        // In a stable group the leader's join means that the subscription's topics have changed.
        let unchanged = match self.state {
            State::CompletingRebalance => same,
            State::Stable => same && !is_leader,
            State::Empty | State::PreparingRebalance => false,
        };
        if !unchanged {
            member.joining = Some(ticket);
        }
        if let Some(former) = former {
            let refused =
                Refused { error: ErrorCode::REBALANCE_IN_PROGRESS, member_id: id.clone() };
            self.effects.push(Effect::Join(former, Err(refused)));
        }
        if unchanged {
            let joined = self.joined(&id, false);
            self.effects.push(Effect::Join(ticket, Ok(joined)));
        } else {
            self.prepare_rebalance(now);
        }
    }

    /// The present generation, as this member is told of it.
    pub(super) fn joined(&self, id: &str, skip_assignment: bool) -> Joined {
        let leader = self.leader.clone().unwrap_or_default();
        let members = if leader == id {
            let told =
                |it: &Member| (it.id.clone(), it.instance_id.clone(), it.metadata(&self.protocol));
            self.members.values().map(told).collect()
        } else {
            Vec::new()
        };
        Joined {
            member_id: id.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader,
            skip_assignment,
            members,
        }
    }
}
