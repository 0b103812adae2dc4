//! Who we are, by SASL.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use roka_broker::{Cluster, Fault};
use roka_client::consumer::{ConsumerConfig, ConsumerError};
use roka_client::producer::{ProducerConfig, RecordRef};
use roka_client::security::{BoxError, SaslConfig, SecurityError, Token, TokenProvider};
use roka_client::{ApiKey, Client, Config, ErrorCode};

use crate::support::{connects, refused, works};

async fn cluster() -> Cluster {
    Cluster::builder().nodes(3).user("alice", "a,b=c").start().await.unwrap()
}

fn all(password: &str) -> [SaslConfig; 3] {
    [
        SaslConfig::plain("alice").password(password),
        SaslConfig::scram_sha_256("alice").password(password),
        SaslConfig::scram_sha_512("alice").password(password),
    ]
}

#[tokio::test]
async fn each_mechanism_lets_in_whoever_knows_the_password() {
    let cluster = cluster().await;
    for sasl in all("a,b=c") {
        let client = works(Config::new(cluster.bootstrap()).sasl(sasl)).await;
        let counters = client.counters();
        assert_eq!(counters.authentications, counters.connects);
        client.close().await;
    }
    cluster.create_topic("t", 2, 3).unwrap();
    let client = works(Config::new(cluster.bootstrap()).sasl(all("a,b=c")[2].clone())).await;
    let producer = client.producer(ProducerConfig::default()).unwrap();
    let topic = producer.topic("t").await.unwrap();
    for _ in 0..100 {
        topic.send_keyed(RecordRef::new(b"k", b"v")).await.unwrap();
    }
    producer.flush().await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_an_answer() {
    let cluster = cluster().await;
    for sasl in all("wrong") {
        let mechanism = sasl.mechanism();
        let error = refused(&cluster, Config::new(cluster.bootstrap()).sasl(sasl)).await;
        let SecurityError::Authentication { mechanism: named, message } = error else {
            panic!("{error:?}")
        };
        assert_eq!(named, mechanism);
        assert!(message.contains("uthentication"), "{message}");
    }
    let nobody = SaslConfig::scram_sha_256("mallory").password("a,b=c");
    let error = refused(&cluster, Config::new(cluster.bootstrap()).sasl(nobody)).await;
    assert!(matches!(error, SecurityError::Authentication { .. }), "{error:?}");
}

#[tokio::test]
async fn a_consumer_ends_with_a_wrong_password() {
    let cluster = cluster().await;
    let sasl = SaslConfig::plain("alice").password("wrong");
    let client = Client::new(Config::new(cluster.bootstrap()).sasl(sasl)).unwrap();
    let mut consumer = client.consumer(ConsumerConfig::new("g", ["t"])).unwrap();
    let error = consumer.recv().await.unwrap_err();
    assert!(!matches!(error, ConsumerError::Fetch(_)), "{error:?}");
    assert!(error.to_string().contains("PLAIN was refused"), "{error}");
}

#[tokio::test]
async fn a_mechanism_that_there_is_not() {
    struct Never;
    #[async_trait]
    impl TokenProvider for Never {
        async fn token(&self) -> Result<Token, BoxError> {
            Ok(Token::new("t"))
        }
    }
    let cluster = cluster().await;
    let config = Config::new(cluster.bootstrap()).sasl(SaslConfig::oauth_bearer(Never));
    let SecurityError::UnsupportedMechanism { mechanism, have } = refused(&cluster, config).await
    else {
        panic!("not refused")
    };
    assert_eq!(mechanism, "OAUTHBEARER");
    assert_eq!(have, ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]);
}

#[tokio::test]
async fn a_callback_that_fails_is_told() {
    struct Fails(Arc<AtomicUsize>);
    #[async_trait]
    impl TokenProvider for Fails {
        async fn token(&self) -> Result<Token, BoxError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err("the token server is down".into())
        }
    }
    let cluster = cluster().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let sasl = SaslConfig::oauth_bearer(Fails(asked.clone()));
    let error = refused(&cluster, Config::new(cluster.bootstrap()).sasl(sasl)).await;
    assert!(error.to_string().contains("the token server is down"), "{error}");
    assert!(asked.load(Ordering::Relaxed) > 0);
}

#[tokio::test]
async fn sasl_where_nobody_asks_for_it() {
    let cluster = Cluster::builder().start().await.unwrap();
    let sasl = SaslConfig::plain("alice").password("x");
    let error = refused(&cluster, Config::new(cluster.bootstrap()).sasl(sasl)).await;
    assert_eq!(error, SecurityError::SaslNotEnabled);
}

#[tokio::test]
async fn credentials_that_are_refused_once_are_tried_once_more() {
    let cluster = Cluster::builder().user("alice", "x").start().await.unwrap();
    cluster.inject(
        Fault::fail(ErrorCode::SASL_AUTHENTICATION_FAILED).on(ApiKey::SaslAuthenticate).times(1),
    );
    let sasl = SaslConfig::plain("alice").password("x");
    let client = works(Config::new(cluster.bootstrap()).sasl(sasl)).await;
    assert_eq!(cluster.faults_left(), 0);
    assert_eq!(connects(&cluster), 2 + client.counters().connects - 1);
}

#[tokio::test]
async fn a_client_recovers_when_the_password_file_is_put_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "wrong\n").unwrap();
    let cluster = Cluster::builder().user("alice", "right").start().await.unwrap();
    let sasl = SaslConfig::scram_sha_256("alice").password_file(&file);
    let client = Client::new(Config::new(cluster.bootstrap()).sasl(sasl)).unwrap();
    assert!(client.admin().describe_cluster().await.unwrap_err().security().is_some());
    std::fs::write(&file, "right\n").unwrap();
    let recovered = async {
        while client.admin().describe_cluster().await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), recovered).await.unwrap();
}

#[tokio::test]
async fn brokers_before_1_0_hear_raw_frames() {
    let cluster = Cluster::builder().user("alice", "x").start().await.unwrap();
    cluster.pretend("0.10.2").unwrap();
    for sasl in [SaslConfig::plain("alice"), SaslConfig::scram_sha_512("alice")] {
        works(Config::new(cluster.bootstrap()).sasl(sasl.clone().password("x"))).await;
        let wrong = Config::new(cluster.bootstrap()).sasl(sasl.password("wrong"));
        let error = refused(&cluster, wrong).await;
        assert!(matches!(error, SecurityError::Authentication { .. }), "{error:?}");
    }
    assert_eq!(cluster.requests(ApiKey::SaslAuthenticate), 0);
}
