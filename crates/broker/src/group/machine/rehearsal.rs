//! A group with a clock of its own, for tests.

use std::time::{Duration, Instant};

use bytes::Bytes;
use roka_protocol::ErrorCode;

use super::{Effect, Group, Joined, Limits, Synced, sync::Syncing};
use crate::group::member::{Identity, Joining, Ticket};

pub(super) const SESSION: Duration = Duration::from_secs(10);
pub(super) const REBALANCE: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Rehearsal {
    pub(super) group: Group,
    pub(super) now: Instant,
    tickets: u64,
    pub(super) settled: Vec<Effect>,
}

/// Somebody who joins without being asked for an id first, unless told otherwise.
pub(super) fn joining(name: &str) -> Joining {
    Joining {
        member_id: String::new(),
        instance_id: None,
        client_id: "client".to_owned(),
        host: "/127.0.0.1".to_owned(),
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::from_static(b"topics"))],
        knows_required_id: false,
        knows_skipping: true,
        fresh_id: name.to_owned(),
    }
}

/// A member that joins again.
pub(super) fn rejoining(id: &str) -> Joining {
    Joining { member_id: id.to_owned(), ..joining("unused") }
}

pub(super) fn fixed(instance: &str, fresh_id: &str) -> Joining {
    Joining { instance_id: Some(instance.to_owned()), ..joining(fresh_id) }
}

impl Rehearsal {
    pub(super) fn new(limits: Limits) -> Self {
        let group = Group::new(limits);
        Self { group, now: Instant::now(), tickets: 0, settled: Vec::new() }
    }

    pub(super) fn join(&mut self, joining: Joining) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.group.join(self.now, ticket, joining);
        self.take();
        ticket
    }

    pub(super) fn sync(&mut self, id: &str, assignments: &[(&str, &str)]) -> Ticket {
        let generation = self.group.generation;
        let share =
            |&(id, share): &(&str, &str)| (id.to_owned(), Bytes::copy_from_slice(share.as_bytes()));
        self.sync_with(Syncing {
            member_id: id.to_owned(),
            generation,
            assignments: assignments.iter().map(share).collect(),
            ..Default::default()
        })
    }

    pub(super) fn sync_with(&mut self, syncing: Syncing) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.group.sync(self.now, ticket, syncing);
        self.take();
        ticket
    }

    pub(super) fn heartbeat(&mut self, id: &str) -> ErrorCode {
        let generation = self.group.generation;
        self.group.heartbeat(self.now, &who(id, generation))
    }

    pub(super) fn leave(&mut self, id: &str, instance: Option<&str>) -> ErrorCode {
        let error = self.group.leave(self.now, id, instance);
        self.take();
        error
    }

    /// Lets time pass, deadline by deadline, as the ticker does.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.group.next_deadline().filter(|it| *it <= end) {
            self.now = self.now.max(deadline);
            self.group.expire(self.now);
            self.take();
            let next = self.group.next_deadline();
            assert!(next.is_none_or(|it| it > self.now), "an expired deadline stays");
        }
        self.now = end;
    }

    fn take(&mut self) {
        self.settled.extend(self.group.take_effects());
    }

    /// The answer to a join, if it came.
    pub(super) fn joined(&self, ticket: Ticket) -> Option<Result<Joined, ErrorCode>> {
        self.settled.iter().find_map(|effect| match effect {
            Effect::Join(of, answer) if *of == ticket => {
                Some(answer.clone().map_err(|refused| refused.error))
            }
            _ => None,
        })
    }

    /// The generation that a join led to; panics when it did not.
    pub(super) fn entered(&self, ticket: Ticket) -> Joined {
        self.joined(ticket).expect("no answer").expect("refused")
    }

    /// The answer to a sync, if it came.
    pub(super) fn synced(&self, ticket: Ticket) -> Option<Result<Bytes, ErrorCode>> {
        self.settled.iter().find_map(|effect| match effect {
            Effect::Sync(of, answer) if *of == ticket => {
                Some(answer.clone().map(|it: Synced| it.assignment))
            }
            _ => None,
        })
    }

    /// Members who joined and share, the first as leader.
    pub(super) fn stable(&mut self, names: &[&str]) {
        for name in names {
            self.join(joining(name));
        }
        // Whoever came before the last has to come again.
        for name in &names[..names.len() - 1] {
            self.join(rejoining(name));
        }
        self.share(names);
    }

    /// Everybody syncs; each one's share is its name.
    pub(super) fn share(&mut self, ids: &[&str]) {
        let shares: Vec<_> = ids.iter().map(|id| (*id, *id)).collect();
        let leader = self.group.leader.clone().expect("nobody leads");
        for id in ids {
            let assignments = if *id == leader { &shares[..] } else { &[] };
            self.sync(id, assignments);
        }
        assert_eq!(self.group.state, super::State::Stable);
    }
}

pub(super) fn who(member_id: &str, generation: i32) -> Identity<'_> {
    Identity { member_id, instance_id: None, generation }
}
