//! What happens to records that cannot be processed, and to null payloads.

#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use roka::{
    Backoff, Group, GroupGraph, InputOptions, Nulls, OnError, Raw, RecordError, Stage, Stream,
    Tester,
};

const IN: Stream<String, u64> = Stream::json("in");
const OUT: Stream<String, u64> = Stream::json("out");
const FAILED: Stream<Bytes, Bytes> = Stream::of("in-failed", &Raw);

/// Sums up, refuses 13; counts the attempts.
fn graph(options: impl FnOnce(InputOptions<'_>)) -> (GroupGraph<String, u64>, Arc<AtomicU32>) {
    let attempts = Arc::new(AtomicU32::new(0));
    let count = attempts.clone();
    let mut graph = Group::<String, u64>::json("sum").graph();
    let out = graph.output(OUT);
    options(graph.input(IN, move |ctx, n| {
        count.fetch_add(1, Ordering::Relaxed);
        ctx.update(|sum| *sum += n)?;
        ctx.emit(out, ctx.key(), &n)?;
        if n == 13 { ctx.fail("unlucky") } else { Ok(()) }
    }));
    (graph, attempts)
}

#[test]
fn fail_is_the_default() {
    let mut tester = Tester::new(graph(|_| ()).0).unwrap();
    let error = tester.send_raw("in", Some(b"k"), Some(b"{")).unwrap_err();
    let error = error.downcast::<RecordError>().unwrap();
    assert_eq!(error.stage, Stage::Value);
    assert!(
        error.to_string().starts_with("in/0@0: cannot decode the value of key \"k\": "),
        "{error}"
    );
    let error = tester.send_raw("in", Some(b"\xff"), Some(b"1")).unwrap_err();
    assert_eq!(error.downcast::<RecordError>().unwrap().stage, Stage::Key);
}

#[test]
fn skip_leaves_the_record_out() {
    let mut tester = Tester::new(graph(|input| drop(input.on_error(OnError::Skip))).0).unwrap();
    tester.send(&IN, "k", &1).unwrap();
    tester.send(&IN, "k", &13).unwrap();
    tester.send_raw("in", Some(b"k"), Some(b"{")).unwrap();
    tester.send_raw("in", Some(b"\xff"), Some(b"1")).unwrap();
    tester.send(&IN, "k", &2).unwrap();
    assert_eq!(tester.value("k").unwrap(), Some(3));
    assert_eq!(tester.take(&OUT).unwrap(), [("k".into(), 1), ("k".into(), 2)]);
    let stages: Vec<_> = tester.skipped().iter().map(|error| error.stage).collect();
    assert_eq!(stages, [Stage::Callback, Stage::Value, Stage::Key]);
}

#[test]
fn a_dead_letter_says_why_and_where_from() {
    let policy = OnError::dead_letter("in-failed");
    let mut tester = Tester::new(graph(|input| drop(input.on_error(policy))).0).unwrap();
    tester.set_time_ms(99);
    tester.send(&IN, "k", &1).unwrap();
    tester.send_with_headers(&IN, "k", &13, [("trace", "abc")]).unwrap();
    tester.send_raw("in", None, Some(b"\xff")).unwrap();
    assert_eq!(tester.value("k").unwrap(), Some(1));
    assert_eq!(tester.take(&OUT).unwrap().len(), 1);
    let letters = tester.take_messages(&FAILED).unwrap();
    assert_eq!(letters.len(), 2);
    let letter = &letters[0];
    assert_eq!((&*letter.key, letter.value.as_deref()), (&b"k"[..], Some(&b"13"[..])));
    for (name, value) in [
        ("trace", "abc"),
        ("roka.error", "unlucky"),
        ("roka.stage", "callback"),
        ("roka.group", "sum"),
        ("roka.topic", "in"),
        ("roka.partition", "0"),
        ("roka.offset", "1"),
        ("roka.timestamp", "99"),
    ] {
        assert_eq!(letter.header(name), Some(value.as_bytes()), "{name}");
    }
    assert_eq!(letters[1].value.as_deref(), Some(&b"\xff"[..]), "bytes as they came");
    assert_eq!(letters[1].header("roka.stage"), Some(&b"value"[..]));
}

#[test]
fn retries_wait_longer_each_time_and_then_do_what_was_said() {
    let policy = OnError::Retry {
        backoff: Backoff { first: Duration::from_millis(10), max: Duration::from_millis(25) },
        retries_max: Some(3),
        then: Box::new(OnError::dead_letter("in-failed")),
    };
    let (graph, attempts) = graph(|input| drop(input.on_error(policy)));
    let mut tester = Tester::new(graph).unwrap();
    tester.send(&IN, "k", &13).unwrap();
    assert_eq!(attempts.load(Ordering::Relaxed), 4);
    assert_eq!(tester.time_ms(), 10 + 20 + 25);
    assert_eq!(tester.take_messages(&FAILED).unwrap().len(), 1);
    assert_eq!(tester.value("k").unwrap(), None, "no attempt left a trace");
    tester.send(&IN, "k", &1).unwrap();
    assert_eq!(tester.value("k").unwrap(), Some(1));
}

#[test]
fn a_retry_that_works_counts_once() {
    let left = Arc::new(AtomicU32::new(2));
    let mut graph = Group::<String, u64>::json("sum").graph();
    graph
        .input(IN, move |ctx, n| {
            ctx.update(|sum| *sum += n)?;
            match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)) {
                Ok(_) => ctx.fail("not yet"),
                Err(_) => Ok(()),
            }
        })
        .on_error(OnError::retry_forever());
    let mut tester = Tester::new(graph).unwrap();
    tester.send(&IN, "k", &5).unwrap();
    assert_eq!(tester.value("k").unwrap(), Some(5));
    assert_eq!(tester.time_ms(), 100 + 200);
}

#[test]
fn a_panic_ends_the_processor_under_every_policy() {
    let mut graph = Group::<String>::stateless("panics").graph();
    graph.input(IN, |_, n| if n == 0 { panic!("zero") } else { Ok(()) }).on_error(OnError::Skip);
    let error = Tester::new(graph).unwrap().send(&IN, "k", &0).unwrap_err();
    assert_eq!(error.downcast::<RecordError>().unwrap().stage, Stage::Panic);
}

#[test]
fn null_payloads_are_ignored_decoded_or_given_as_none() {
    let (ignoring, attempts) = graph(|_| ());
    Tester::new(ignoring).unwrap().send_raw("in", Some(b"k"), None).unwrap();
    assert_eq!(attempts.load(Ordering::Relaxed), 0);

    let (decoding, _) = graph(|input| drop(input.nulls(Nulls::Decode)));
    let error = Tester::new(decoding).unwrap().send_raw("in", Some(b"k"), None).unwrap_err();
    assert_eq!(error.downcast::<RecordError>().unwrap().stage, Stage::Value, "no JSON in no bytes");

    let mut nullable = Group::<String, u64>::json("sum").graph();
    nullable.input(IN.nullable(), |ctx, n| {
        match n {
            Some(n) => ctx.set_value(&n)?,
            None => ctx.delete(),
        }
        Ok(())
    });
    let mut tester = Tester::new(nullable).unwrap();
    tester.send(&IN.nullable(), "k", &Some(3)).unwrap();
    assert_eq!(tester.value("k").unwrap(), Some(3));
    tester.send(&IN.nullable(), "k", &None).unwrap();
    assert_eq!(tester.value("k").unwrap(), None);
}
