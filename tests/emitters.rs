//! An emitter places, orders and delivers messages, and says what it could not deliver.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use common::{Env, stream, text};
use roka::{Config, Emitter, EmitterError, Functions, Hasher, Stream};

#[tokio::test(flavor = "multi_thread")]
async fn keys_go_where_goka_or_java_look_for_them() {
    let env = Env::new();
    for hasher in [Hasher::Fnv1a, Hasher::Murmur2] {
        let topic = env.name(&format!("placed-{hasher}"));
        env.topic(&topic, 10).await;
        let config = Config { hasher, ..env.config("e") };
        let emitter = Emitter::new(stream(&topic), &config).await.unwrap();
        for key in ["", "a", "key", "user-1", "Alice", "münchen", "2304669687"] {
            emitter.emit(key, &"x".to_owned()).await.unwrap();
        }
        emitter.finish().await.unwrap();
        let seen = env.records(&topic).await;
        assert_eq!(seen.len(), 7);
        for record in seen {
            let key = record.key.unwrap();
            assert_eq!(record.partition, hasher.partition(&key, 10), "{}", text(&key));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keys_messages_keep_their_order_and_everything_else() {
    let env = Env::new();
    let topic = env.name("ordered");
    env.topic(&topic, 4).await;
    let emitter = Emitter::new(stream(&topic), &env.config("e")).await.unwrap();
    for n in 0..3_000_u32 {
        let key = format!("key-{}", n % 17);
        let headers = [("n", n.to_string()), ("n", "again".to_owned())];
        if n % 100 == 99 {
            emitter.emit_tombstone(&key).await.unwrap();
        } else {
            emitter.emit_with_headers(&key, &n.to_string(), headers).await.unwrap();
        }
    }
    emitter.flush().await.unwrap();
    let mut last: BTreeMap<String, u32> = BTreeMap::new();
    let seen = env.records(&topic).await;
    assert_eq!(seen.len(), 3_000);
    for record in &seen {
        let key = text(record.key.as_ref().unwrap());
        let Some(value) = &record.value else {
            assert_eq!(record.headers, []);
            continue;
        };
        let n: u32 = text(value).parse().unwrap();
        let headers = [("n", n.to_string()), ("n", "again".to_owned())];
        assert_eq!(record.headers, headers.map(|(name, value)| (name.to_owned(), value)));
        assert!(last.insert(key, n).is_none_or(|before| before < n), "{n} came too late");
    }
    emitter.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_says_where_the_message_is() {
    let env = Env::new();
    let topic = env.name("receipts");
    env.topic(&topic, 3).await;
    let emitter = Emitter::new(stream(&topic), &env.config("e")).await.unwrap();
    let first = emitter.emit_sync("a", &"1".to_owned()).await.unwrap();
    let receipts = [
        emitter.emit_with_receipt("a", &"2".to_owned()).await.unwrap(),
        emitter.emit_with_receipt("a", &"3".to_owned()).await.unwrap(),
    ];
    assert_eq!((first.partition, first.offset), (Hasher::Fnv1a.partition(b"a", 3), Some(0)));
    for (receipt, offset) in receipts.into_iter().zip(1..) {
        assert_eq!(receipt.await.unwrap().offset, Some(offset));
    }
    emitter.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_a_key_are_spread() {
    let env = Env::new();
    let topic = env.name("keyless");
    env.topic(&topic, 3).await;
    let keyless = || Stream::<(), String>::text("").renamed(&topic);
    let emitter = Emitter::new(keyless(), &env.config("e")).await.unwrap();
    let value = "v".repeat(1_000);
    for _ in 0..3_000 {
        emitter.emit(&(), &value).await.unwrap();
    }
    emitter.finish().await.unwrap();
    let mut counts = [0; 3];
    for record in env.records(&topic).await {
        assert_eq!(record.key, None);
        counts[record.partition as usize] += 1;
    }
    assert_eq!(counts.iter().sum::<i32>(), 3_000);
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_said() {
    let env = Env::new();
    let missing = env.name("missing");
    let error = Emitter::new(stream(&missing), &env.config("e")).await.unwrap_err();
    assert!(matches!(error, EmitterError::Topic { .. }), "{error}");
    assert!(error.to_string().contains(&missing), "{error}");

    let wrong = Config { linger: Duration::from_secs(3_600), ..env.config("e") };
    let error = Emitter::new(stream(&missing), &wrong).await.unwrap_err();
    assert!(matches!(error, EmitterError::Config(_)), "{error}");

    let topic = env.name("picky");
    env.topic(&topic, 1).await;
    let picky = Functions::new(
        |value: &u32, into: &mut Vec<u8>| {
            into.push(1);
            if *value == 0 { Err("zero".into()) } else { Ok(()) }
        },
        |_: &[u8]| Ok(0),
    );
    let picky = Stream::<String, u32>::named(topic.as_str(), Arc::new(picky));
    let emitter = Emitter::new(picky, &env.config("e")).await.unwrap();
    let error = emitter.emit("a", &0).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot encode a message for topic {topic}: zero"));
    emitter.emit("a", &1).await.unwrap();
    emitter.finish().await.unwrap();
    assert_eq!(env.records(&topic).await.len(), 1, "the message that failed left nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_outlive_brokers_that_restart() {
    let env = Env::new();
    // Only the embedded cluster is stopped at will.
    let Some(cluster) = &env.cluster else { return };
    let topic = env.name("rolled");
    env.topic(&topic, 3).await;
    let emitter = Emitter::new(stream(&topic), &env.config("e")).await.unwrap();
    let nodes = cluster.nodes();
    for n in 0..300_u32 {
        if n % 100 == 50 {
            cluster.stop(nodes[n as usize / 100]).unwrap();
        }
        if n % 100 == 90 {
            cluster.start(nodes[n as usize / 100]).unwrap();
        }
        emitter.emit(&n.to_string(), &n.to_string()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    emitter.finish().await.unwrap();
    let mut values: Vec<_> = env.records(&topic).await.into_iter().map(|seen| seen.value).collect();
    values.sort();
    values.dedup();
    assert_eq!(values.len(), 300, "every message is there");
    assert_eq!(env.records(&topic).await.len(), 300, "once");
}
