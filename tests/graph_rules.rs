//! A graph that contradicts itself is refused with an error that says where.

#![allow(clippy::unwrap_used)]
#![allow(
    clippy::unnecessary_wraps,
    clippy::semicolon_if_nothing_returned,
    reason = "callbacks have the shape that graphs want"
)]

use roka::{Context, GraphError, Group, GroupGraph, OnError, Result, Stream, Table, Tester};

const IN: Stream<String, u64> = Stream::json("in");
const OUT: Stream<String, u64> = Stream::json("out");
const SIDE: Table<String, u64> = Table::json("side");
const GROUP: Group<String, u64> = Group::json("sums");

fn nothing(_: &mut Context<'_, String, u64>, _: u64) -> Result {
    Ok(())
}

/// The error of a graph that would be fine without `spoil`.
fn refused(spoil: impl FnOnce(&mut GroupGraph<String, u64>)) -> GraphError {
    let mut graph = GROUP.graph();
    graph.input(IN, nothing);
    graph.validate().unwrap();
    spoil(&mut graph);
    let error = graph.validate().unwrap_err();
    assert_eq!(Tester::new(graph).unwrap_err(), error, "a tester refuses it too");
    error
}

#[test]
fn a_graph_needs_an_input() {
    let error = GROUP.graph().validate().unwrap_err();
    assert_eq!(error, GraphError::NoInput { group: "sums".into() });
}

#[test]
fn a_topic_is_consumed_once() {
    let error = refused(|graph| drop(graph.input(IN, nothing)));
    assert_eq!(error, GraphError::ConsumedTwice { group: "sums".into(), topic: "in".into() });
    assert_eq!(error.to_string(), "group sums consumes topic in twice: give it one callback");
}

#[test]
fn the_own_table_and_loop_are_not_listed_as_edges() {
    let own = |error, own: &str, as_edge: &str| match error {
        GraphError::OwnTopic { topic, edge, .. } => assert_eq!((&*topic, edge), (own, as_edge)),
        other => panic!("{other}"),
    };
    own(refused(|g| drop(g.join(GROUP.table()))), "sums-table", "join");
    own(refused(|g| drop(g.lookup(GROUP.table()))), "sums-table", "lookup");
    own(
        refused(|g| drop(g.output(Stream::<String, u64>::json("sums-table")))),
        "sums-table",
        "output",
    );
    own(
        refused(|g| drop(g.output(Stream::<String, u64>::json("sums-loop")))),
        "sums-loop",
        "output",
    );
    own(refused(|g| drop(g.input(Stream::json("sums-table"), nothing))), "sums-table", "input");
    own(refused(|g| drop(g.input(Stream::json("sums-loop"), nothing))), "sums-loop", "input");
    own(
        refused(|g| {
            drop(g.input(Stream::json("b"), nothing).on_error(OnError::dead_letter("sums-loop")))
        }),
        "sums-loop",
        "output",
    );
}

#[test]
fn one_loop_with_a_callback() {
    let error = refused(|graph| {
        graph.loopback::<u64>();
    });
    assert_eq!(error, GraphError::LoopWithoutCallback { group: "sums".into() });
    let error = refused(|graph| {
        let looped = graph.loopback::<u64>();
        graph.on_loop(looped, nothing);
        graph.loopback::<u64>();
    });
    assert_eq!(error, GraphError::TwoLoops { group: "sums".into() });
}

#[test]
fn a_table_is_joined_once() {
    let error = refused(|graph| {
        graph.join(SIDE);
        graph.join(SIDE);
    });
    assert!(matches!(error, GraphError::TableTwice { edge: "join", .. }), "{error}");
}

#[test]
fn a_table_may_be_joined_and_looked_up() {
    let mut graph = GROUP.graph();
    graph.input(IN, nothing);
    graph.join(SIDE);
    graph.lookup(SIDE);
    graph.validate().unwrap();
}

#[test]
fn names_are_kafkas() {
    let error = refused(|graph| drop(graph.output(Stream::<String, u64>::json("a b"))));
    assert!(matches!(error, GraphError::TopicName { .. }), "{error}");
    for name in ["", "a/b", ".", "ä"] {
        let mut graph = GROUP.renamed(name).graph();
        graph.input(IN, nothing);
        assert_eq!(graph.validate().unwrap_err(), GraphError::GroupName { name: name.into() });
    }
}

#[test]
fn a_graph_prints_its_topology() {
    let mut graph = GROUP.graph();
    graph.join(SIDE);
    graph.output(OUT);
    let looped = graph.loopback::<u64>();
    graph.input(IN, nothing).on_error(OnError::dead_letter("in-failed"));
    graph.on_loop(looped, nothing);
    let expected = "\
sums
  in      in
  loop    sums-loop
  table   sums-table
  join    side
  out     out
  dead    in-failed
";
    assert_eq!(graph.to_string(), expected);
}

#[test]
#[should_panic(expected = "the edge belongs to another graph")]
fn a_handle_of_another_graph_is_refused() {
    let foreign = GROUP.graph().output(OUT);
    let mut graph = GROUP.graph();
    let _mine = graph.output(OUT);
    graph.input_async(IN, async move |ctx, n| ctx.emit(foreign, ctx.key(), &n));
    if let Err(error) = Tester::new(graph).unwrap().send(&IN, "k", &1) {
        panic!("{error}");
    }
}
