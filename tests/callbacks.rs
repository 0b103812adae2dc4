//! What a callback reads, writes and emits, and that a failed one leaves no trace.

#![allow(clippy::unwrap_used)]

use std::{cell::RefCell, rc::Rc, time::Duration};

use roka::{
    Context, DecimalInt, Emitted, Group, GroupGraph, Lookup, Loop, Output, RecordError, Result,
    Stage, Stateless, Stream, Table, Tester,
};
use serde::{Deserialize, Serialize};

const IN: Stream<String, u64> = Stream::json("in");
const OUT: Stream<String, u64> = Stream::json("out");
const SUM: Group<String, u64> = Group::json("sum");

#[test]
fn a_callback_reads_its_own_writes() {
    let mut graph = SUM.graph();
    graph.input(IN, |ctx, n| {
        assert_eq!(ctx.value()?, None);
        ctx.set_value(&n)?;
        assert_eq!(ctx.value()?, Some(n));
        assert_eq!(ctx.value_ref()?, Some(&n));
        assert_eq!(ctx.update(|value| std::mem::replace(value, 7))?, n);
        assert_eq!(ctx.value()?, Some(7));
        ctx.delete();
        assert_eq!(ctx.value()?, None);
        assert_eq!(ctx.value_ref()?, None);
        ctx.update(|value| *value += 1)?;
        assert_eq!(ctx.value()?, Some(1), "from the default after a deletion");
        ctx.put_value(9)
    });
    let mut tester = Tester::new(graph).unwrap();
    tester.send(&IN, "k", &5).unwrap();
    assert_eq!(tester.value("k").unwrap(), Some(9));
    assert_eq!(tester.value("other").unwrap(), None);
}

fn fails_on_zero() -> GroupGraph<String, u64> {
    let mut graph = SUM.graph();
    let out = graph.output(OUT);
    graph.input(IN, move |ctx, n| {
        ctx.update(|sum| *sum += n)?;
        ctx.emit(out, ctx.key(), &n)?;
        if n == 0 {
            ctx.delete();
            return ctx.fail("zero");
        }
        Ok(())
    });
    graph
}

#[test]
fn nothing_happens_when_a_callback_fails() {
    let mut tester = Tester::new(fails_on_zero()).unwrap();
    tester.send(&IN, "k", &5).unwrap();
    let error = tester.send(&IN, "k", &0).unwrap_err();
    assert_eq!(error.to_string(), "in/0@1: zero");
    let error = error.downcast::<RecordError>().unwrap();
    assert_eq!((&*error.key, error.stage, error.offset), ("k", Stage::Callback, 1));
    assert_eq!(tester.value("k").unwrap(), Some(5));
    assert_eq!(tester.take(&OUT).unwrap(), [("k".to_string(), 5)]);
    tester.send(&IN, "k", &2).unwrap();
    assert_eq!(tester.value("k").unwrap(), Some(7));
    assert_eq!(tester.take(&OUT).unwrap(), [("k".to_string(), 2)]);
}

#[test]
fn a_panic_is_an_error_with_the_records_place() {
    let mut graph = SUM.graph();
    graph.input(IN, |ctx, n| {
        ctx.set_value(&n)?;
        assert!(n > 0, "zero at {}", ctx.key());
        Ok(())
    });
    let mut tester = Tester::new(graph).unwrap();
    let error = tester.send(&IN, "k", &0).unwrap_err().downcast::<RecordError>().unwrap();
    assert_eq!(error.stage, Stage::Panic);
    assert!(
        error.to_string().contains("in/0@0") && error.to_string().contains("zero at k"),
        "{error}"
    );
    assert_eq!(tester.value("k").unwrap(), None);
    tester.send(&IN, "k", &1).unwrap();
    assert_eq!(tester.value("k").unwrap(), Some(1));
}

#[test]
fn deletion_survives_a_restart_and_so_do_values() {
    let mut graph = Group::<String, i64>::of("balance", &DecimalInt).graph();
    graph.input(Stream::<String, i64>::of("in", &DecimalInt), |ctx, n| {
        if n == 0 {
            ctx.delete();
            return Ok(());
        }
        ctx.update(|sum| *sum += n)
    });
    let input = Stream::<String, i64>::of("in", &DecimalInt);
    let mut tester = Tester::with_partitions(graph, 3).unwrap();
    for key in ["a", "b", "c", "d"] {
        tester.send(&input, key, &-7).unwrap();
    }
    tester.send(&input, "b", &0).unwrap();
    tester.restart().unwrap();
    assert_eq!(tester.value("a").unwrap(), Some(-7));
    assert_eq!(tester.value("b").unwrap(), None);
    tester.send(&input, "a", &8).unwrap();
    let mut rows = tester.rows().unwrap();
    rows.sort();
    assert_eq!(rows, [("a".into(), 1), ("c".into(), -7), ("d".into(), -7)]);
}

#[test]
fn the_message_is_all_there() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(vec![]));
    let log = seen.clone();
    let mut graph = Group::<String>::stateless("see").graph();
    graph.input(IN, move |ctx: &mut Context<'_, String, Stateless>, n| {
        let names: Vec<_> = ctx.headers().iter().filter_map(roka::Header::name_str).collect();
        log.lock().unwrap().push(format!(
            "{} {}/{}@{} {} {n} {names:?} {:?}",
            ctx.group(),
            ctx.topic(),
            ctx.partition(),
            ctx.offset(),
            ctx.timestamp_ms(),
            ctx.header("h"),
        ));
        Ok(())
    });
    let mut tester = Tester::with_partitions(graph, 10).unwrap();
    tester.set_time_ms(1_000);
    tester.advance(Duration::from_millis(5));
    tester
        .send_with_headers(&IN, "key", &1, [("h", Some("1")), ("x", None), ("h", Some("2"))])
        .unwrap();
    tester.send(&IN, "key", &2).unwrap();
    assert_eq!(
        *seen.lock().unwrap(),
        ["see in/8@0 1005 1 [\"h\", \"x\", \"h\"] Some([50])", "see in/8@1 1005 2 [] None",]
    );
}

fn emitted(value: Option<u64>) -> Emitted<String, u64> {
    Emitted { key: "a".to_owned(), value, headers: vec![], timestamp_ms: None }
}

#[test]
fn emitted_messages_keep_headers_and_nulls() {
    let mut graph = Group::<String>::stateless("emit").graph();
    let out = graph.output(OUT);
    let nullable = graph.output(Stream::<String, u64>::json("nullable").nullable());
    let keyless = graph.output(Stream::<(), u64>::json("keyless"));
    graph.input(IN, move |ctx, n| {
        ctx.emit_with_headers(out, "a", &n, [("b", "2"), ("a", "1"), ("b", "3")])?;
        ctx.emit_tombstone(out, "a")?;
        ctx.emit_at(out, "a", &n, 123)?;
        ctx.emit(nullable, "b", &None)?;
        ctx.emit(nullable, "b", &Some(n))?;
        ctx.emit(keyless, &(), &n)
    });
    let mut tester = Tester::new(graph).unwrap();
    tester.send(&IN, "k", &4).unwrap();
    let headers = [("b", "2"), ("a", "1"), ("b", "3")];
    let headers = headers.map(|(name, value)| (name.to_owned(), Some(value.into()))).to_vec();
    assert_eq!(
        tester.take_messages(&OUT).unwrap(),
        [
            Emitted { headers, ..emitted(Some(4)) },
            emitted(None),
            Emitted { timestamp_ms: Some(123), ..emitted(Some(4)) },
        ]
    );
    let nullable = Stream::<String, u64>::json("nullable").nullable();
    let taken = tester.take(&nullable).unwrap();
    assert_eq!(taken, [("b".to_owned(), None), ("b".to_owned(), Some(4))]);
    assert_eq!(tester.take(&Stream::<(), u64>::json("keyless")).unwrap(), [((), 4)]);
}

const RATES: Table<String, f64> = Table::json("rates");
const PAYMENTS: Stream<String, Payment> = Stream::json("payments");
const REMARKS: Stream<String, String> = Stream::text("remarks");
const AUDIT: Stream<u64, String> = Stream::text("audit");
const BALANCES: Group<String, Balance> = Group::json("balances");

#[derive(Clone, Serialize, Deserialize)]
struct Payment {
    to: String,
    amount: f64,
    currency: String,
}

#[derive(Clone, Default, Debug, PartialEq, Serialize, Deserialize)]
struct Balance {
    amount: f64,
    remarks: u32,
}

/// A larger processor: its edges are fields, its callbacks are methods.
#[derive(Clone, Copy)]
struct Ledger {
    rates: Lookup<String, f64>,
    credits: Loop<String, f64>,
    audit: Output<u64, String>,
}

impl Ledger {
    fn graph() -> GroupGraph<String, Balance> {
        let mut graph = BALANCES.graph();
        let this = Self {
            rates: graph.lookup(RATES),
            credits: graph.loopback(),
            audit: graph.output(AUDIT),
        };
        graph.input(PAYMENTS, move |ctx, payment| this.debit(ctx, &payment));
        graph.on_loop(this.credits, move |ctx, amount| ctx.update(|b| b.amount += amount));
        graph.input_async(REMARKS, async move |ctx, remark| this.remark(ctx, remark).await);
        graph
    }

    fn debit(self, ctx: &mut Context<'_, String, Balance>, payment: &Payment) -> Result {
        let Some(rate) = ctx.lookup(self.rates, &payment.currency)? else {
            return ctx.fail(format_args!("no rate for {}", payment.currency));
        };
        let amount = payment.amount * rate;
        ctx.update(|balance| balance.amount -= amount)?;
        ctx.loopback(self.credits, &payment.to, &amount)?;
        ctx.emit(self.audit, &42, &format!("{} -> {}", ctx.key(), payment.to))
    }

    async fn remark(self, ctx: &mut Context<'_, String, Balance>, remark: String) -> Result {
        let before = ctx.value()?.unwrap_or_default();
        let not_send = Rc::new(RefCell::new(before.remarks));
        tokio::time::sleep(Duration::from_millis(1)).await;
        *not_send.borrow_mut() += 1;
        ctx.set_value(&Balance { remarks: *not_send.borrow(), ..before })?;
        if remark == "bad" {
            return ctx.fail("bad remark");
        }
        ctx.emit(self.audit, &7, &remark)
    }
}

fn pay(to: &str, currency: &str) -> Payment {
    Payment { to: to.into(), amount: 5.0, currency: currency.into() }
}

#[test]
fn a_loop_reaches_the_other_key_on_its_partition() {
    let mut tester = Tester::with_partitions(Ledger::graph(), 4).unwrap();
    tester.set(&RATES, "eur", &2.0).unwrap();
    tester.send(&PAYMENTS, "ann", &pay("bob", "eur")).unwrap();
    assert_eq!(tester.value("ann").unwrap().unwrap().amount, -10.0);
    assert_eq!(tester.value("bob").unwrap().unwrap().amount, 10.0);
    assert_eq!(tester.take(&AUDIT).unwrap(), [(42, "ann -> bob".into())]);
    let error = tester.send(&PAYMENTS, "ann", &pay("bob", "usd")).unwrap_err();
    assert!(error.to_string().ends_with("@1: no rate for usd"), "{error}");
    tester.unset(&RATES, "eur").unwrap();
    tester.send(&PAYMENTS, "ann", &pay("bob", "eur")).unwrap_err();
    assert_eq!(tester.value("bob").unwrap().unwrap().amount, 10.0);
}

#[tokio::test(start_paused = true)]
async fn a_callback_may_wait() {
    let mut tester = Tester::new(Ledger::graph()).unwrap();
    tester.send_async(&REMARKS, "ann", &"hello".into()).await.unwrap();
    let error = tester.send_async(&REMARKS, "ann", &"bad".into()).await.unwrap_err();
    assert_eq!(error.to_string(), "remarks/0@1: bad remark");
    tester.send_async(&REMARKS, "ann", &"again".into()).await.unwrap();
    assert_eq!(tester.value("ann").unwrap().unwrap().remarks, 2);
    assert_eq!(tester.take(&AUDIT).unwrap(), [(7, "hello".into()), (7, "again".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_is_dropped_while_it_waits_leaves_no_trace() {
    let mut graph = SUM.graph();
    let out = graph.output(OUT);
    graph.input_async(IN, async move |ctx, n| {
        ctx.set_value(&n)?;
        ctx.emit(out, ctx.key(), &n)?;
        tokio::time::sleep(Duration::from_secs(n)).await;
        Ok(())
    });
    let mut tester = Tester::new(graph).unwrap();
    let patience = Duration::from_secs(5);
    assert!(tokio::time::timeout(patience, tester.send_async(&IN, "k", &60)).await.is_err());
    tester.send_async(&IN, "other", &1).await.unwrap();
    assert_eq!(tester.value("k").unwrap(), None);
    assert_eq!(tester.take(&OUT).unwrap(), [("other".to_string(), 1)]);
}

#[test]
fn another_group_joins_the_table() {
    let mut graph = Group::<String>::stateless("other").graph();
    let balances = graph.join(BALANCES.table());
    let out = graph.output(Stream::<String, f64>::json("out"));
    graph.input(REMARKS, move |ctx, _| {
        let amount = ctx.join(balances)?.unwrap_or_default().amount;
        ctx.emit(out, ctx.key(), &amount)
    });
    let mut tester = Tester::with_partitions(graph, 5).unwrap();
    tester.set(&BALANCES.table(), "ann", &Balance { amount: 3.0, remarks: 0 }).unwrap();
    tester.send(&REMARKS, "ann", &String::new()).unwrap();
    tester.send(&REMARKS, "bob", &String::new()).unwrap();
    let out = Stream::<String, f64>::json("out");
    assert_eq!(tester.take(&out).unwrap(), [("ann".into(), 3.0), ("bob".into(), 0.0)]);
}
