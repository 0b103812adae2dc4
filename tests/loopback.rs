//! A callback sends messages to other keys of its own group.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Env, start, stream, until};
use roka::{Emitter, Group, GroupGraph};
use roka_client::admin::ConfigResource;

/// Counts what each key sent and received.
fn mail(group: &str, input: &str) -> GroupGraph<String, (u64, u64)> {
    let mut graph = Group::<String, (u64, u64)>::json("").renamed(group).graph();
    let received = graph.loopback::<String>();
    graph.input(stream(input), move |ctx, to: String| {
        ctx.update(|(sent, _)| *sent += 1)?;
        ctx.loopback(received, &to, &ctx.key().to_owned())
    });
    graph.on_loop(received, |ctx, _from| ctx.update(|(_, received)| *received += 1));
    graph
}

#[tokio::test(flavor = "multi_thread")]
async fn loop_messages_reach_the_other_keys() {
    let env = Env::new();
    let (group, input) = (env.name("mail"), env.name("mails"));
    env.topic(&input, 3).await;
    let processor = start(mail(&group, &input), env.config("a"));
    let mails = Emitter::new(stream(&input), &env.memory()).await.unwrap();
    for n in 0..500 {
        mails.emit(&format!("u{}", n % 10), &format!("u{}", n % 7)).await.unwrap();
    }
    mails.finish().await.unwrap();
    processor.ready().await;
    env.drained(&group, &input).await;
    env.drained(&group, &format!("{group}-loop")).await;

    for user in 0..10_u64 {
        let sent = (0..500).filter(|n| n % 10 == user).count() as u64;
        let received = (0..500).filter(|n| n % 7 == user).count() as u64;
        let row = processor.handle.get(&format!("u{user}")).await.unwrap();
        assert_eq!(row, Some((sent, received)), "u{user}");
    }
    for (topic, wanted) in [("loop", "delete"), ("table", "compact")] {
        // A broker that has not heard of the topic yet may be asked first.
        until("the topic has its policy", async || {
            let topic = ConfigResource::topic(format!("{group}-{topic}"));
            let entries = env.client.admin().describe_config(topic).await.unwrap_or_default();
            let policy = entries.iter().find(|entry| entry.name == "cleanup.policy");
            policy.is_some_and(|policy| policy.value.as_deref() == Some(wanted))
        })
        .await;
    }
    processor.stop().await.unwrap();
}
