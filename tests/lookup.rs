//! Callbacks read any row of a table that is not co-partitioned; a view shows the same rows.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Env, start, stream, text, until};
use roka::{Emitter, Group, GroupGraph, State, Stateless, Table, View, ViewError};

fn translator(
    group: &str,
    input: &str,
    words: &str,
    output: &str,
) -> GroupGraph<String, Stateless> {
    let mut graph = Group::<String>::stateless("").renamed(group).graph();
    let words = graph.lookup(Table::<String, String>::text("").renamed(words));
    let output = graph.output(stream(output));
    graph.input(stream(input), move |ctx, word: String| {
        let translated = ctx.lookup(words, &word)?.unwrap_or(word);
        ctx.emit(output, ctx.key(), &translated)
    });
    graph
}

#[tokio::test(flavor = "multi_thread")]
async fn any_row_is_found_whatever_its_partition() {
    let env = Env::new();
    let names = ["translator", "in", "words", "out"].map(|base| env.name(base));
    let [group, input, words, output] = names.each_ref().map(String::as_str);
    env.topic(input, 2).await;
    env.topic(output, 1).await;
    env.topic_with(words, 5, &[("cleanup.policy", "compact")]).await;
    let table = || Table::<String, String>::text("").renamed(words);
    let rows = Emitter::table(table(), &env.memory()).await.unwrap();
    for n in 0..100 {
        rows.emit(&format!("word-{n}"), &format!("wort-{n}")).await.unwrap();
    }
    rows.flush().await.unwrap();
    let texts = Emitter::new(stream(input), &env.memory()).await.unwrap();
    for n in 0..120 {
        texts.emit(&format!("key-{n}"), &format!("word-{n}")).await.unwrap();
    }
    texts.finish().await.unwrap();

    let processor = start(translator(group, input, words, output), env.config("a"));
    env.drained(group, input).await;
    let mut seen: Vec<String> =
        env.records(output).await.into_iter().map(|record| text(&record.value.unwrap())).collect();
    seen.sort();
    let word = |n| if n < 100 { format!("wort-{n}") } else { format!("word-{n}") };
    let mut expected: Vec<String> = (0..120).map(word).collect();
    expected.sort();
    assert_eq!(seen, expected);
    processor.stop().await.unwrap();

    // A view of the same table, with a store of its own.
    let view = View::new(table(), &env.config("view")).unwrap();
    view.wait_ready().await.unwrap();
    assert_eq!(view.get("word-42").unwrap().as_deref(), Some("wort-42"));
    assert!(view.has("word-99").unwrap() && !view.has("word-100").unwrap());
    let all: Vec<(String, String)> = view.iter().unwrap().map(Result::unwrap).collect();
    assert_eq!(all.len(), 100);
    assert!(all.is_sorted());
    rows.emit("word-42", &"other".to_owned()).await.unwrap();
    rows.emit_tombstone("word-43").await.unwrap();
    rows.finish().await.unwrap();
    until("the view follows the table", async || {
        view.get("word-42").unwrap().as_deref() == Some("other") && !view.has("word-43").unwrap()
    })
    .await;
    let again = view.clone();
    view.close().await;
    assert_eq!(again.state(), State::Stopped);

    // It begins where it ended.
    let view = View::new(table(), &env.config("view")).unwrap();
    view.wait_ready().await.unwrap();
    assert_eq!(view.iter().unwrap().count(), 99);
    view.close().await;

    let missing = Table::<String, String>::text("").renamed(env.name("no-such-table"));
    let view = View::new(missing, &env.memory()).unwrap();
    assert!(matches!(view.wait_ready().await, Err(ViewError::Ended(_))));
}
