//! A group of the classic protocol as a plain value: fed with what members ask and with time, it says who is answered.
//!
//! - Joining members wait until all known members have joined, or the rebalance timeout has passed; syncing members wait
//!   for the leader's assignment. Who waits holds a [`Ticket`]; an [`Effect`] settles it.
//! - Every completed join makes a new generation. Requests of another generation or of unknown members are refused.
//! - A static member (KIP-345) that comes back under the same instance id takes over its place; the former one is fenced.

mod join;
mod rebalance;
#[cfg(test)]
mod rehearsal;
pub(crate) mod sync;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_random;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use bytes::Bytes;
use roka_protocol::{
    ErrorCode,
    messages::consumer_protocol::{self, ConsumerProtocolSubscription},
};

use super::member::{Identity, Member, Ticket};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No members; there may be committed offsets.
    Empty,
    /// Waits for members to join.
    PreparingRebalance,
    /// Waits for the leader's assignment.
    CompletingRebalance,
    Stable,
}

impl State {
    /// The name in `DescribeGroups` and `ListGroups`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// The answer to a member that joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) member_id: String,
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) leader: String,
    pub(crate) skip_assignment: bool,
    /// Id, instance id and subscription of each member; for the leader only.
    pub(crate) members: Vec<(String, Option<String>, Bytes)>,
}

/// The answer to a member that synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) assignment: Bytes,
}

/// A refusal; the id is what a member shall join with, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) error: ErrorCode,
    pub(crate) member_id: String,
}

/// Settles an answer that waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Join(Ticket, Result<Joined, Refused>),
    Sync(Ticket, Result<Synced, ErrorCode>),
}

/// What the broker's settings say about groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How long an empty group waits for others after the first has joined.
    pub(crate) initial_delay: Duration,
    pub(crate) members_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { initial_delay: Duration::ZERO, members_max: usize::MAX }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) state: State,
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) leader: Option<String>,
    pub(crate) members: BTreeMap<String, Member>,
    /// Member id by instance id.
    instances: BTreeMap<String, String>,
    /// Ids that were given out and have not joined yet, with the time at which they are forgotten.
    pending: BTreeMap<String, Instant>,
    /// When the present rebalance goes on without those who are missing.
    deadline: Option<Instant>,
    limits: Limits,
    /// The present rebalance is the first after the group was empty: others may be about to join.
    initial: bool,
    effects: Vec<Effect>,
}

impl Group {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            state: State::Empty,
            generation: 0,
            protocol_type: String::new(),
            protocol: String::new(),
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            pending: BTreeMap::new(),
            deadline: None,
            limits,
            initial: false,
            effects: Vec::new(),
        }
    }

    /// What is to be told to members that waited, since the last call.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Whether positions may be deleted at all: of a group of consumers those that no member uses, of others
    /// only when there are no members.
    pub(crate) fn check_deletion(&self) -> Result<(), ErrorCode> {
        let consumers = self.protocol_type == "consumer";
        if self.members.is_empty() || consumers { Ok(()) } else { Err(ErrorCode::NON_EMPTY_GROUP) }
    }

    /// Whether a member consumes the topic. When the members do not say, they might.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        self.members.values().any(|member| {
            let said = consumer_protocol::decode(member.metadata(&self.protocol));
            said.map_or(true, |(_, it): (_, ConsumerProtocolSubscription)| {
                it.topics.iter().any(|it| it == topic)
            })
        })
    }

    /// A sign of life.
    pub(crate) fn heartbeat(&mut self, now: Instant, who: &Identity<'_>) -> ErrorCode {
        if let Err(error) = self.check(who) {
            return error;
        }
        if let Some(member) = self.members.get_mut(who.member_id) {
            member.seen(now);
        }
        if self.state == State::PreparingRebalance {
            ErrorCode::REBALANCE_IN_PROGRESS
        } else {
            ErrorCode::NONE
        }
    }

    /// Whether offsets may be committed by this member in this generation. A generation below 0 is somebody outside of
    /// the group, who may commit as long as it has no members.
    pub(crate) fn check_commit(
        &mut self,
        now: Instant,
        who: &Identity<'_>,
    ) -> Result<(), ErrorCode> {
        if who.generation < 0 && self.members.is_empty() {
            return Ok(());
        }
        self.check(who)?;
        if let Some(member) = self.members.get_mut(who.member_id) {
            member.seen(now);
        }
        // Between join and sync nobody knows whose partitions they are.
        if self.state == State::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Ok(())
    }

    /// Whether a transaction may keep positions for this member in this generation (KIP-447). A producer that names no
    /// member is from before that: its transaction is all that fences it.
    pub(crate) fn check_commit_in_transaction(
        &mut self,
        now: Instant,
        who: &Identity<'_>,
    ) -> Result<(), ErrorCode> {
        if who.generation < 0 && who.member_id.is_empty() && who.instance_id.is_none() {
            return Ok(());
        }
        if who.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        self.check(who)?;
        if let Some(member) = self.members.get_mut(who.member_id) {
            member.seen(now);
        }
        Ok(())
    }

    /// A member leaves, named by its id or, with an empty id, by its instance id.
    pub(crate) fn leave(
        &mut self,
        now: Instant,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> ErrorCode {
        let id = match instance_id {
            Some(instance) => match self.instances.get(instance) {
                Some(id) if member_id.is_empty() || id == member_id => id.clone(),
                Some(_) => return ErrorCode::FENCED_INSTANCE_ID,
                None => return ErrorCode::UNKNOWN_MEMBER_ID,
            },
            None => member_id.to_owned(),
        };
        if self.pending.remove(&id).is_some() {
            self.try_complete_join(now);
            return ErrorCode::NONE;
        }
        if !self.members.contains_key(&id) {
            return ErrorCode::UNKNOWN_MEMBER_ID;
        }
        self.remove(&id, ErrorCode::UNKNOWN_MEMBER_ID);
        self.after_removal(now);
        ErrorCode::NONE
    }

    /// Time has passed.
    pub(crate) fn expire(&mut self, now: Instant) {
        let pending = self.pending.len();
        self.pending.retain(|_, expires| *expires > now);
        let gone: BTreeSet<String> = self
            .members
            .values()
            .filter(|member| member.is_expired(now))
            .map(|member| member.id.clone())
            .collect();
        for id in &gone {
            self.remove(id, ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if !gone.is_empty() {
            self.after_removal(now);
        } else if pending != self.pending.len() {
            self.try_complete_join(now);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.rebalance_timed_out(now);
        }
    }

    /// When [`expire`](Self::expire) has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let waiting = |member: &&Member| member.joining.is_none() && member.syncing.is_none();
        let sessions = self.members.values().filter(waiting).map(|member| member.expires);
        sessions.chain(self.pending.values().copied()).chain(self.deadline).min()
    }

    /// The member, as a request must name it.
    fn check(&self, who: &Identity<'_>) -> Result<(), ErrorCode> {
        self.check_instance(who.member_id, who.instance_id)?;
        if !self.members.contains_key(who.member_id) {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if who.generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        Ok(())
    }

    fn check_instance(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        match instance_id.map(|instance| self.instances.get(instance)) {
            Some(Some(id)) if id != member_id => Err(ErrorCode::FENCED_INSTANCE_ID),
            Some(None) => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            _ => Ok(()),
        }
    }

    /// Another node coordinates the group now: those who wait are told, and come back to it there.
    pub(crate) fn unload(&mut self) {
        let error = ErrorCode::NOT_COORDINATOR;
        for member in self.members.values_mut() {
            if let Some(ticket) = member.joining.take() {
                let refused = Refused { error, member_id: member.id.clone() };
                self.effects.push(Effect::Join(ticket, Err(refused)));
            }
            if let Some(ticket) = member.syncing.take() {
                self.effects.push(Effect::Sync(ticket, Err(error)));
            }
        }
    }

    /// Takes a member out; if it waits for an answer it gets `error`.
    fn remove(&mut self, id: &str, error: ErrorCode) {
        let Some(member) = self.members.remove(id) else { return };
        self.fence(&member, error);
        if let Some(instance) = &member.instance_id
            && self.instances.get(instance).is_some_and(|of| of == id)
        {
            self.instances.remove(instance);
        }
        if self.leader.as_deref() == Some(id) {
            self.leader = None;
        }
    }

    fn fence(&mut self, member: &Member, error: ErrorCode) {
        if let Some(ticket) = member.joining {
            let refused = Refused { error, member_id: member.id.clone() };
            self.effects.push(Effect::Join(ticket, Err(refused)));
        }
        if let Some(ticket) = member.syncing {
            self.effects.push(Effect::Sync(ticket, Err(error)));
        }
    }

    /// The others share what the removed member had.
    fn after_removal(&mut self, now: Instant) {
        match self.state {
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(now),
            State::PreparingRebalance => self.try_complete_join(now),
            State::Empty => {}
        }
    }
}
