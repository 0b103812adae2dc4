//! Callbacks read the rows of a co-partitioned table: those that were there, and those that come later.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Env, start, stream, text, until};
use roka::{Emitter, Group, GroupGraph, Stateless, Table};

fn enricher(group: &str, input: &str, users: &str, output: &str) -> GroupGraph<String, Stateless> {
    let mut graph = Group::<String>::stateless("").renamed(group).graph();
    let users = graph.join(Table::<String, String>::text("").renamed(users));
    let output = graph.output(stream(output));
    graph.input(stream(input), move |ctx, word: String| {
        let user = ctx.join(users)?.unwrap_or_else(|| "nobody".to_owned());
        ctx.emit(output, ctx.key(), &format!("{word} by {user}"))
    });
    graph
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_there_before_the_first_record_and_change_later() {
    let env = Env::new();
    let names = ["enricher", "words", "users", "out"].map(|base| env.name(base));
    let [group, input, users, output] = names.each_ref().map(String::as_str);
    env.topic(input, 3).await;
    env.topic(output, 2).await;
    env.topic_with(users, 3, &[("cleanup.policy", "compact")]).await;
    let table = Table::<String, String>::text("").renamed(users);
    let users_in = Emitter::table(table, &env.memory()).await.unwrap();
    let words = Emitter::new(stream(input), &env.memory()).await.unwrap();
    for n in 0..300 {
        users_in.emit(&format!("u{n}"), &format!("user-{n}")).await.unwrap();
    }
    users_in.flush().await.unwrap();
    for n in 0..400 {
        words.emit(&format!("u{n}"), &"hi".to_owned()).await.unwrap();
    }
    words.flush().await.unwrap();

    let processor = start(enricher(group, input, users, output), env.config("a"));
    env.drained(group, input).await;
    let mut seen: Vec<String> =
        env.records(output).await.into_iter().map(|record| text(&record.value.unwrap())).collect();
    seen.sort();
    let mut expected: Vec<String> = (0..300).map(|n| format!("hi by user-{n}")).collect();
    expected.extend((300..400).map(|_| "hi by nobody".to_owned()));
    expected.sort();
    assert_eq!(seen, expected);

    users_in.emit("u7", &"renamed".to_owned()).await.unwrap();
    users_in.emit_tombstone("u8").await.unwrap();
    users_in.flush().await.unwrap();
    until("the callbacks see the new rows", async || {
        words.emit("u7", &"a".to_owned()).await.unwrap();
        words.emit("u8", &"b".to_owned()).await.unwrap();
        words.flush().await.unwrap();
        env.drained(group, input).await;
        let values = env.records(output).await;
        let values: Vec<String> =
            values.into_iter().map(|record| text(&record.value.unwrap())).collect();
        values.iter().any(|value| value == "a by renamed")
            && values.iter().any(|value| value == "b by nobody")
    })
    .await;
    processor.stop().await.unwrap();
}
