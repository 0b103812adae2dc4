//! What came back from a broker, and what follows for each batch.

use std::sync::Arc;
use std::time::Duration;

use roka_protocol::messages::produce::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use roka_protocol::{ApiKey, ErrorCode};
use tokio::time::Instant;

use super::Sender;
use super::part::Leader;
use crate::metadata::{Hint, Why};
use crate::producer::batch::Batch;
use crate::producer::error::{Obstacle, ProduceError};
use crate::producer::receipt::Written;
use crate::producer::sequencer::{Failure, Reaction, Token};
use crate::producer::transaction::SOON;
use crate::producer::verdict::{self, Verdict};
use crate::{Address, Broker, NodeId, SendError};

/// One batch of a request.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(super) index: u32,
    pub(super) token: Token,
    /// Who led the partition when it was sent.
    pub(super) leader: Leader,
}

/// The end of a request.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(super) node: NodeId,
    pub(super) version: i16,
    /// The snapshot of the cluster that led there.
    pub(super) generation: u64,
    pub(super) sent: Vec<Sent>,
    pub(super) result: Result<ProduceResponse, SendError>,
}

impl Sender {
    pub(super) fn answered(&mut self, answered: Answered) {
        let now = Instant::now();
        let Answered { node, version, generation, sent, result } = answered;
        if let Some(link) = self.links.get_mut(&node) {
            link.answered(now);
        }
        match result {
            Ok(response) => self.judge(node, version, generation, sent, response, now),
            Err(error) => self.lost(generation, &sent, &error, now),
        }
    }

    /// No answer: nobody knows what became of the batches.
    fn lost(&mut self, generation: u64, sent: &[Sent], error: &SendError, now: Instant) {
        tracing::debug!(%error, batches = sent.len(), "produce request lost");
        self.core.recorder.error(ApiKey::Produce);
        self.learn();
        let unsent = matches!(error, SendError::Disconnected { sent: false, .. });
        for one in sent {
            let first = self.parts[one.index as usize].sequencer.failures() == 0;
            let obstacle = Obstacle::Send(error.clone());
            self.failed(one, Failure::Retry, obstacle, now, !(unsent && first));
        }
        if !unsent {
            self.core.request_refresh(generation, Why::Unreachable);
        }
    }

    fn judge(
        &mut self,
        node: NodeId,
        version: i16,
        generation: u64,
        mut sent: Vec<Sent>,
        mut response: ProduceResponse,
        now: Instant,
    ) {
        self.take_hints(&mut response);
        if response.throttle_time_ms > 0
            && let Some(link) = self.links.get_mut(&node)
        {
            link.throttle(now + Duration::from_millis(response.throttle_time_ms as u64));
        }
        let (mut stale, mut refused) = (false, false);
        // Brokers answer in the order of the request, as a rule: the next one is then the last here.
        sent.reverse();
        for topic in &response.responses {
            for answer in &topic.partition_responses {
                let at = sent.iter().rposition(|one| self.is_about(one, version, topic, answer));
                if let Some(at) = at {
                    let one = sent.remove(at);
                    stale |= self.judge_one(&one, answer, now);
                    refused |= answer.error_code != 0;
                }
            }
        }
        for one in sent {
            refused = true;
            self.failed(&one, Failure::Retry, Obstacle::Unanswered, now, true);
        }
        if refused {
            self.core.recorder.error(ApiKey::Produce);
        }
        if stale {
            self.core.request_refresh(generation, Why::Stale);
        }
    }

    fn is_about(
        &self,
        one: &Sent,
        version: i16,
        topic: &TopicProduceResponse,
        answer: &PartitionProduceResponse,
    ) -> bool {
        let part = &self.parts[one.index as usize];
        part.slot.partition == answer.index
            && if version >= super::dispatch::FIRST_WITH_TOPIC_IDS {
                self.topics[part.topic].id == topic.topic_id
            } else {
                *part.slot.topic == *topic.name
            }
    }

    /// Leaders that the broker named with its refusals (KIP-951): known before anything is sent again.
    fn take_hints(&mut self, response: &mut ProduceResponse) {
        if response.node_endpoints.is_empty() {
            return;
        }
        let mut leaders = Vec::new();
        for topic in &response.responses {
            let known = self.topics.iter().find(|it| {
                *it.state.name == *topic.name || (topic.name.is_empty() && it.id == topic.topic_id)
            });
            let Some(known) = known else { continue };
            for answer in &topic.partition_responses {
                let hint = &answer.current_leader;
                let listed = |it: &roka_protocol::messages::produce::NodeEndpoint| {
                    it.node_id == hint.leader_id
                };
                if let Some(leader) = NodeId::known(hint.leader_id)
                    && hint.leader_epoch >= 0
                    && response.node_endpoints.iter().any(listed)
                {
                    leaders.push(Hint {
                        topic: known.state.name.clone(),
                        partition: answer.index,
                        leader,
                        leader_epoch: hint.leader_epoch,
                    });
                }
            }
        }
        if leaders.is_empty() {
            return;
        }
        let brokers = response.node_endpoints.drain(..).filter_map(|it| {
            Some(Broker {
                id: NodeId::known(it.node_id)?,
                address: Address::new(it.host, u16::try_from(it.port).ok()?),
                rack: it.rack.map(Arc::from),
            })
        });
        let brokers = brokers.collect();
        self.core.apply_leader_hints(leaders, brokers);
        self.learn();
    }

    /// True if metadata is wanted.
    fn judge_one(&mut self, one: &Sent, answer: &PartitionProduceResponse, now: Instant) -> bool {
        let code = ErrorCode(answer.error_code);
        let part = &mut self.parts[one.index as usize];
        let count = part.sequencer.count(one.token).unwrap_or(1);
        match verdict::of(code, answer.log_start_offset, count) {
            Verdict::Written => {
                let batch = part.sequencer.acked(one.token);
                part.progressed();
                if let Some(batch) = batch {
                    let base_offset = if code.is_ok() { answer.base_offset } else { -1 };
                    let append_time_ms = answer.log_append_time_ms;
                    self.finish(one.index, batch, Ok(Written { base_offset, append_time_ms }));
                }
                false
            }
            Verdict::Split => {
                self.split(one, answer);
                false
            }
            Verdict::Failed { failure: Failure::Fatal, .. } => {
                if let Reaction::Dropped(batch) = part.sequencer.failed(one.token, Failure::Fatal) {
                    let error = self.refused(one, &batch, answer);
                    self.finish(one.index, batch, Err(error));
                }
                false
            }
            Verdict::Failed { failure, stale } => {
                tracing::debug!(topic = %part.slot.topic, partition = answer.index, %code, "not written");
                self.failed(one, failure, Obstacle::Code(code), now, true);
                // With a hint, or if somebody else asked before, it is known already where to go.
                stale && self.parts[one.index as usize].leader == Some(one.leader)
            }
        }
    }

    fn refused(
        &self,
        one: &Sent,
        batch: &Batch,
        answer: &PartitionProduceResponse,
    ) -> ProduceError {
        let slot = &self.parts[one.index as usize].slot;
        let records = answer.record_errors.iter().filter_map(|it| {
            Some(format!("record {}: {}", it.batch_index, it.batch_index_error_message.as_ref()?))
        });
        let detail: Vec<_> = answer.error_message.iter().cloned().chain(records).collect();
        ProduceError::Refused {
            topic: slot.topic.clone(),
            partition: slot.partition,
            code: ErrorCode(answer.error_code),
            records: batch.count(),
            detail: (!detail.is_empty()).then(|| detail.join("; ").into()),
        }
    }

    /// Too large as it is: two batches in its place.
    fn split(&mut self, one: &Sent, answer: &PartitionProduceResponse) {
        let part = &mut self.parts[one.index as usize];
        let mut generation = None;
        let split = part.sequencer.split(one.token, |batch| {
            let parts = batch.split()?.map(|part| {
                let count = part.count();
                (part, count)
            });
            generation = Some(batch.generation);
            Ok::<_, roka_protocol::records::RecordError>(parts.into())
        });
        match split {
            Ok(()) => {
                if let Some(generation) = generation {
                    tracing::debug!(topic = %part.slot.topic, partition = part.slot.partition, "batch split");
                    part.slot.waiting.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    self.flushes.began(generation, 1);
                }
            }
            Err((batch, _)) => {
                let error = self.refused(one, &batch, answer);
                self.finish(one.index, batch, Err(error));
            }
        }
    }

    /// The batch is to be sent again, or was given up meanwhile.
    fn failed(
        &mut self,
        one: &Sent,
        failure: Failure,
        obstacle: Obstacle,
        now: Instant,
        wait: bool,
    ) {
        let (core, part) = (&self.core, &mut self.parts[one.index as usize]);
        let reaction = part.sequencer.failed(one.token, failure);
        if let (Some(transaction), Reaction::Renumber) = (&mut self.transaction, &reaction) {
            transaction.needs_epoch(&obstacle);
        }
        let wait = match reaction {
            Reaction::Retry => wait,
            Reaction::Renumber => part.sequencer.renewals() > 1,
            Reaction::Follow | Reaction::Gone | Reaction::Dropped(_) => return,
        };
        let soon = matches!(obstacle, Obstacle::Code(ErrorCode::CONCURRENT_TRANSACTIONS));
        let failures = part.sequencer.failures();
        part.obstacle = Some(obstacle);
        if wait && soon {
            // The transaction before is being completed, which takes milliseconds.
            part.back_off(one.leader, |_| now + SOON * failures.clamp(1, 25));
        } else if wait {
            part.back_off(one.leader, |backoff| now + core.next_wait(backoff));
        }
    }
}
