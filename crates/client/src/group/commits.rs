//! Offsets on their way into the group: one request at a time, in the order of the calls.
//!
//! Rules:
//! - An offset is committed only while this member holds the partition without a break since the caller got it: the
//!   partition's epoch is compared before each attempt.
//! - A refusal because of a rebalance is not the end: after the rebalance it is tried again, in the new generation, if
//!   the partitions are still held.
//! - Only what failed is sent again. An error names the partition.

use std::{collections::VecDeque, sync::Arc};

use roka_protocol::{
    ApiKey, ErrorCode,
    messages::offset_commit::{
        OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
        OffsetCommitResponse,
    },
};
use tokio::{sync::oneshot, time::Instant};

use super::{
    ask::AskError,
    error::CommitError,
    membership::{Membership, moves_coordinator},
};
use crate::{
    Error, Subject, TopicPartition,
    action::{self, Action},
    consumer::Position,
    retry::{Backoff, Deadline},
};

/// An offset to commit.
#[derive(Debug, Clone)]
pub(super) struct CommitItem {
    pub(super) partition: TopicPartition,
    /// The epoch in which the caller got the partition.
    pub(super) epoch: i32,
    pub(super) position: Position,
    pub(super) metadata: Option<String>,
}

/// One call.
pub(super) struct CommitJob {
    pub(super) items: Vec<CommitItem>,
    pub(super) deadline: Deadline,
    pub(super) started: Instant,
    pub(super) backoff: Backoff,
    pub(super) reply: oneshot::Sender<Result<(), CommitError>>,
    pub(super) state: JobState,
    pub(super) last: Option<Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobState {
    Ready,
    /// Until then nothing newer can be known.
    Waiting(Instant),
    /// That generation was refused: the rebalance must be over first.
    Rebalancing(i32),
    /// A request is under way.
    Sent(i32),
}

/// The calls that wait, the first of them maybe sent.
#[derive(Default)]
pub(super) struct Commits {
    jobs: VecDeque<CommitJob>,
}

/// What to do with the first call.
pub(super) enum CommitStep {
    /// Nothing now; look again then.
    Wait(Option<Instant>),
    /// Send these, as that generation.
    Send { items: Vec<CommitItem>, generation: i32 },
}

impl Commits {
    pub(super) fn push(&mut self, job: CommitJob) {
        self.jobs.push_back(job);
    }

    /// Ends all calls.
    pub(super) fn fail(&mut self, error: &CommitError) {
        for job in self.jobs.drain(..) {
            // Who went away does not need an answer.
            let _ = job.reply.send(Err(error.clone()));
        }
    }

    fn end_first(&mut self, result: Result<(), CommitError>) {
        if let Some(job) = self.jobs.pop_front() {
            let _ = job.reply.send(result);
        }
    }

    /// What to do now.
    pub(super) fn step(
        &mut self,
        group: &Arc<str>,
        membership: &Membership,
        now: Instant,
    ) -> CommitStep {
        loop {
            let Some(job) = self.jobs.front_mut() else { return CommitStep::Wait(None) };
            let end = job.deadline.at();
            match job.state {
                JobState::Sent(_) => return CommitStep::Wait(None),
                _ if job.reply.is_closed() => {
                    self.jobs.pop_front();
                    continue;
                }
                _ => {}
            }
            let fits = |item: &CommitItem| membership.epoch_of(&item.partition) == Some(item.epoch);
            if let Some(lost) = job.items.iter().find(|item| !fits(item)) {
                let partition = lost.partition.clone();
                let error = CommitError::NotOwned { group: group.clone(), partition };
                self.end_first(Err(error));
                continue;
            }
            if job.deadline.passed(now) {
                let operation = format!("committing offsets of group {group}");
                let (after, last) = (now - job.started, job.last.take().map(Box::new));
                let error = Error::Timeout { operation, after, last };
                self.end_first(Err(CommitError::Client(error)));
                continue;
            }
            match job.state {
                JobState::Waiting(at) if at > now => return CommitStep::Wait(Some(at.min(end))),
                JobState::Rebalancing(refused)
                    if !membership.is_stable() || membership.generation() == refused =>
                {
                    return CommitStep::Wait(Some(end));
                }
                _ if !membership.may_commit() => return CommitStep::Wait(Some(end)),
                _ => {}
            }
            let generation = membership.generation();
            job.state = JobState::Sent(generation);
            return CommitStep::Send { items: job.items.clone(), generation };
        }
    }

    /// The request of the first call was answered. Gives the code that concerns the membership, if there is one.
    pub(super) fn answered(
        &mut self,
        group: &Arc<str>,
        result: Result<OffsetCommitResponse, AskError>,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Option<(i32, ErrorCode)> {
        let job = self.jobs.front_mut()?;
        let JobState::Sent(generation) = job.state else { return None };
        let response = match result {
            Ok(response) => response,
            Err(AskError::Unreachable(error)) => {
                job.last = error.map(Error::Send).or(job.last.take());
                job.state = JobState::Waiting(now + job.backoff.next(rng));
                return None;
            }
            Err(AskError::Refused(code)) => {
                let subject = Subject::Group(group.clone());
                let error = Error::refused(ApiKey::FindCoordinator, subject, code);
                self.end_first(Err(CommitError::Client(error)));
                return None;
            }
            Err(AskError::Hopeless(error)) => {
                self.end_first(Err(CommitError::Client(error)));
                return None;
            }
        };
        let mut fatal = None;
        let mut membership = None;
        job.items.retain(|item| {
            let subject = || {
                let TopicPartition { topic, partition } = item.partition.clone();
                Subject::GroupOffset { group: group.clone(), topic, partition }
            };
            let api = ApiKey::OffsetCommit;
            match code_of(&response, &item.partition) {
                None => fatal = Some(Error::Missing { api, subject: subject() }),
                Some(ErrorCode::NONE) => return false,
                Some(code) => {
                    let error = Error::refused(api, subject(), code);
                    match action::of(code) {
                        Action::Rejoin | Action::RejoinAsNew | Action::Fenced => {
                            membership = Some(code);
                        }
                        action if action.is_retry() => {}
                        _ => fatal = Some(error.clone()),
                    }
                    job.last = Some(error);
                }
            }
            true
        });
        if job.items.is_empty() {
            self.end_first(Ok(()));
            return None;
        }
        if let Some(error) = fatal {
            self.end_first(Err(CommitError::Client(error)));
            return None;
        }
        job.state = match membership {
            Some(_) => JobState::Rebalancing(generation),
            None => JobState::Waiting(now + job.backoff.next(rng)),
        };
        membership.map(|code| (generation, code))
    }
}

fn code_of(response: &OffsetCommitResponse, partition: &TopicPartition) -> Option<ErrorCode> {
    let topic = response.topics.iter().find(|topic| *topic.name == *partition.topic)?;
    let found = topic.partitions.iter().find(|it| it.partition_index == partition.partition)?;
    Some(ErrorCode(found.error_code))
}

/// The code in the response that says that the coordinator is another broker, if there is one.
pub(super) fn outcome(response: &OffsetCommitResponse) -> ErrorCode {
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    let mut codes = partitions.map(|it| ErrorCode(it.error_code));
    codes.find(|code| moves_coordinator(*code)).unwrap_or_default()
}

/// Who commits.
#[derive(Debug, Clone)]
pub(super) struct Committer {
    pub(super) group: Arc<str>,
    pub(super) generation: i32,
    pub(super) member_id: String,
    pub(super) instance_id: Option<Arc<str>>,
}

/// The request in that version.
pub(super) fn request(
    committer: &Committer,
    items: &[CommitItem],
    version: i16,
) -> OffsetCommitRequest {
    let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
    for item in items {
        let partition = OffsetCommitRequestPartition {
            partition_index: item.partition.partition,
            committed_offset: item.position.offset,
            committed_leader_epoch: item.position.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(item.metadata.clone().unwrap_or_default()),
            ..OffsetCommitRequestPartition::default()
        };
        match topics.iter_mut().find(|topic| *topic.name == *item.partition.topic) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(OffsetCommitRequestTopic {
                name: item.partition.topic.to_string(),
                partitions: vec![partition],
                ..OffsetCommitRequestTopic::default()
            }),
        }
    }
    OffsetCommitRequest {
        group_id: committer.group.to_string(),
        generation_id_or_member_epoch: committer.generation,
        member_id: committer.member_id.clone(),
        group_instance_id: committer
            .instance_id
            .as_ref()
            .filter(|_| version >= 7)
            .map(ToString::to_string),
        topics,
        ..OffsetCommitRequest::default()
    }
}
