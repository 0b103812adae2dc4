//! The same on real Kafka, on the clusters that `.ci/secure-kafka` starts and names; without them these tests do nothing.

use std::time::{Duration, Instant};

use roka_client::admin::NewTopic;
use roka_client::producer::{ProducerConfig, RecordRef};
use roka_client::security::{SaslConfig, SecurityError, TlsConfig};
use roka_client::{Client, Config, ErrorCode};

use crate::certificates::Ca;
use crate::support::works;

/// Within 5 s, on a machine that has nothing else to do.
const SOON: Duration = Duration::from_secs(15);

/// The words of the variable: folder of the cluster, then addresses. None if it is not set.
fn cluster(variable: &str) -> Option<Vec<String>> {
    let text = std::env::var(variable).ok()?;
    let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    assert!(words.len() >= 2, "{variable} is `{text}`: folder and addresses are wanted");
    Some(words)
}

fn trusting(folder: &str) -> TlsConfig {
    TlsConfig::new().ca_file(format!("{folder}/tls/ca.crt"))
}

/// Calls fail soon, for a reason of trust, with few dials.
async fn refused(what: &str, config: Config) -> SecurityError {
    let begin = Instant::now();
    let client = Client::new(config).unwrap();
    let error = client.admin().describe_cluster().await.unwrap_err();
    let took = begin.elapsed();
    assert!(took < SOON, "{what}: it took {took:?}");
    for _ in 0..100 {
        client.admin().describe_cluster().await.unwrap_err();
    }
    let counters = client.counters();
    let dials = counters.connects + counters.connect_failures;
    assert!(dials <= 6 + 2 * begin.elapsed().as_secs(), "{what}: {counters:?}");
    println!("{what}: after {took:.1?} and {dials} dials: {error}");
    error.security().unwrap_or_else(|| panic!("{what}: {error:?}")).clone()
}

/// Writes a hundred records to a topic of its own.
async fn writes(client: &Client, topic: &str) {
    match client.admin().create_topic(NewTopic::new(topic, 2, 1)).await {
        Err(error) if error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) => {}
        made => drop(made.unwrap()),
    }
    let producer = client.producer(ProducerConfig::default()).unwrap();
    let handle = producer.topic(topic).await.unwrap();
    for number in 0..100i32 {
        handle.send_keyed(RecordRef::new(&number.to_be_bytes(), b"v")).await.unwrap();
    }
    producer.flush().await.unwrap();
}

#[tokio::test]
async fn scram_over_tls() {
    let Some(words) = cluster("ROKA_TEST_SCRAM_TLS") else { return };
    let (folder, brokers) = (&words[0], &words[1]);
    let alice = |password: &str| SaslConfig::scram_sha_512("alice").password(password);
    let config = || Config::new(brokers).tls(trusting(folder)).sasl(alice("alice-secret"));
    writes(&works(config()).await, "scram-tls").await;
    let sasl = SaslConfig::scram_sha_256("alice").password("alice-secret");
    works(config().sasl(sasl)).await;

    let error = refused("wrong password", config().sasl(alice("wrong"))).await;
    assert!(matches!(error, SecurityError::Authentication { .. }), "{error:?}");
    let plain = SaslConfig::plain("alice").password("alice-secret");
    let error = refused("PLAIN where SCRAM is offered", config().sasl(plain)).await;
    assert!(matches!(error, SecurityError::UnsupportedMechanism { .. }), "{error:?}");
    let foreign = TlsConfig::new().ca_pem(Ca::new("foreign").pem());
    let error = refused("certificate of a foreign CA", config().tls(foreign)).await;
    assert!(matches!(error, SecurityError::TlsCertificate { .. }), "{error:?}");
    let elsewhere = trusting(folder).server_name("kafka.example.com");
    let error = refused("wrong host name", config().tls(elsewhere)).await;
    assert!(matches!(error, SecurityError::TlsName { .. }), "{error:?}");
    let plain_text = Config::new(brokers).sasl(alice("alice-secret"));
    let error = refused("plain text to a TLS port", plain_text).await;
    assert_eq!(error, SecurityError::PlaintextToTls);
}

#[tokio::test]
async fn a_certificate_that_has_expired() {
    let Some(words) = cluster("ROKA_TEST_EXPIRED") else { return };
    let sasl = SaslConfig::scram_sha_512("alice").password("alice-secret");
    let config = Config::new(&words[1]).tls(trusting(&words[0])).sasl(sasl);
    let error = refused("expired certificate", config).await;
    let SecurityError::TlsCertificate { problem, .. } = &error else { panic!("{error:?}") };
    assert!(problem.contains("expired"), "{problem}");
}

#[tokio::test]
async fn mutual_tls() {
    let Some(words) = cluster("ROKA_TEST_MUTUAL_TLS") else { return };
    let (folder, brokers) = (&words[0], &words[1]);
    let own = |name: &str| format!("{folder}/tls/{name}");
    let identity = trusting(folder).identity_files(own("client.crt"), own("client.key"));
    writes(&works(Config::new(brokers).tls(identity)).await, "mutual-tls").await;
    let error = refused("no client certificate", Config::new(brokers).tls(trusting(folder))).await;
    assert!(matches!(error, SecurityError::TlsRefused { .. }), "{error:?}");
    let foreign = Ca::new("foreign").issue(&["client"]);
    let tls = trusting(folder).identity_pem(foreign.certificate, foreign.key);
    let error = refused("client certificate of a foreign CA", Config::new(brokers).tls(tls)).await;
    assert!(matches!(error, SecurityError::TlsRefused { .. }), "{error:?}");
}

#[tokio::test]
async fn plain_with_sessions_of_three_seconds() {
    let Some(words) = cluster("ROKA_TEST_PLAIN") else { return };
    let brokers = &words[1];
    let alice = |password: &str| SaslConfig::plain("alice").password(password);
    let client = works(Config::new(brokers).sasl(alice("alice-secret"))).await;
    let begin = Instant::now();
    let renewed = |client: &Client| {
        let counters = client.counters();
        counters.authentications - counters.connects
    };
    while renewed(&client) < 3 {
        writes(&client, "plain").await;
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", client.counters());
    }
    let counters = client.counters();
    assert_eq!(counters.disconnects, 0, "{counters:?}");
    println!("sessions: {} renewed within {:.1?}", renewed(&client), begin.elapsed());
    let error = refused("wrong password", Config::new(brokers).sasl(alice("wrong"))).await;
    assert!(matches!(error, SecurityError::Authentication { .. }), "{error:?}");
    let tls = Config::new(brokers).tls(TlsConfig::new().ca_pem(Ca::new("any").pem()));
    let error = refused("TLS to a port of plain text", tls).await;
    assert_eq!(error, SecurityError::TlsToPlaintext);
}

#[tokio::test]
async fn raw_frames_before_1_0() {
    let Some(words) = cluster("ROKA_TEST_RAW_SASL") else { return };
    let brokers = &words[1];
    let alice = |password: &str| SaslConfig::scram_sha_256("alice").password(password);
    writes(&works(Config::new(brokers).sasl(alice("alice-secret"))).await, "raw").await;
    let error = refused("wrong password", Config::new(brokers).sasl(alice("wrong"))).await;
    assert!(matches!(error, SecurityError::Authentication { .. }), "{error:?}");
}
