//! The sequencer against a broker and a network that misbehave: no duplicate, no gap, no disorder.
//!
//! The broker is a naive model of Kafka's producer state (last five batches, sequence and epoch checks) on one log that
//! both nodes share; only one of them leads. Requests queue up per connection; connections break before or after the
//! broker reads what is queued; answers get lost; the client's idea of the leader lags behind.

use std::collections::{HashSet, VecDeque};

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// The client sends all that it may.
    Send,
    /// The broker at a node reads one request and answers it.
    Serve(i32),
    /// Like it, but the answer is an error although the batch was appended (`NOT_ENOUGH_REPLICAS_AFTER_APPEND`).
    ServeAfterAppend(i32),
    /// The broker rejects one request for a passing reason.
    Reject(i32),
    /// The broker reads that many of the queued requests, then the connection breaks with all answers.
    Cut(i32, usize),
    /// The other node leads.
    Move,
    /// The client learns who leads.
    Learn,
    /// The client gives up its oldest batch.
    GiveUp,
    /// The broker finds the oldest batch faulty.
    RejectForGood(i32),
    /// The broker forgets the producer; only while nothing is unanswered, and only one that says so afterwards.
    Forget,
}

#[derive(Debug, Clone)]
struct Sent {
    token: Token,
    /// Number of the first record, and how many.
    batch: (u32, i32),
    stamp: Stamp,
}

#[derive(Debug, Default)]
struct Broker {
    log: Vec<u32>,
    /// Since Kafka 2.4 a broker that does not know the producer takes any sequence.
    trusting: bool,
    state: Option<Producer>,
}

/// Epoch, next sequence, base sequence and count of the last five batches.
type Producer = (i16, i32, VecDeque<(i32, i32)>);

impl Broker {
    /// As Kafka's `ProducerAppendInfo` and `ProducerStateEntry` decide.
    fn append(&mut self, sent: &Sent) -> Result<(), Failure> {
        let (epoch, base, count) =
            (sent.stamp.identity.epoch, sent.stamp.base_sequence, sent.batch.1);
        match &mut self.state {
            Some((current, ..)) if epoch < *current => return Err(Failure::StaleEpoch),
            Some((current, next, last)) if epoch == *current => {
                if last.contains(&(base, count)) {
                    return Ok(());
                }
                if base != *next {
                    return Err(Failure::OutOfOrder);
                }
                *next = add(base, count);
                last.push_back((base, count));
                if last.len() > 5 {
                    last.pop_front();
                }
            }
            Some(_) if base != 0 => return Err(Failure::OutOfOrder),
            None if base != 0 && !self.trusting => {
                return Err(Failure::UnknownProducer { log_start_offset: 0 });
            }
            state => *state = Some((epoch, add(base, count), VecDeque::from([(base, count)]))),
        }
        self.log.extend((0..count as u32).map(|i| sent.batch.0 + i));
        Ok(())
    }
}

struct World {
    sequencer: Sequencer<(u32, i32)>,
    epoch: i16,
    broker: Broker,
    queues: [VecDeque<Sent>; 2],
    leader: i32,
    known_leader: i32,
    made: u32,
    given_up: HashSet<u32>,
    acked: HashSet<u32>,
}

impl World {
    fn new(limit: usize, trusting: bool, first_sequence: i32) -> Self {
        let identity = Identity { id: 7, epoch: 0 };
        let mut sequencer = Sequencer::new(limit, Some(identity));
        sequencer.next_sequence = if trusting { first_sequence } else { 0 };
        Self {
            sequencer,
            epoch: 0,
            broker: Broker { trusting, ..Broker::default() },
            queues: Default::default(),
            leader: 0,
            known_leader: 0,
            made: 0,
            given_up: HashSet::new(),
            acked: HashSet::new(),
        }
    }

    fn send(&mut self) {
        if self.sequencer.wanted().is_some() {
            self.epoch += 1;
            self.sequencer.renew(Identity { id: 7, epoch: self.epoch });
        }
        loop {
            match self.sequencer.next() {
                Next::Nothing => return,
                Next::Again => {}
                Next::Fresh => {
                    let count = 1 + (self.made % 3) as i32;
                    self.sequencer.admit((self.made, count), count);
                    self.made += count as u32;
                }
            }
            let (token, batch, stamp) = self.sequencer.dispatch(self.known_leader).unwrap();
            let sent = Sent { token, batch: *batch, stamp: stamp.unwrap() };
            self.queues[self.known_leader as usize].push_back(sent);
        }
    }

    fn serve(&mut self, node: i32, answer: impl Fn(Result<(), Failure>) -> Result<(), Failure>) {
        let Some(sent) = self.queues[node as usize].pop_front() else { return };
        let result =
            if node == self.leader { self.broker.append(&sent) } else { Err(Failure::Retry) };
        let result = answer(result);
        self.answered(&sent, result);
    }

    fn answered(&mut self, sent: &Sent, result: Result<(), Failure>) {
        match result {
            Ok(()) => {
                if let Some((first, count)) = self.sequencer.acked(sent.token) {
                    self.acked.extend((0..count as u32).map(|i| first + i));
                }
            }
            Err(failure) => {
                if let Reaction::Dropped((first, count)) =
                    self.sequencer.failed(sent.token, failure)
                {
                    self.given_up.extend((0..count as u32).map(|i| first + i));
                }
            }
        }
    }

    fn cut(&mut self, node: i32, read: usize) {
        let queued: Vec<_> = self.queues[node as usize].drain(..).collect();
        for sent in queued.iter().take(read).filter(|_| node == self.leader) {
            // The answer is lost.
            let _ = self.broker.append(sent);
        }
        for sent in queued {
            self.answered(&sent, Err(Failure::Retry));
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Send => self.send(),
            Step::Serve(node) => self.serve(node, |result| result),
            Step::ServeAfterAppend(node) => self.serve(node, |_| Err(Failure::Retry)),
            Step::Reject(node) => {
                if let Some(sent) = self.queues[node as usize].pop_front() {
                    self.answered(&sent, Err(Failure::Retry));
                }
            }
            Step::RejectForGood(node) => {
                if let Some(sent) = self.queues[node as usize].pop_front() {
                    self.answered(&sent, Err(Failure::Fatal));
                }
            }
            Step::Cut(node, read) => self.cut(node, read),
            Step::Move => self.leader = 1 - self.leader,
            Step::Learn => {
                self.known_leader = self.leader;
                self.sequencer.moved(self.leader);
            }
            Step::GiveUp => {
                if let Some(&oldest) = self.sequencer.oldest() {
                    for ((first, count), _) in self.sequencer.give_up(|b| *b == oldest) {
                        self.given_up.extend((0..count as u32).map(|i| first + i));
                    }
                }
            }
            Step::Forget => {
                if !self.broker.trusting
                    && self.sequencer.is_empty()
                    && self.queues.iter().all(VecDeque::is_empty)
                {
                    self.broker.state = None;
                }
            }
        }
    }

    /// Heals everything, drains, and compares.
    fn check(mut self) {
        for _ in 0..200 {
            for node in [0, 1] {
                while !self.queues[node as usize].is_empty() {
                    self.step(&Step::Serve(node));
                }
            }
            if self.sequencer.is_empty() && self.sequencer.wanted().is_none() {
                break;
            }
            self.step(&Step::Learn);
            if self.sequencer.next() != Next::Fresh {
                self.send();
            }
        }
        assert!(self.sequencer.is_empty(), "it does not come to rest: {:?}", self.sequencer);
        let log = &self.broker.log;
        assert!(log.windows(2).all(|w| w[0] < w[1]), "disorder or duplicate in {log:?}");
        let log: HashSet<_> = log.iter().copied().collect();
        for record in 0..self.made {
            let (acked, given_up) = (self.acked.contains(&record), self.given_up.contains(&record));
            assert!(acked != given_up, "record {record}: acked {acked}, given up {given_up}");
            assert!(!acked || log.contains(&record), "record {record} is acked and lost");
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Send),
        8 => (0..2).prop_map(Step::Serve),
        1 => (0..2).prop_map(Step::ServeAfterAppend),
        1 => (0..2).prop_map(Step::Reject),
        2 => (0..2, 0usize..6).prop_map(|(node, read)| Step::Cut(node, read)),
        1 => Just(Step::Move),
        3 => Just(Step::Learn),
        1 => Just(Step::GiveUp),
        1 => (0..2).prop_map(Step::RejectForGood),
        1 => Just(Step::Forget),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn no_duplicate_no_gap_no_disorder(
        steps in steps(),
        limit in 1usize..6,
        trusting in any::<bool>(),
        first_sequence in prop_oneof![Just(0), i32::MAX - 20..=i32::MAX],
    ) {
        let mut world = World::new(limit, trusting, first_sequence);
        for step in &steps {
            world.step(step);
        }
        world.check();
    }
}
