//! The sender's part in transactions: what the machine wants to know, and what it says is to be done.
//!
//! Rules:
//! - The gate is shut before anything is looked at that must not change any more: then each slot is emptied once, so
//!   that every record that was taken belongs to the transaction that ends.
//! - What a transaction leaves behind when it is aborted is dropped and told; a sequence that was used is not used again
//!   for another batch unless the epoch is another.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use roka_protocol::ErrorCode;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::dispatch::FIRST_OF_LEVEL_2;
use super::{Event, Mode, Sender};
use crate::ApiKey;
use crate::producer::error::{Obstacle, ProduceError};
use crate::producer::shared::Shared;
use crate::producer::transaction::{
    Answer, Ask, Caller, Level, Machine, Offsets, TransactionCause, TransactionError, Wish,
};

/// What a user calls.
#[derive(Debug)]
pub(crate) enum Call {
    /// Waits for the producer's identity.
    Start,
    Begin(Level),
    Offsets(u64, Arc<Offsets>),
    End {
        number: u64,
        commit: bool,
    },
    /// The transaction was dropped; nobody waits.
    Abandon(u64),
}

impl Call {
    fn name(&self) -> &'static str {
        match self {
            Self::Start => "InitProducerId",
            Self::Begin(_) => "begin",
            Self::Offsets(..) => "send_offsets",
            Self::End { commit: true, .. } => "commit",
            Self::End { .. } | Self::Abandon(_) => "abort",
        }
    }
}

type Done = oneshot::Sender<Result<u64, TransactionError>>;

#[derive(Debug)]
struct Waiting {
    wish: Wish,
    call: &'static str,
    begins: Option<Level>,
    until: Instant,
    done: Done,
}

/// The transactions of a producer.
#[derive(Debug)]
pub(crate) struct Transactor {
    machine: Machine,
    caller: Caller,
    waiting: Vec<Waiting>,
    /// Nobody waits longer for the last transaction when the producer is closed.
    close_by: Option<Instant>,
}

impl Transactor {
    pub(crate) fn new(caller: Caller) -> Self {
        let config = caller.core.config();
        let backoff = (config.retry_backoff, config.retry_backoff_max);
        let machine = Machine::new(caller.id.clone(), backoff);
        Self { machine, caller, waiting: Vec::new(), close_by: None }
    }

    pub(super) fn id(&self) -> &str {
        &self.caller.id
    }

    pub(super) fn may_send(&self, index: u32) -> bool {
        self.machine.may_send(index)
    }

    /// The highest version of Produce: later ones announce partitions.
    pub(super) fn produce_cap(&self) -> Option<i16> {
        (self.machine.level() == Level::One).then_some(FIRST_OF_LEVEL_2 - 1)
    }

    /// A batch is about to be sent.
    pub(super) fn sent(&mut self) -> Level {
        self.machine.sent();
        self.machine.level()
    }

    /// A partition cannot go on without another epoch.
    pub(super) fn needs_epoch(&mut self, obstacle: &Obstacle) {
        let code = match obstacle {
            Obstacle::Code(code) => *code,
            _ => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        };
        self.machine.fail(TransactionCause::Refused { api: ApiKey::Produce, code }, true);
    }

    /// When to look again.
    pub(super) fn due(&self) -> Option<Instant> {
        let calls = self.waiting.iter().map(|it| it.until).min();
        [self.machine.due(), calls, self.close_by].into_iter().flatten().min()
    }

    /// Answers those whose wish came true, or whose time is up; whether a transaction began.
    fn answer(&mut self, shared: &Shared, now: Instant) -> bool {
        let mut began = false;
        for waiting in std::mem::take(&mut self.waiting) {
            let granted = self.machine.grant(waiting.wish);
            let Some(granted) = granted else {
                if waiting.until <= now {
                    let _ = waiting.done.send(Err(self.machine.not_yet(waiting.call)));
                } else if !waiting.done.is_closed() {
                    self.waiting.push(waiting);
                }
                continue;
            };
            let number = match (&granted, waiting.begins) {
                (Ok(()), Some(level)) => self.machine.begin(level),
                _ => self.machine.number(),
            };
            if granted.is_ok() && waiting.begins.is_some() {
                began = true;
                // Before anybody knows that it began.
                shared.shut.store(false, Ordering::SeqCst);
            }
            if waiting.done.send(granted.map(|()| number)).is_err() && waiting.begins.is_some() {
                // Whoever began it has gone.
                self.machine.abandon(number);
            }
        }
        began
    }
}

impl Sender {
    pub(super) fn call(&mut self, call: Call, done: Done) {
        let Some(it) = &mut self.transaction else { return };
        let name = call.name();
        let (wish, begins) = match call {
            Call::Start => (Wish::Ready, None),
            Call::Begin(level) => (Wish::Ready, Some(level)),
            Call::Offsets(number, offsets) => {
                let job = offsets.job;
                it.machine.commit_offsets(number, offsets);
                (Wish::Offsets { number, job }, None)
            }
            Call::End { number, commit } => {
                it.machine.end(number, commit);
                (Wish::End { number, commit }, None)
            }
            Call::Abandon(number) => return it.machine.abandon(number),
        };
        let until = Instant::now() + self.core.config().api_timeout;
        it.waiting.push(Waiting { wish, call: name, begins, until, done });
    }

    pub(super) fn heard(&mut self, ask: &Ask, answer: Answer) {
        if let Some(it) = &mut self.transaction {
            it.machine.answered(ask, answer, Instant::now());
        }
    }

    /// The producer is closed: what is open is aborted.
    pub(super) fn abandon(&mut self) {
        let patience = self.core.config().api_timeout;
        if let Some(it) = &mut self.transaction {
            it.machine.abandon(it.machine.number());
            it.close_by.get_or_insert(Instant::now() + patience);
        }
    }

    /// Whether no transaction keeps a closed producer.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        self.transaction
            .as_ref()
            .is_none_or(|it| it.machine.is_settled() || it.close_by.is_some_and(|at| at <= now))
    }

    /// A batch was lost.
    pub(super) fn note_loss(&mut self, error: &ProduceError) {
        let Some(it) = &mut self.transaction else {
            tracing::warn!(%error, "records lost");
            return;
        };
        let cause = TransactionCause::Records(error.clone());
        match error {
            ProduceError::Aborted { .. } => tracing::debug!(%error, "records dropped"),
            ProduceError::Refused { code, .. } if is_final(*code) => it.machine.die(cause, false),
            ProduceError::DeliveryTimeout { maybe_written: false, .. } => {
                it.machine.fail(cause, false);
            }
            _ => it.machine.fail(cause, true),
        }
    }

    /// One look at the transaction: gate, identity, what is lost, what to ask, who waits.
    pub(super) fn transact(&mut self, now: Instant) {
        // Each round changes something that the next one looks at: an end without asking, a beginning.
        while self.transact_once(now) {}
    }

    fn transact_once(&mut self, now: Instant) -> bool {
        self.follow_identity();
        let Some(it) = &self.transaction else { return false };
        let (open, aborting) = (it.machine.is_open(), it.machine.is_aborting());
        let was_shut = self.shared.shut.swap(!open, Ordering::SeqCst);
        if !open && !was_shut {
            // Every record that was taken before is seen now.
            (0..self.parts.len() as u32).for_each(|index| self.collect(index, true));
        }
        if aborting {
            self.discard();
        }
        self.announce();
        let drained = self.is_drained();
        let Some(it) = &mut self.transaction else { return false };
        if drained {
            it.machine.drained();
        }
        let ended = drained && !it.machine.is_draining();
        let ask = it.machine.next(now);
        // Last, so that who is answered finds everything as he is told.
        let began = it.answer(&self.shared, now);
        if began {
            self.flushes.forget_failure();
        }
        if let Some(ask) = ask {
            self.ask(ask);
        }
        began || ended
    }

    /// Under a new identity every partition begins at sequence 0.
    fn follow_identity(&mut self) {
        let Some(identity) = self.transaction.as_ref().and_then(|it| it.machine.identity()) else {
            return;
        };
        self.mode = Mode::Idempotent(identity);
        let limit = self.shared.config.max_in_flight;
        for &index in &self.busy {
            let sequencer = &mut self.parts[index as usize].sequencer;
            match sequencer.identity() {
                Some(known) if known == identity => {}
                Some(_) => sequencer.restart(identity),
                None => {
                    *sequencer = super::super::sequencer::Sequencer::new(limit, Some(identity));
                }
            }
        }
    }

    /// Drops what will not be sent any more, and tells.
    fn discard(&mut self) {
        let everything = self.transaction.as_ref().is_some_and(|it| it.machine.forgets_sent());
        for index in self.busy.clone() {
            self.collect(index, true);
            let part = &mut self.parts[index as usize];
            let mut dropped: Vec<_> = part.queue.drain(..).collect();
            if everything {
                dropped.extend(part.sequencer.give_up(|_| true).into_iter().map(|(it, _)| it));
            }
            let (topic, partition) = (part.slot.topic.clone(), part.slot.partition);
            for batch in dropped {
                let records = batch.count();
                let error = ProduceError::Aborted { topic: topic.clone(), partition, records };
                self.finish(index, batch, Err(error));
            }
        }
    }

    /// Partitions with records are announced before they are sent to.
    fn announce(&mut self) {
        let Some(it) = &mut self.transaction else { return };
        for &index in &self.busy {
            let part = &self.parts[index as usize];
            if part.opened.is_some() || !part.queue.is_empty() || !part.sequencer.is_empty() {
                it.machine.want(index);
            }
        }
    }

    /// Whether the transaction can be ended: all is answered; for an abort also what was given up, unless a new epoch
    /// keeps it out (level 2).
    fn is_drained(&self) -> bool {
        let Some(it) = self.transaction.as_ref().filter(|it| it.machine.is_draining()) else {
            return false;
        };
        let quiet = || self.parts.iter().all(|part| part.sequencer.is_quiet());
        let fenced = !it.machine.is_aborting() || it.machine.level() == Level::Two;
        self.flushes.is_idle() && (fenced || quiet())
    }

    fn ask(&self, ask: Ask) {
        let Some(it) = &self.transaction else { return };
        let (caller, tell) = (it.caller.clone(), self.tell.clone());
        let name = |index: &u32| {
            let slot = &self.parts[*index as usize].slot;
            (slot.topic.clone(), slot.partition)
        };
        let named: Vec<_> = match &ask {
            Ask::AddPartitions { partitions, .. } => partitions.iter().map(name).collect(),
            _ => Vec::new(),
        };
        self.core.spawn(async move {
            let answer = caller.ask(&ask, &named).await;
            // The producer may be gone.
            let _ = tell.send(Event::Heard(ask, answer));
        });
    }
}

/// Whether the code says that the producer is at its end, not only the transaction.
fn is_final(code: ErrorCode) -> bool {
    let codes = [
        ErrorCode::PRODUCER_FENCED,
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
    ];
    codes.contains(&code)
}
