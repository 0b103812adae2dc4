//! What cannot work is said before anything is read or written: what, where, and what to do.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{Env, start, stream, until};
use roka::{
    Config, Emitter, EmitterError, Group, GroupGraph, LogStore, Processor, ProcessorError,
    SledStore, Store, StoreKind, Table, TopicError,
};
use roka_client::ApiKey;

fn graph(group: &str, input: &str) -> GroupGraph<String, u64> {
    let mut graph = Group::<String, u64>::json("").renamed(group).graph();
    graph.input(stream(input), |ctx, _: String| ctx.update(|count| *count += 1));
    graph
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_topics_are_named() {
    let env = Env::new();
    let (group, input) = (env.name("g"), env.name("missing"));
    let error = start(graph(&group, &input), env.memory()).ended().await.unwrap_err();
    let ProcessorError::Topics(TopicError::Missing { topics, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!(topics, std::slice::from_ref(&input));
    let emitter = Emitter::new(stream(&input), &env.memory()).await;
    assert!(matches!(emitter, Err(EmitterError::Topic { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_are_partitioned_differently_are_named() {
    let env = Env::new();
    let names = ["g", "four", "three"].map(|base| env.name(base));
    let [group, input, users] = names.each_ref().map(String::as_str);
    env.topic(input, 4).await;
    env.topic(users, 3).await;
    let mut graph = graph(group, input);
    graph.join(Table::<String, String>::text("").renamed(users));
    let error = start(graph, env.memory()).ended().await.unwrap_err().to_string();
    assert!(error.contains(&format!("{input} has 4, {users} has 3")), "{error}");
    // Nothing was made.
    let table = env.client.admin().describe_topic(&format!("{group}-table")).await;
    assert!(table.unwrap_err().is_unknown_topic());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_topic_that_forgets_is_refused() {
    let env = Env::new();
    let (group, input) = (env.name("g"), env.name("in"));
    env.topic(&input, 2).await;
    env.topic_with(&format!("{group}-table"), 2, &[("cleanup.policy", "delete")]).await;
    let error = start(graph(&group, &input), env.memory()).ended().await.unwrap_err();
    let ProcessorError::Topics(TopicError::CleanupPolicy { found, wanted, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!((&**found, *wanted), ("delete", "compact"));
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_when_enough_brokers_are_there() {
    let env = Env::new();
    let Some(cluster) = &env.cluster else { return };
    let (group, input) = (env.name("g"), env.name("in"));
    env.topic(&input, 2).await;
    cluster.stop(3).unwrap();

    // Not in time: what, how long, and what to do.
    let config = Config { start_timeout: Duration::from_secs(1), ..env.memory() };
    let error = start(graph(&group, &input), config).ended().await.unwrap_err();
    let ProcessorError::Topics(TopicError::TooFewBrokers { topic, replication: 3, waited, .. }) =
        &error
    else {
        panic!("{error}")
    };
    assert_eq!(*topic, format!("{group}-table"));
    assert!(*waited >= Duration::from_secs(1), "{error}");

    // In time.
    let creations = cluster.requests(ApiKey::CreateTopics);
    let processor = start(graph(&group, &input), env.memory());
    until("the processor has tried more than once", async || {
        cluster.requests(ApiKey::CreateTopics) >= creations + 2
    })
    .await;
    cluster.start(3).unwrap();
    processor.ready().await;
    let table = env.client.admin().describe_topic(&format!("{group}-table")).await.unwrap();
    assert_eq!(table.partitions[0].replicas.len(), 3);
    processor.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_broker_is_an_error_that_names_the_addresses() {
    // Bound and dropped: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let broker = format!("127.0.0.1:{port}");
    let config = Config {
        start_timeout: Duration::from_secs(1),
        store: StoreKind::Memory,
        ..Config::new([broker.clone()])
    };
    let error = start(graph("g", "in"), config).ended().await.unwrap_err();
    assert!(matches!(error, ProcessorError::NoBroker { .. }), "{error}");
    assert!(error.to_string().contains(&broker), "{error}");
}

#[test]
fn a_wrong_setting_is_named() {
    let config = Config { workers: 0, ..Config::new(["localhost:9092"]) };
    let error = Processor::new(graph("g", "in"), config).unwrap_err();
    assert!(error.to_string().contains("workers = 0"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_somebody_else_has_open_is_waited_for_then_named() {
    let env = Env::new();
    let (group, input) = (env.name("g"), env.name("in"));
    env.topic(&input, 1).await;
    let config = env.config("a");
    let path = config.state_dir.join(&group).join(format!("{group}-table")).join("0");
    for kind in [StoreKind::Sled, StoreKind::Log] {
        let config = Config { store: kind, ..config.clone() };
        let held: Box<dyn Store> = match kind {
            StoreKind::Sled => Box::new(SledStore::open(&path, 1 << 20).unwrap()),
            _ => Box::new(LogStore::open(&path).unwrap()),
        };
        let error = start(graph(&group, &input), config).ended().await.unwrap_err();
        assert!(matches!(error, ProcessorError::Store { .. }), "{error}");
        assert!(error.to_string().contains("in use"), "{error}");
        held.close().unwrap();
    }
}
