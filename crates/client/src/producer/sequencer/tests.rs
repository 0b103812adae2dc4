//! The sequencer by itself, step by step; `model.rs` runs it against a broker and a network that misbehave.

use super::*;

mod model;

const A: i32 = 1;
const B: i32 = 2;

fn identity(epoch: i16) -> Identity {
    Identity { id: 7, epoch }
}

/// A sequencer that has had its first success.
fn sequencer() -> Sequencer<&'static str> {
    let mut sequencer = Sequencer::new(5, Some(identity(0)));
    sequencer.one_at_a_time = false;
    sequencer
}

/// Admits and sends a new batch.
fn fresh(
    sequencer: &mut Sequencer<&'static str>,
    batch: &'static str,
    count: i32,
    node: i32,
) -> Token {
    assert_eq!(sequencer.next(), Next::Fresh, "{batch}");
    sequencer.admit(batch, count);
    dispatch(sequencer, node).0
}

/// Sends whatever is next: token, batch, epoch, base sequence.
fn dispatch(sequencer: &mut Sequencer<&'static str>, node: i32) -> (Token, &'static str, i16, i32) {
    let (token, batch, stamp) = sequencer.dispatch(node).unwrap();
    let stamp = stamp.unwrap();
    (token, batch, stamp.identity.epoch, stamp.base_sequence)
}

#[test]
fn five_in_flight_with_contiguous_sequences() {
    let mut sequencer = sequencer();
    let tokens: Vec<_> = ["a", "b", "c", "d", "e"].map(|b| fresh(&mut sequencer, b, 10, A)).into();
    assert_eq!(sequencer.next(), Next::Nothing);
    assert_eq!(sequencer.acked(tokens[0]), Some("a"));
    assert_eq!(sequencer.next(), Next::Fresh);
    sequencer.admit("f", 1);
    assert_eq!((dispatch(&mut sequencer, A).2, dispatch_sequence(&sequencer)), (0, 50));
}

fn dispatch_sequence(sequencer: &Sequencer<&'static str>) -> i32 {
    sequencer.entries.back().unwrap().base_sequence
}

#[test]
fn the_first_batch_of_a_partition_goes_alone() {
    let mut sequencer = Sequencer::new(5, Some(identity(0)));
    let a = fresh(&mut sequencer, "a", 1, A);
    assert_eq!(
        sequencer.next(),
        Next::Nothing,
        "a broker that does not know us would take the second"
    );
    assert_eq!(sequencer.acked(a), Some("a"));
    fresh(&mut sequencer, "b", 1, A);
    assert_eq!(sequencer.next(), Next::Fresh);
}

#[test]
fn no_batch_is_sent_that_would_make_the_broker_forget_an_unanswered_one() {
    let mut sequencer = sequencer();
    let [a, b, c] = ["a", "b", "c"].map(|b| fresh(&mut sequencer, b, 1, A));
    assert_eq!(sequencer.failed(a, Failure::Retry), Reaction::Retry);
    assert_eq!((sequencer.acked(b), sequencer.acked(c)), (Some("b"), Some("c")));
    let (a, ..) = dispatch(&mut sequencer, A);
    fresh(&mut sequencer, "d", 1, A);
    fresh(&mut sequencer, "e", 1, A);
    assert_eq!(sequencer.next(), Next::Nothing, "three in flight, but `f` is the fifth after `a`");
    assert_eq!(sequencer.acked(a), Some("a"));
    assert_eq!(sequencer.next(), Next::Fresh);
}

#[test]
fn sequences_wrap_to_zero_after_the_largest() {
    assert_eq!(add(i32::MAX, 1), 0);
    assert_eq!(add(i32::MAX - 1, 1), i32::MAX);
    assert_eq!(add(i32::MAX - 4, 10), 5);
    let mut sequencer = sequencer();
    sequencer.next_sequence = i32::MAX - 1;
    let a = fresh(&mut sequencer, "a", 5, A);
    sequencer.admit("b", 1);
    let (_, _, _, sequence) = dispatch(&mut sequencer, A);
    assert_eq!(sequence, 3);
    assert_eq!(sequencer.acked(a), Some("a"));
}

#[test]
fn repeats_in_order_with_the_same_sequences_one_at_a_time_until_a_success() {
    let mut sequencer = sequencer();
    let tokens = ["a", "b", "c"].map(|b| fresh(&mut sequencer, b, 10, A));
    assert_eq!(sequencer.failed(tokens[0], Failure::Retry), Reaction::Retry);
    assert_eq!(sequencer.next(), Next::Nothing, "the others are still in flight there");
    assert_eq!(sequencer.failed(tokens[1], Failure::OutOfOrder), Reaction::Follow);
    assert_eq!(sequencer.failed(tokens[2], Failure::Retry), Reaction::Follow);
    assert_eq!((sequencer.failures(), sequencer.next()), (1, Next::Again));

    let (a, batch, epoch, sequence) = dispatch(&mut sequencer, A);
    assert_eq!((batch, epoch, sequence), ("a", 0, 0));
    assert_eq!(sequencer.next(), Next::Nothing, "one in flight after a failure");
    assert_eq!(sequencer.acked(a), Some("a"));
    assert_eq!(dispatch(&mut sequencer, A).1, "b");
    assert_eq!(sequencer.next(), Next::Again, "open again");
    let (_, batch, _, sequence) = dispatch(&mut sequencer, A);
    assert_eq!((batch, sequence), ("c", 20));
    assert_eq!(sequencer.next(), Next::Fresh);
}

#[test]
fn a_move_frees_what_is_in_flight_and_a_late_success_counts() {
    let mut sequencer = sequencer();
    let [a, b] = ["a", "b"].map(|b| fresh(&mut sequencer, b, 1, A));
    sequencer.moved(A);
    assert_eq!(sequencer.in_flight(), 2, "it did not move");
    sequencer.moved(B);
    assert_eq!((sequencer.in_flight(), sequencer.next()), (0, Next::Again));
    let (a2, batch, ..) = dispatch(&mut sequencer, B);
    assert_eq!(batch, "a");
    assert_eq!(sequencer.failed(a, Failure::Retry), Reaction::Gone, "an old attempt fails unheard");
    assert_eq!(sequencer.acked(b), Some("b"), "an old attempt's success is a success");
    assert_eq!(sequencer.acked(a2), Some("a"));
    assert_eq!(sequencer.acked(a), None);
    assert_eq!(sequencer.next(), Next::Fresh);
}

#[test]
fn out_of_order_for_the_oldest_begins_a_new_epoch_when_nothing_is_in_flight() {
    let mut sequencer = sequencer();
    let [a, b] = ["a", "b"].map(|b| fresh(&mut sequencer, b, 10, A));
    assert_eq!(sequencer.failed(a, Failure::OutOfOrder), Reaction::Renumber);
    assert_eq!((sequencer.wanted(), sequencer.next()), (None, Next::Nothing));
    assert_eq!(sequencer.failed(b, Failure::OutOfOrder), Reaction::Follow);
    assert_eq!(sequencer.wanted(), Some(Renewal::Epoch));
    sequencer.renew(identity(1));
    let (a, batch, epoch, sequence) = dispatch(&mut sequencer, A);
    assert_eq!((batch, epoch, sequence), ("a", 1, 0));
    assert_eq!(sequencer.acked(a), Some("a"));
    let (_, batch, epoch, sequence) = dispatch(&mut sequencer, A);
    assert_eq!((batch, epoch, sequence), ("b", 1, 10));
}

#[test]
fn out_of_order_from_before_the_predecessors_success_is_no_proof() {
    let mut sequencer = sequencer();
    let [a, b] = ["a", "b"].map(|b| fresh(&mut sequencer, b, 1, A));
    assert_eq!(sequencer.acked(a), Some("a"));
    assert_eq!(sequencer.failed(b, Failure::OutOfOrder), Reaction::Follow);
    assert_eq!(sequencer.next(), Next::Again);
    let (b, ..) = dispatch(&mut sequencer, A);
    assert_eq!(sequencer.failed(b, Failure::OutOfOrder), Reaction::Renumber, "now it is");
}

#[test]
fn unknown_producer_waits_for_the_log_start_then_renumbers() {
    let mut sequencer = sequencer();
    let mut a = fresh(&mut sequencer, "a", 1, A);
    for _ in 0..3 {
        let failure = Failure::UnknownProducer { log_start_offset: -1 };
        assert_eq!(sequencer.failed(a, failure), Reaction::Retry);
        a = dispatch(&mut sequencer, A).0;
    }
    let failure = Failure::UnknownProducer { log_start_offset: -1 };
    assert_eq!(sequencer.failed(a, failure), Reaction::Renumber, "not for ever");
    sequencer.renew(identity(1));
    let (a, ..) = dispatch(&mut sequencer, A);
    let failure = Failure::UnknownProducer { log_start_offset: 40 };
    assert_eq!(sequencer.failed(a, failure), Reaction::Renumber);
    assert_eq!((sequencer.wanted(), sequencer.renewals()), (Some(Renewal::Epoch), 1));
}

#[test]
fn a_stolen_identity_is_replaced() {
    let mut sequencer = sequencer();
    let [a, b] = ["a", "b"].map(|b| fresh(&mut sequencer, b, 1, A));
    assert_eq!(sequencer.failed(a, Failure::OutOfOrder), Reaction::Renumber);
    assert_eq!(sequencer.failed(b, Failure::StaleEpoch), Reaction::Renumber);
    assert_eq!(sequencer.wanted(), Some(Renewal::Id), "an epoch would not do");
}

#[test]
fn a_batch_given_up_with_nothing_behind_it_begins_a_new_epoch() {
    let mut sequencer = sequencer();
    let a = fresh(&mut sequencer, "a", 1, A);
    assert_eq!(sequencer.failed(a, Failure::Retry), Reaction::Retry);
    assert_eq!(sequencer.give_up(|b| *b == "a"), [("a", true)]);
    assert_eq!((sequencer.is_empty(), sequencer.wanted()), (true, Some(Renewal::Epoch)));
    sequencer.renew(identity(1));
    fresh(&mut sequencer, "b", 1, A);
    assert_eq!(sequencer.identity(), Some(identity(1)));
}

#[test]
fn the_batches_behind_a_hole_tell_whether_it_is_one() {
    // Given up in flight, then rejected: `b` is answered first.
    for written in [true, false] {
        let mut sequencer = sequencer();
        let [a, b] = ["a", "b"].map(|b| fresh(&mut sequencer, b, 10, A));
        assert_eq!(sequencer.give_up(|b| *b == "a"), [("a", true)]);
        assert_eq!(sequencer.failed(a, Failure::Retry), Reaction::Gone);
        assert_eq!(sequencer.next(), Next::Nothing, "nothing new behind a hole");
        assert_eq!(sequencer.failed(b, Failure::Retry), Reaction::Follow);
        let (b, batch, _, sequence) = dispatch(&mut sequencer, A);
        assert_eq!((batch, sequence), ("b", 10));
        if written {
            assert_eq!(sequencer.acked(b), Some("b"));
            assert_eq!((sequencer.wanted(), sequencer.next()), (None, Next::Fresh));
        } else {
            assert_eq!(sequencer.failed(b, Failure::OutOfOrder), Reaction::Renumber);
            sequencer.renew(identity(1));
            let (_, batch, epoch, sequence) = dispatch(&mut sequencer, A);
            assert_eq!((batch, epoch, sequence), ("b", 1, 0));
        }
    }
}

#[test]
fn given_up_in_flight_then_acknowledged_leaves_no_hole() {
    let mut sequencer = sequencer();
    let a = fresh(&mut sequencer, "a", 1, A);
    assert_eq!(sequencer.give_up(|_| true), [("a", true)]);
    assert_eq!(sequencer.acked(a), None, "reported once");
    assert_eq!((sequencer.wanted(), sequencer.next()), (None, Next::Fresh));
}

#[test]
fn a_hole_at_the_end_outlives_the_success_before_it() {
    let mut sequencer = sequencer();
    let [a, b] = ["a", "b"].map(|b| fresh(&mut sequencer, b, 1, A));
    assert_eq!(sequencer.failed(b, Failure::Fatal), Reaction::Dropped("b"));
    assert_eq!(sequencer.next(), Next::Nothing);
    assert_eq!(sequencer.acked(a), Some("a"));
    assert_eq!(sequencer.wanted(), Some(Renewal::Epoch));
}

#[test]
fn too_large_splits_within_the_same_sequences() {
    let mut sequencer = sequencer();
    let [a, b] = ["ab", "c"].map(|b| fresh(&mut sequencer, b, 10, A));
    assert_eq!(sequencer.count(a), Some(10));
    sequencer.split(a, |_| Ok::<_, ()>(vec![("a", 4), ("b", 6)])).unwrap();
    assert_eq!(sequencer.failed(b, Failure::OutOfOrder), Reaction::Follow);
    let mut sent = Vec::new();
    while sequencer.next() == Next::Again {
        let (token, batch, _, sequence) = dispatch(&mut sequencer, A);
        sent.push((batch, sequence));
        assert_eq!(sequencer.acked(token), Some(batch));
    }
    assert_eq!(sent, [("a", 0), ("b", 4), ("c", 10)]);

    let d = fresh(&mut sequencer, "d", 3, A);
    assert_eq!(sequencer.split(d, |_| Err("cannot")), Err(("d", "cannot")));
    assert_eq!(sequencer.wanted(), Some(Renewal::Epoch));
}

#[test]
fn without_idempotence_one_is_in_flight_and_stays_where_it_is() {
    let mut sequencer = Sequencer::new(5, None);
    sequencer.admit("a", 10);
    let (a, _, stamp) = sequencer.dispatch(A).unwrap();
    assert_eq!((stamp, sequencer.next()), (None, Next::Nothing));
    sequencer.moved(B);
    assert_eq!(sequencer.in_flight(), 1, "sent elsewhere it could be written twice");
    assert_eq!(sequencer.failed(a, Failure::Retry), Reaction::Retry);
    let (a, ..) = sequencer.dispatch(B).unwrap();
    assert_eq!(sequencer.failed(a, Failure::Fatal), Reaction::Dropped("a"));
    assert_eq!((sequencer.wanted(), sequencer.next()), (None, Next::Fresh));
}

#[test]
fn an_id_has_so_many_epochs() {
    let first = Identity { id: 7, epoch: 0 };
    assert_eq!(first.next(Renewal::Epoch), Some(Identity { id: 7, epoch: 1 }));
    assert_eq!(first.next(Renewal::Id), None, "it belongs to somebody else");
    assert_eq!(Identity { id: 7, epoch: i16::MAX }.next(Renewal::Epoch), None);
}
