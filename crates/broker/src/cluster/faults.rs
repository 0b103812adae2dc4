//! The cluster misbehaves on command.

use std::{ops::RangeInclusive, sync::atomic::Ordering, time::Duration};

use roka_protocol::{ApiKey, ErrorCode};

use super::Cluster;
use crate::{Error, Fault, builder::check_transaction_version, releases::Release, state::Mode};

impl Cluster {
    /// The node answers nothing more and keeps its connections, as after SIGSTOP. It keeps its leaderships: move
    /// them, or [`kill`](Self::kill) it, as a real cluster would after its session timeout.
    pub fn hang(&self, node: i32) -> Result<(), Error> {
        self.change_mode(node, Mode::Running, Mode::Hanging)
    }

    /// The node goes on with what it was asked while it hung.
    pub fn resume(&self, node: i32) -> Result<(), Error> {
        self.change_mode(node, Mode::Hanging, Mode::Running)
    }

    fn change_mode(&self, node: i32, from: Mode, to: Mode) -> Result<(), Error> {
        let info = self.info(node)?;
        if info.mode() == from {
            info.set_mode(to);
        }
        Ok(())
    }

    /// Makes a live replica the leader of the partition, with a new leader epoch. A node that is no replica is made
    /// one. Nothing when it leads already.
    pub fn move_leader(&self, topic: &str, partition: i32, node: i32) -> Result<(), Error> {
        if !self.info(node)?.is_live() {
            return Err(Error::UnknownNode(node));
        }
        let partition = self.partition(topic, partition)?;
        let mut state = partition.lock();
        state.held_leaderless = false;
        for of in [true, false] {
            let leadership = &mut state.leadership;
            let list = if of { &mut leadership.replicas } else { &mut leadership.isr };
            if !list.contains(&node) {
                list.push(node);
            }
        }
        state.lead_by(Some(node));
        drop(state);
        self.shared.save_or_warn();
        Ok(())
    }

    /// Makes a live node the coordinator of a group, or of a transactional id; it stays so whenever it lives.
    /// Requests to the former one are answered with `NOT_COORDINATOR`, also those of members that wait.
    pub fn move_coordinator(&self, group: &str, node: i32) -> Result<(), Error> {
        if !self.info(node)?.is_live() {
            return Err(Error::UnknownNode(node));
        }
        self.shared.groups.move_coordinator(group, node);
        Ok(())
    }

    /// Decided transactions wait with their markers until this is called with `false`: their records stay invisible to
    /// readers of committed records, their positions pending, and the producer's next transaction cannot begin.
    pub fn hold_markers(&self, hold: bool) {
        self.shared.transactions.hold_markers(hold);
    }

    /// The version of the transaction protocol that clients shall use from now on, 0 to 2, as the feature
    /// `transaction.version` (KIP-890) says it. Clients hear of it on new connections: [`cut`](Self::cut) the present ones.
    pub fn set_transaction_version(&self, version: i16) -> Result<(), Error> {
        check_transaction_version(version)?;
        self.shared.transactions.set_version(version);
        Ok(())
    }

    /// Takes the leader from the partition until [`move_leader`](Self::move_leader) or [`elect`](Self::elect) gives
    /// it one.
    pub fn leaderless(&self, topic: &str, partition: i32) -> Result<(), Error> {
        let partition = self.partition(topic, partition)?;
        let mut state = partition.lock();
        state.held_leaderless = true;
        state.lead_by(None);
        Ok(())
    }

    /// Ends [`leaderless`](Self::leaderless): the first live replica leads.
    pub fn elect(&self, topic: &str, partition: i32) -> Result<(), Error> {
        let partition = self.partition(topic, partition)?;
        partition.lock().held_leaderless = false;
        partition.reelect(&|id| self.shared.is_live(id));
        self.shared.save_or_warn();
        Ok(())
    }

    /// Changes a user's password, or adds a user, where clients must say who they are. Connections stay.
    pub fn set_password(&self, user: &str, password: &str) {
        self.shared.security.set_password(user, password);
    }

    /// Lets requests meet a fault, after those that were injected before.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.add(fault);
    }

    /// The next `times` requests of the API, at any node, are answered with the error.
    pub fn fail(&self, api: ApiKey, error: ErrorCode, times: u32) {
        self.inject(Fault::fail(error).on(api).times(times));
    }

    /// The next `times` requests of the API wait before they are carried out.
    pub fn delay(&self, api: ApiKey, delay: Duration, times: u32) {
        self.inject(Fault::delay(delay).on(api).times(times));
    }

    /// The next request of the API is carried out and never answered.
    pub fn drop_response(&self, api: ApiKey) {
        self.inject(Fault::drop_response().on(api));
    }

    /// Closes all connections of the node, which goes on listening.
    pub fn cut(&self, node: i32) -> Result<(), Error> {
        self.info(node)?.sever();
        Ok(())
    }

    /// The next response of the node is cut after `bytes` bytes, and its connection closed.
    pub fn cut_after(&self, node: i32, bytes: usize) -> Result<(), Error> {
        self.info(node)?;
        self.inject(Fault::cut_after(bytes).at(node));
        Ok(())
    }

    /// Forgets all faults that wait.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// How many requests can still meet a fault.
    pub fn faults_left(&self) -> u64 {
        self.shared.faults.left()
    }

    /// All nodes admit only to these versions of the API, within what they speak. Connections stay open.
    pub fn cap_versions(&self, api: ApiKey, versions: RangeInclusive<i16>) {
        self.shared.caps.set(None, api, versions);
    }

    /// As [`cap_versions`](Self::cap_versions), for one node: a cluster of mixed versions.
    pub fn cap_versions_at(
        &self,
        node: i32,
        api: ApiKey,
        versions: RangeInclusive<i16>,
    ) -> Result<(), Error> {
        self.info(node)?;
        self.shared.caps.set(Some(node), api, versions);
        Ok(())
    }

    /// All nodes speak only what this release of Kafka speaks, by its own word: `0.10.0`, `0.10.2`, `0.11`, `1.0`,
    /// `1.1`, `2.0`, `2.4`, `2.8`, `3.3`, `3.9`, `4.0` or `4.3`. Caps of single APIs count besides. Connections stay
    /// open; [`cut`](Self::cut) them to have clients ask again.
    pub fn pretend(&self, release: &str) -> Result<(), Error> {
        self.shared.caps.pretend(None, find_release(release)?);
        Ok(())
    }

    /// As [`pretend`](Self::pretend), for one node: a cluster in the midst of an upgrade.
    pub fn pretend_at(&self, node: i32, release: &str) -> Result<(), Error> {
        self.info(node)?;
        self.shared.caps.pretend(Some(node), find_release(release)?);
        Ok(())
    }

    /// Ends all caps of versions.
    pub fn uncap_versions(&self) {
        self.shared.caps.clear();
    }

    /// Whether Produce and Fetch name a partition's new leader beside the error that it moved (KIP-951). Default:
    /// true.
    pub fn leader_hints(&self, on: bool) {
        self.shared.leader_hints.store(on, Ordering::Relaxed);
    }
}

fn find_release(name: &str) -> Result<&'static Release, Error> {
    let unknown =
        || Error::UnknownRelease { name: name.to_owned(), known: Release::names().join(", ") };
    Release::find(name).ok_or_else(unknown)
}
