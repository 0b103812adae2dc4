//! A member of a group, as its coordinator knows it.

use std::time::{Duration, Instant};

use bytes::Bytes;

/// Whom an answer that had to wait belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// Who asks for something, as requests name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity<'a> {
    pub(crate) member_id: &'a str,
    /// Of a static member (KIP-345).
    pub(crate) instance_id: Option<&'a str>,
    /// The generation it believes to be in; below 0 somebody outside of the group.
    pub(crate) generation: i32,
}

/// What a member says of itself when it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joining {
    /// Empty at the first time.
    pub(crate) member_id: String,
    /// Of a static member (KIP-345).
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) host: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocol_type: String,
    /// Assignors with the member's subscription, the preferred first.
    pub(crate) protocols: Vec<(String, Bytes)>,
    /// The client understands that it gets an id first and joins with it (KIP-394).
    pub(crate) knows_required_id: bool,
    /// The client understands that a leader that came back need not assign again (`JoinGroup` 9).
    pub(crate) knows_skipping: bool,
    /// The id the member gets if it needs one.
    pub(crate) fresh_id: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) host: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) assignment: Bytes,
    pub(crate) expires: Instant,
    pub(crate) joining: Option<Ticket>,
    pub(crate) syncing: Option<Ticket>,
    /// Whether it asked for its assignment in this generation.
    pub(crate) synced: bool,
}

impl Member {
    pub(crate) fn new(id: String, joining: Joining, now: Instant) -> Self {
        Self {
            id,
            instance_id: joining.instance_id,
            client_id: joining.client_id,
            host: joining.host,
            session_timeout: joining.session_timeout,
            rebalance_timeout: joining.rebalance_timeout,
            protocols: joining.protocols,
            assignment: Bytes::new(),
            expires: now + joining.session_timeout,
            joining: None,
            syncing: None,
            synced: false,
        }
    }

    pub(crate) fn update(&mut self, joining: Joining, now: Instant) {
        self.session_timeout = joining.session_timeout;
        self.rebalance_timeout = joining.rebalance_timeout;
        self.protocols = joining.protocols;
        self.seen(now);
    }

    pub(crate) fn seen(&mut self, now: Instant) {
        self.expires = now + self.session_timeout;
    }

    /// A member that waits for an answer lives: the coordinator holds it up, not the other way round.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.joining.is_none() && self.syncing.is_none() && self.expires <= now
    }

    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }
}
