//! Does what the [membership](super::membership) says, on the I/O thread.
//!
//! One task owns membership and commits. Each request runs as a task of its own and reports back.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use roka_protocol::messages::{
    join_group::JoinGroupResponseMember,
    offset_commit::{OffsetCommitRequest, OffsetCommitResponse},
    sync_group::SyncGroupRequestAssignment,
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};

use super::{
    GroupConfig,
    ask::{AskError, How, ask},
    assignor::{Assignor, PartitionCounts, RebalanceProtocol},
    commits::{self, CommitJob, CommitStep, Commits, Committer},
    error::{CommitError, GroupError},
    events::Shared,
    leader::{self, Led},
    membership::{Input, Membership, Output, Settings},
    requests::{self, Caller, JoinAnswer},
};
use crate::{connection::Lane, core::Core, metadata::Why};

/// A few requests are under way at any time.
const ANSWERS_MAX: usize = 16;
/// How often a leader looks whether a missing topic was created.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Up to this version topics of `OffsetCommit` go by name.
const COMMIT_BY_NAME: (i16, i16) = (0, 9);

/// Numbers the members of this process, for connections of their own.
static MEMBERS: AtomicU32 = AtomicU32::new(0);

/// Something the user wants.
pub(super) enum Command {
    Released(u64),
    Rejoin,
    Commit(CommitJob),
    Leave(Option<oneshot::Sender<()>>),
}

/// What users want, until the driver takes it. Bounded by the number of callers that wait.
pub(super) struct Mailbox {
    /// None when nobody takes it any more.
    commands: Mutex<Option<Vec<Command>>>,
    wake: Notify,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { commands: Mutex::new(Some(Vec::new())), wake: Notify::new() }
    }
}

impl Mailbox {
    /// Who waits for an answer learns from the dropped command that the member is gone.
    pub(super) fn put(&self, command: Command) {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(commands) = &mut *commands {
            commands.push(command);
            self.wake.notify_one();
        }
    }

    fn take(&self) -> Vec<Command> {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn close(&self) -> Vec<Command> {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.take().unwrap_or_default()
    }
}

enum Answer {
    Membership(Input),
    Joined(JoinAnswer),
    Led { generation: i32, result: Result<Led, GroupError> },
    Committed(Result<OffsetCommitResponse, AskError>),
}

/// The task of a member.
pub(super) struct Driver {
    core: Arc<Core>,
    config: GroupConfig,
    lane: Lane,
    assignors: Arc<Vec<Arc<dyn Assignor>>>,
    shared: Arc<Shared>,
    membership: Membership,
    commits: Commits,
    rng: fastrand::Rng,
    /// The chosen strategy and, for the leader, the members as they described themselves.
    protocol: String,
    members: Vec<JoinGroupResponseMember>,
    assignments: Vec<SyncGroupRequestAssignment>,
    /// What the leader assigned; none if it is not known, because another process of its name did (KIP-814).
    counts: Option<PartitionCounts>,
    /// The topics that metadata is kept of.
    tracked: BTreeSet<Arc<str>>,
    look_at: Option<Instant>,
    leaving: Vec<oneshot::Sender<()>>,
}

impl Driver {
    pub(super) fn new(
        core: Arc<Core>,
        config: GroupConfig,
        assignors: Vec<Arc<dyn Assignor>>,
        shared: Arc<Shared>,
    ) -> Self {
        let cooperative =
            assignors.iter().all(|it| it.protocol() == RebalanceProtocol::Cooperative);
        let settings = Settings {
            group: config.group_id.clone(),
            instance_id: config.instance_id.clone(),
            rebalance_timeout: config.rebalance_timeout,
            heartbeat_interval: config.heartbeat_interval,
            retry_backoff: core.config().retry_backoff,
            retry_backoff_max: core.config().retry_backoff_max,
            cooperative,
        };
        let rng = core.with_rng(fastrand::Rng::fork);
        let membership =
            Membership::new(settings, core.with_rng(fastrand::Rng::fork), Instant::now());
        Self {
            core,
            config,
            lane: Lane::Join(MEMBERS.fetch_add(1, Ordering::Relaxed)),
            assignors: Arc::new(assignors),
            shared,
            membership,
            commits: Commits::default(),
            rng,
            protocol: String::new(),
            members: Vec::new(),
            assignments: Vec::new(),
            counts: None,
            tracked: BTreeSet::new(),
            look_at: None,
            leaving: Vec::new(),
        }
    }

    /// Runs until the member has left, or the client is closed.
    pub(super) async fn run(mut self) {
        let (sender, mut answers) = mpsc::channel(ANSWERS_MAX);
        let mut changes = self.core.metadata_changed();
        self.track(self.config.topics.clone());
        self.membership.tick(Instant::now());
        loop {
            let wake_at = self.turn(&sender);
            if self.membership.has_ended() {
                break;
            }
            // All of these only wait: none is cut short in the middle of anything.
            tokio::select! {
                () = self.shared.mailbox.wake.notified() => {}
                answer = answers.recv() => {
                    if let Some(answer) = answer {
                        self.answer(answer);
                    }
                }
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(wake_at.unwrap_or_else(Instant::now)),
                    if wake_at.is_some() => {}
            }
        }
    }

    /// Does what can be done now. When there is something to do again.
    fn turn(&mut self, answers: &mpsc::Sender<Answer>) -> Option<Instant> {
        let now = Instant::now();
        for command in self.shared.mailbox.take() {
            match command {
                Command::Released(ticket) => {
                    self.membership.handle(Input::Released(ticket), now);
                }
                Command::Rejoin => self.membership.handle(Input::Rejoin("asked to"), now),
                Command::Commit(job) => self.commits.push(job),
                Command::Leave(reply) => {
                    self.leaving.extend(reply);
                    self.membership.handle(Input::Leave, now);
                }
            }
        }
        self.look_at_topics(now);
        self.membership.tick(now);
        while let Some(output) = self.membership.output() {
            self.act(output, answers);
        }
        self.shared.set_identity(self.membership.generation(), self.membership.member_id());
        let commit_at = match self.commits.step(&self.config.group_id, &self.membership, now) {
            CommitStep::Wait(at) => at,
            CommitStep::Send { items, generation } => {
                self.commit(items, generation, answers);
                None
            }
        };
        self.membership.wake_at().into_iter().chain(commit_at).chain(self.look_at).min()
    }

    fn answer(&mut self, answer: Answer) {
        let now = Instant::now();
        match answer {
            Answer::Membership(input) => self.membership.handle(input, now),
            Answer::Joined(JoinAnswer { input, protocol, members }) => {
                self.protocol = protocol;
                if let Input::Joined { result: Ok(joined), .. } = &input
                    && joined.skip_assignment
                {
                    self.counts = None;
                    self.track(leader::topics(&members));
                }
                self.members = members;
                self.membership.handle(input, now);
            }
            Answer::Led { generation, result } => {
                let result = result.map(|led| {
                    self.assignments = led.assignments;
                    self.counts = Some(led.counts);
                    self.track(led.topics.names.iter().cloned());
                });
                self.membership.handle(Input::Assigned { generation, result }, now);
            }
            Answer::Committed(result) => {
                let group = self.config.group_id.clone();
                let refused = self.commits.answered(&group, result, now, &mut self.rng);
                if let Some((generation, code)) = refused {
                    self.membership.handle(Input::CommitRefused { generation, code }, now);
                }
            }
        }
    }

    /// Keeps metadata of exactly these topics and those subscribed to.
    fn track(&mut self, topics: impl IntoIterator<Item = Arc<str>>) {
        let wanted: BTreeSet<_> = self.config.topics.iter().cloned().chain(topics).collect();
        let new: Vec<_> = wanted.difference(&self.tracked).cloned().collect();
        let gone: Vec<_> = self.tracked.difference(&wanted).cloned().collect();
        self.core.track_topics(&new);
        self.core.untrack_topics(&gone);
        self.tracked = wanted;
    }

    /// The leader of a group at rest sees to it that new partitions are assigned.
    fn look_at_topics(&mut self, now: Instant) {
        if !self.membership.leads() {
            self.look_at = None;
            return;
        }
        let metadata = self.core.metadata();
        if self.tracked.iter().any(|topic| metadata.topic(topic).is_none()) {
            // Nothing is known of it yet, which is no news.
            return;
        }
        let counts = leader::counts(&metadata, &self.tracked);
        let complete = self.tracked.iter().all(|topic| counts.contains_key(topic));
        // Until the next assignment these are what it is about.
        let before = self.counts.replace(counts.clone());
        if before.is_some_and(|before| before != counts) {
            self.membership.handle(Input::Rejoin("the partitions of a topic changed"), now);
        }
        if complete {
            self.look_at = None;
            return;
        }
        if self.look_at.is_some_and(|at| at <= now) {
            self.core.request_refresh(metadata.generation, Why::Asked);
            self.look_at = None;
        }
        self.look_at.get_or_insert(now + LOOK_AGAIN);
    }

    fn caller(&self) -> Caller {
        Caller { core: self.core.clone(), config: self.config.clone(), lane: self.lane }
    }

    fn act(&mut self, output: Output, answers: &mpsc::Sender<Answer>) {
        let caller = self.caller();
        let answers = answers.clone();
        match output {
            Output::Emit(event) => {
                tracing::debug!(group = %self.config.group_id, ?event, "group");
                self.shared.push(event);
            }
            Output::Join { member_id, generation, owned, reason } => {
                tracing::debug!(group = %self.config.group_id, member_id, reason, "joining");
                let assignors = self.assignors.clone();
                self.core.spawn(async move {
                    let joined =
                        requests::join(&caller, &assignors, member_id, generation, owned, reason);
                    // The driver is gone if nobody takes it; here and below.
                    let _ = answers.send(Answer::Joined(joined.await)).await;
                });
            }
            Output::Assign { generation } => {
                let (members, protocol) =
                    (std::mem::take(&mut self.members), self.protocol.clone());
                let assignors = self.assignors.clone();
                self.core.spawn(async move {
                    let result = leader::assign(&caller, &assignors, &protocol, members).await;
                    let _ = answers.send(Answer::Led { generation, result }).await;
                });
            }
            Output::Sync { member_id, generation, leads } => {
                let assignments =
                    if leads { std::mem::take(&mut self.assignments) } else { Vec::new() };
                let protocol = self.protocol.clone();
                self.core.spawn(async move {
                    let input =
                        requests::sync(&caller, member_id, generation, protocol, assignments);
                    let _ = answers.send(Answer::Membership(input.await)).await;
                });
            }
            Output::Heartbeat { member_id, generation } => {
                self.core.spawn(async move {
                    let input = requests::heartbeat(&caller, member_id, generation).await;
                    let _ = answers.send(Answer::Membership(input)).await;
                });
            }
            Output::Leave { member_id } => {
                self.core.spawn(async move {
                    requests::leave(&caller, member_id).await;
                    let _ = answers.send(Answer::Membership(Input::Left)).await;
                });
            }
        }
    }

    fn commit(
        &self,
        items: Vec<commits::CommitItem>,
        generation: i32,
        answers: &mpsc::Sender<Answer>,
    ) {
        let (core, answers) = (self.core.clone(), answers.clone());
        let committer = Committer {
            group: self.config.group_id.clone(),
            generation,
            member_id: self.membership.member_id().to_string(),
            instance_id: self.config.instance_id.clone(),
        };
        let timeout = self.config.commit_timeout.min(self.core.config().request_timeout);
        let how = How { lane: Lane::Group, timeout, versions: COMMIT_BY_NAME };
        self.core.spawn(async move {
            let build = |version| commits::request(&committer, &items, version);
            let asked =
                ask::<OffsetCommitRequest>(&core, &committer.group, how, build, commits::outcome);
            let result = asked.await.map(|(response, _)| response);
            let _ = answers.send(Answer::Committed(result)).await;
        });
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Also when the I/O thread ends before the member does.
        let tracked: Vec<_> = std::mem::take(&mut self.tracked).into_iter().collect();
        self.core.untrack_topics(&tracked);
        self.core.connections.retire_lane(self.lane);
        let left = GroupError::Left { group: self.config.group_id.clone() };
        for command in self.shared.mailbox.close() {
            if let Command::Commit(job) = command {
                self.commits.push(job);
            }
        }
        self.commits.fail(&CommitError::Group(left));
        self.shared.close();
    }
}
