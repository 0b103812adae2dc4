//! From one generation to the next.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use roka_protocol::ErrorCode;

use super::{Effect, Group, State};

impl Group {
    /// Everybody is to join again.
    pub(super) fn prepare_rebalance(&mut self, now: Instant) {
        if self.state != State::PreparingRebalance {
            let was_empty = self.state == State::Empty;
            self.state = State::PreparingRebalance;
            let longest = self.longest_rebalance().unwrap_or_default();
            let wait = if was_empty { self.limits.initial_delay.min(longest) } else { longest };
            self.deadline = Some(now + wait);
            for member in self.members.values_mut() {
                member.synced = false;
                if let Some(ticket) = member.syncing.take() {
                    member.seen(now);
                    self.effects.push(Effect::Sync(ticket, Err(ErrorCode::REBALANCE_IN_PROGRESS)));
                }
            }
            self.initial = was_empty && !wait.is_zero();
        }
        self.try_complete_join(now);
    }

    fn longest_rebalance(&self) -> Option<Duration> {
        self.members.values().map(|member| member.rebalance_timeout).max()
    }

    /// Completes the join if everybody is there.
    pub(super) fn try_complete_join(&mut self, now: Instant) {
        if self.state != State::PreparingRebalance {
            return;
        }
        let waits = self.initial && self.deadline.is_some_and(|deadline| deadline > now);
        let all = self.members.values().all(|member| member.joining.is_some());
        if (all && self.pending.is_empty() && !waits) || self.members.is_empty() {
            self.complete_join(now);
        }
    }

    /// The rebalance goes on without those who are missing.
    pub(super) fn rebalance_timed_out(&mut self, now: Instant) {
        self.deadline = None;
        let missing: Vec<String> = match self.state {
            State::PreparingRebalance => {
                // A static member may be away for as long as its session lasts.
                let missing =
                    |it: &&super::Member| it.joining.is_none() && it.instance_id.is_none();
                self.members.values().filter(missing).map(|it| it.id.clone()).collect()
            }
            State::CompletingRebalance => {
                self.members.values().filter(|it| !it.synced).map(|it| it.id.clone()).collect()
            }
            State::Empty | State::Stable => return,
        };
        for id in &missing {
            self.remove(id, ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if self.state == State::PreparingRebalance {
            let nobody = self.members.values().all(|member| member.joining.is_none());
            if nobody && !self.members.is_empty() {
                // Static members that are all away: until one comes back, or their sessions end.
                self.deadline = self.longest_rebalance().map(|longest| now + longest);
                return;
            }
            self.complete_join(now);
        } else if !missing.is_empty() {
            self.prepare_rebalance(now);
        }
    }

    fn complete_join(&mut self, now: Instant) {
        self.generation += 1;
        self.deadline = None;
        let joined: Vec<String> = self
            .members
            .values()
            .filter(|it| it.joining.is_some())
            .map(|it| it.id.clone())
            .collect();
        if self.members.is_empty() {
            self.state = State::Empty;
            self.protocol.clear();
            self.leader = None;
            return;
        }
        if !self.leader.as_ref().is_some_and(|leader| joined.contains(leader)) {
            self.leader = joined.first().cloned().or_else(|| self.members.keys().next().cloned());
        }
        self.protocol = self.elect_protocol();
        self.state = State::CompletingRebalance;
        self.deadline = self.longest_rebalance().map(|longest| now + longest);
        for id in joined {
            let answer = self.joined(&id, false);
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.seen(now);
            if let Some(ticket) = member.joining.take() {
                self.effects.push(Effect::Join(ticket, Ok(answer)));
            }
        }
    }

    /// Of the protocols that all members support, the one that most of them like best.
    pub(super) fn elect_protocol(&self) -> String {
        let common = |name: &str| {
            self.members.values().all(|member| member.protocols.iter().any(|(it, _)| it == name))
        };
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| common(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.into_iter().max_by_key(|(_, votes)| *votes);
        most.map(|(name, _)| name.to_owned()).unwrap_or_default()
    }
}
