//! The engine without I/O: what it asks, and what it makes of the answers.

mod replicas;

use bytes::Bytes;
use roka_protocol::{
    ErrorCode, Uuid,
    messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData},
    records::{BatchBuilder, BatchOptions, ProducerFields, patch_base_offset},
};
use tokio::sync::Notify;

use super::*;
use crate::{
    Address, Broker, Partition, Topic,
    consumer::{FetchError, FetchQueue, ResetReason, session::Want},
};

const MS: Duration = Duration::from_millis(1);

fn name(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// A cluster in which partition p is led by `leaders[p]`, in that epoch.
fn metadata(generation: u64, leaders: &[(Option<i32>, i32)]) -> Arc<Metadata> {
    let partition = |(leader, leader_epoch): &(Option<i32>, i32)| Partition {
        leader: leader.map(NodeId),
        leader_epoch: *leader_epoch,
        replicas: Arc::default(),
        isr: Arc::default(),
        error: ErrorCode::NONE,
    };
    let topic = Topic {
        name: "t".into(),
        id: Uuid([7; 16]),
        partitions: leaders.iter().map(partition).collect(),
        error: ErrorCode::NONE,
        internal: false,
    };
    let broker = |id| Broker { id: NodeId(id), address: Address::new("x", 1), rack: None };
    let mut metadata = Metadata { generation, changed: generation, ..Metadata::default() };
    metadata.brokers = (1..=3).map(|id| (NodeId(id), broker(id))).collect();
    metadata.topics.insert("t".into(), Arc::new(topic));
    Arc::new(metadata)
}

fn batch(base: i64, records: usize) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for _ in 0..records {
        builder.push(0, None, Some(&[0; 1000]), std::iter::empty()).unwrap();
    }
    let mut bytes = builder.build(ProducerFields::NONE).unwrap().to_vec();
    patch_base_offset(&mut bytes, base).unwrap();
    bytes.into()
}

struct Bench {
    engine: Engine,
    queue: FetchQueue,
    now: Instant,
    generation: u64,
    eras: u64,
}

/// A Fetch that was sent.
#[derive(Debug)]
struct Sent {
    node: NodeId,
    slot: Slot,
    plan: FetchPlan,
}

impl Sent {
    fn wants(&self) -> Vec<(i32, i64)> {
        let mut wants: Vec<_> = self
            .plan
            .session
            .wants
            .iter()
            .map(|(name, want)| (name.partition, want.offset))
            .collect();
        wants.sort_unstable();
        wants
    }

    fn want(&self) -> Want {
        self.plan.session.wants[0].1
    }
}

impl Bench {
    fn new(leaders: &[(Option<i32>, i32)]) -> Self {
        Self::with(FetcherConfig::default(), 16 << 20, leaders)
    }

    fn with(config: FetcherConfig, bytes: usize, leaders: &[(Option<i32>, i32)]) -> Self {
        let now = Instant::now();
        let client = Config::new("x:1");
        let mut engine = Engine::new(config, &client, fastrand::Rng::with_seed(3), now);
        engine.update(&metadata(1, leaders), now);
        let queue = FetchQueue::new(bytes, Arc::new(Notify::new()));
        Self { engine, queue, now, generation: 1, eras: 0 }
    }

    fn assign(&mut self, partition: i32, start: impl Into<Start>, policy: ResetPolicy) {
        self.eras += 1;
        let shared = self.queue.shared.clone();
        let flow = Arc::new(Flow::new(shared.flow().clone(), self.eras));
        let (name, start) = (name(partition), start.into());
        let command = Command::Assign { name, start, policy, tag: 0, queue: shared, flow };
        self.engine.command(command, self.now);
    }

    fn leaders(&mut self, leaders: &[(Option<i32>, i32)]) {
        self.generation += 1;
        self.engine.update(&metadata(self.generation, leaders), self.now);
    }

    fn poll(&mut self) -> Vec<Action> {
        self.engine.poll(self.now)
    }

    fn fetches(&mut self) -> Vec<Sent> {
        let fetch = |action| match action {
            Action::Fetch { node, slot, plan } => Some(Sent { node, slot, plan }),
            _ => None,
        };
        let mut sent: Vec<_> = self.poll().into_iter().filter_map(fetch).collect();
        sent.sort_by_key(|sent| (sent.node, sent.slot == Slot::Express));
        sent
    }

    fn fetch(&mut self) -> Sent {
        let mut sent = self.fetches();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    fn answer(&mut self, sent: &Sent, session_id: i32, partitions: Vec<PartitionData>) {
        let topic = FetchableTopicResponse {
            topic_id: Uuid([7; 16]),
            partitions,
            ..FetchableTopicResponse::default()
        };
        let response =
            FetchResponse { session_id, responses: vec![topic], ..FetchResponse::default() };
        let fetched = Fetched { response, version: 16 };
        self.engine.fetched(sent.node, sent.slot, Ok(fetched), self.now);
    }

    /// A code for one partition, and the position asked for.
    fn refuse(&mut self, sent: &Sent, partition: i32, code: ErrorCode) {
        self.answer(sent, 0, vec![data(partition, code, None)]);
    }

    fn events(&mut self) -> Vec<FetchEvent> {
        std::iter::from_fn(|| self.queue.try_recv()).collect()
    }

    fn event(&mut self) -> FetchEvent {
        self.queue.try_recv().expect("no event")
    }

    fn wait(&mut self) {
        self.now = self.engine.wake_at().expect("nothing is due").max(self.now);
    }
}

fn data(partition_index: i32, code: ErrorCode, records: Option<Bytes>) -> PartitionData {
    PartitionData {
        partition_index,
        error_code: code.0,
        high_watermark: 1000,
        records,
        ..PartitionData::default()
    }
}

fn records(partition: i32, base: i64, n: usize) -> PartitionData {
    data(partition, ErrorCode::NONE, Some(batch(base, n)))
}

fn needs_refresh(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Refresh { .. }))
}

#[test]
fn asks_each_leader_for_its_partitions_and_goes_on_behind_what_came() {
    let mut bench = Bench::new(&[(Some(1), 0), (Some(2), 0), (Some(1), 0)]);
    for partition in 0..3 {
        bench.assign(partition, Position::at(5), ResetPolicy::Fail);
    }
    let sent = bench.fetches();
    assert_eq!(sent.len(), 2);
    assert_eq!((sent[0].node, sent[0].wants()), (NodeId(1), vec![(0, 5), (2, 5)]));
    assert_eq!((sent[1].node, sent[1].wants()), (NodeId(2), vec![(1, 5)]));
    assert!(bench.fetches().is_empty(), "one at a time");
    bench.answer(&sent[0], 9, vec![records(0, 5, 3)]);
    let next = bench.fetch();
    // In the session only what changed is named.
    assert_eq!((next.wants(), next.plan.session.session_epoch), (vec![(0, 8)], 1));
    let FetchEvent::Data(chunk) = bench.event() else { panic!() };
    assert_eq!((chunk.offset(), chunk.next().offset), (5, 8));
}

#[test]
fn a_partition_with_two_answers_unread_is_not_asked_for() {
    let config = FetcherConfig::default().partition_max_bytes(3000);
    let mut bench = Bench::with(config, 16 << 20, &[(Some(1), 0), (Some(1), 0)]);
    bench.assign(0, Position::at(0), ResetPolicy::Fail);
    bench.assign(1, Position::at(0), ResetPolicy::Fail);
    let sent = bench.fetch();
    bench.answer(&sent, 9, vec![records(0, 0, 2)]);
    let sent = bench.fetch();
    assert_eq!(sent.wants(), [(0, 2)], "and 1, which the session knows");
    bench.answer(&sent, 9, vec![records(0, 2, 2)]);
    let sent = bench.fetch();
    let forgotten: Vec<_> =
        sent.plan.session.forget.iter().map(|(name, _)| name.partition).collect();
    assert_eq!((sent.wants(), forgotten), (vec![], vec![0]));
    assert!(sent.plan.max_wait <= 100 * MS, "somebody is left out");
    // One answer is read: the partition is asked for at once, beside the long poll.
    drop(bench.event());
    let express = bench.fetch();
    assert_eq!((express.slot, express.wants()), (Slot::Express, vec![(0, 4)]));
    assert_eq!(express.plan.session.session_epoch, -1);
}

#[test]
fn what_an_express_fetch_does_not_find_waits_for_the_regular_one() {
    let mut bench = Bench::new(&[(Some(1), 0), (Some(1), 0)]);
    bench.assign(0, Position::at(0), ResetPolicy::Fail);
    let regular = bench.fetch();
    bench.assign(1, Position::at(0), ResetPolicy::Fail);
    let express = bench.fetch();
    assert_eq!((express.slot, express.wants()), (Slot::Express, vec![(1, 0)]));
    bench.answer(&express, 0, vec![data(1, ErrorCode::NONE, None)]);
    assert!(bench.fetches().is_empty());
    bench.answer(&regular, 9, vec![]);
    assert_eq!(bench.fetch().wants(), [(1, 0)]);
}

#[test]
fn nothing_of_an_old_era_arrives() {
    let mut bench = Bench::new(&[(Some(1), 0)]);
    bench.assign(0, Position::at(0), ResetPolicy::Fail);
    let sent = bench.fetch();
    bench.engine.command(Command::Unassign(name(0)), bench.now);
    bench.assign(0, Position::at(50), ResetPolicy::Fail);
    bench.answer(&sent, 9, vec![records(0, 0, 3)]);
    assert!(bench.events().is_empty());
    assert_eq!(bench.fetch().wants(), [(0, 50)]);
}

#[test]
fn a_moved_leader_is_followed_at_once_if_it_is_known() {
    let mut bench = Bench::new(&[(Some(1), 0)]);
    bench.assign(0, Position::at(0), ResetPolicy::Fail);
    let sent = bench.fetch();
    // The hint came with the answer.
    bench.leaders(&[(Some(2), 1)]);
    bench.refuse(&sent, 0, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let actions = bench.poll();
    assert!(!needs_refresh(&actions));
    assert!(matches!(&actions[..], [Action::Fetch { node: NodeId(2), .. }]), "{actions:?}");
}

#[test]
fn a_moved_leader_that_is_not_known_is_asked_for_before_trying_again() {
    let mut bench = Bench::new(&[(Some(1), 0)]);
    bench.assign(0, Position::at(0), ResetPolicy::Fail);
    let sent = bench.fetch();
    bench.refuse(&sent, 0, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let actions = bench.poll();
    assert!(matches!(&actions[..], [Action::Refresh { after: 1 }]), "{actions:?}");
    // News: no need to wait for the back-off.
    bench.leaders(&[(Some(3), 1)]);
    assert_eq!(bench.fetch().node, NodeId(3));
}

#[test]
fn stale_metadata_is_waited_out_with_growing_distance() {
    let mut bench = Bench::new(&[(Some(1), 0)]);
    bench.assign(0, Position::at(0), ResetPolicy::Fail);
    let (start, mut fetches) = (bench.now, 0);
    while bench.now < start + 2000 * MS {
        for sent in bench.fetches() {
            fetches += 1;
            bench.refuse(&sent, 0, ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        bench.leaders(&[(Some(1), 0)]);
        bench.poll();
        bench.wait();
    }
    assert!((3..=6).contains(&fetches), "{fetches} in 2 s");
}

#[test]
fn a_broker_that_cannot_be_reached_rests() {
    let mut bench = Bench::new(&[(Some(1), 0), (Some(2), 0)]);
    bench.assign(0, Position::at(0), ResetPolicy::Fail);
    let sent = bench.fetch();
    bench.engine.fetched(sent.node, sent.slot, Err(FetchFailure::Unanswered), bench.now);
    assert!(needs_refresh(&bench.poll()));
    assert!(bench.fetches().is_empty());
    bench.wait();
    let again = bench.fetch();
    assert_eq!((again.node, again.plan.session.session_epoch), (NodeId(1), 0));
}

#[test]
fn a_broker_that_is_silent_is_left_when_another_leads() {
    let mut bench = Bench::new(&[(Some(1), 0), (Some(1), 0)]);
    bench.assign(0, Position::at(0), ResetPolicy::Fail);
    bench.assign(1, Position::at(0), ResetPolicy::Fail);
    let silent = bench.fetch();
    let start = bench.now;
    bench.wait();
    assert!(needs_refresh(&bench.poll()), "late");
    assert!(bench.now - start < 3000 * MS);
    bench.leaders(&[(Some(2), 1), (Some(1), 0)]);
    let moved = bench.fetch();
    assert_eq!((moved.node, moved.wants()), (NodeId(2), vec![(0, 0)]));
    bench.answer(&moved, 0, vec![records(0, 0, 2)]);
    // When it speaks at last, what it says of the partition that left does not count.
    bench.answer(&silent, 9, vec![records(0, 0, 2), records(1, 0, 2)]);
    let partitions: Vec<_> = bench
        .events()
        .into_iter()
        .map(|event| match event {
            FetchEvent::Data(chunk) => chunk.partition().partition,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(partitions, [0, 1]);
}

#[test]
fn what_a_broker_says_twice_counts_once() {
    let mut bench = Bench::new(&[(Some(1), 0)]);
    bench.assign(0, Position::at(0), ResetPolicy::Fail);
    let sent = bench.fetch();
    bench.answer(&sent, 9, vec![records(0, 0, 2), records(0, 0, 2)]);
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn a_lost_session_is_opened_again_at_once_but_not_in_a_loop() {
    let mut bench = Bench::new(&[(Some(1), 0)]);
    bench.assign(0, Position::at(0), ResetPolicy::Fail);
    let sent = bench.fetch();
    bench.answer(&sent, 9, vec![]);
    let sent = bench.fetch();
    assert!(sent.plan.session.is_incremental());
    let lost = |code: ErrorCode| {
        let response = FetchResponse { error_code: code.0, ..FetchResponse::default() };
        Ok(Fetched { response, version: 16 })
    };
    let unknown = lost(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    bench.engine.fetched(sent.node, sent.slot, unknown.clone(), bench.now);
    let full = bench.fetch();
    assert_eq!((full.plan.session.session_id, full.wants()), (0, vec![(0, 0)]));
    bench.engine.fetched(full.node, full.slot, unknown, bench.now);
    assert!(bench.fetches().is_empty(), "twice in a row: not at once");
    bench.wait();
    assert_eq!(bench.fetch().wants(), [(0, 0)]);
}

#[test]
fn a_broker_without_sessions_gets_everything_each_time() {
    let mut bench = Bench::new(&[(Some(1), 0), (Some(1), 0)]);
    bench.assign(0, Position::at(0), ResetPolicy::Fail);
    bench.assign(1, Position::at(0), ResetPolicy::Fail);
    let sent = bench.fetch();
    bench.answer(&sent, 9, vec![]);
    let sent = bench.fetch();
    assert!(sent.plan.session.is_incremental());
    // It was replaced by an old one meanwhile.
    bench.engine.fetched(sent.node, sent.slot, Err(FetchFailure::NoSessions), bench.now);
    assert_eq!(bench.fetch().wants(), [(0, 0), (1, 0)]);
}

#[test]
fn out_of_range_at_the_leader_follows_the_policy() {
    let mut bench = Bench::new(&[(Some(1), 0)]);
    bench.assign(0, Position::at(50), ResetPolicy::Earliest);
    let sent = bench.fetch();
    bench.refuse(&sent, 0, ErrorCode::OFFSET_OUT_OF_RANGE);
    let actions = bench.poll();
    let [Action::List { node: NodeId(1), wants }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(wants[0].start, Start::Earliest);
    bench.engine.listed(&wants[0], Ok(Some(Position::at(70))), bench.now);
    let FetchEvent::Reset(reset) = bench.event() else { panic!() };
    assert_eq!((reset.from, reset.to, reset.reason), (Some(50), 70, ResetReason::OutOfRange));
    assert_eq!(bench.fetch().wants(), [(0, 70)]);
}

#[test]
fn a_topic_that_was_made_again_stops_its_partitions() {
    let mut bench = Bench::new(&[(Some(1), 0)]);
    bench.assign(0, Position::at(5), ResetPolicy::Earliest);
    bench.fetch();
    let mut again = (*metadata(2, &[(Some(1), 0)])).clone();
    let mut topic = (**again.topic("t").unwrap()).clone();
    topic.id = Uuid([8; 16]);
    again.topics.insert("t".into(), Arc::new(topic));
    bench.engine.update(&Arc::new(again), bench.now);
    let FetchEvent::Failed { error: FetchError::TopicRecreated { was, is, .. }, .. } =
        bench.event()
    else {
        panic!()
    };
    assert_eq!((was, is), (Uuid([7; 16]), Uuid([8; 16])));
    assert!(bench.fetches().is_empty());
}

#[test]
fn a_leaderless_partition_is_not_fetched_but_asked_about() {
    let mut bench = Bench::new(&[(None, 3), (Some(1), 0)]);
    bench.assign(0, Position::at(5), ResetPolicy::Fail);
    let actions = bench.poll();
    assert!(matches!(&actions[..], [Action::Refresh { after: 1 }]), "{actions:?}");
    bench.leaders(&[(Some(2), 4), (Some(1), 0)]);
    assert_eq!(bench.fetch().node, NodeId(2));
}

#[test]
fn a_broken_batch_is_handed_on_and_stops_the_partition() {
    let mut bench = Bench::new(&[(Some(1), 0)]);
    bench.assign(0, Position::at(0), ResetPolicy::Fail);
    let sent = bench.fetch();
    let garbage = Bytes::from_static(&[0xff; 80]);
    bench.answer(&sent, 0, vec![data(0, ErrorCode::NONE, Some(garbage))]);
    let FetchEvent::Data(chunk) = bench.event() else { panic!() };
    let error = chunk.for_each(&mut crate::consumer::Decompressor::new(), |_| ()).unwrap_err();
    assert!(matches!(error, FetchError::Corrupt { offset: 0, .. }), "{error}");
    drop(chunk);
    assert!(bench.fetches().is_empty(), "it would come again and again");
    bench.eras += 1;
    let (start, era) = (Start::At(Position::at(9)), bench.eras);
    bench.engine.command(Command::Seek { name: name(0), start, era }, bench.now);
    assert_eq!(bench.fetch().wants(), [(0, 9)]);
}
