//! Who the broker is, and who we are, by TLS.

use std::time::Duration;

use roka_broker::Cluster;
use roka_client::producer::{ProducerConfig, RecordRef};
use roka_client::security::{SaslConfig, SecurityError, TlsConfig};
use roka_client::{Client, Config, Error, SendError};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::certificates::{Ca, Pair};
use crate::support::{connects, refused, works};

async fn cluster(pair: Pair) -> Cluster {
    Cluster::builder().nodes(3).tls(pair.certificate, pair.key).start().await.unwrap()
}

fn over(cluster: &Cluster, tls: TlsConfig) -> Config {
    Config::new(cluster.bootstrap()).tls(tls)
}

fn trusting(ca: &Ca) -> TlsConfig {
    TlsConfig::new().ca_pem(ca.pem())
}

#[tokio::test]
async fn records_go_over_tls() {
    let ca = Ca::new("own");
    let cluster = cluster(ca.issue(&["127.0.0.1"])).await;
    cluster.create_topic("t", 1, 3).unwrap();
    let client = works(over(&cluster, trusting(&ca))).await;
    let producer = client.producer(ProducerConfig::default()).unwrap();
    let topic = producer.topic("t").await.unwrap();
    let large = vec![7; 300_000];
    for _ in 0..20 {
        topic.send_keyed(RecordRef::new(b"k", &large)).await.unwrap();
    }
    producer.flush().await.unwrap();
    assert_eq!(cluster.end_offset("t", 0).unwrap(), 20);
}

#[tokio::test]
async fn a_certificate_that_is_not_to_be_trusted() {
    let (ca, foreign) = (Ca::new("own"), Ca::new("foreign"));
    let expired = cluster(ca.issue_expired(&["127.0.0.1"])).await;
    let cases = [
        (refused(&expired, over(&expired, trusting(&ca))).await, "expired"),
        {
            let cluster = cluster(foreign.issue(&["127.0.0.1"])).await;
            (refused(&cluster, over(&cluster, trusting(&ca))).await, "not among the trusted")
        },
        {
            let cluster = cluster(ca.issue(&["127.0.0.1"])).await;
            (refused(&cluster, over(&cluster, TlsConfig::new().ca_pem(foreign.pem()))).await, "CA")
        },
    ];
    for (error, word) in cases {
        let SecurityError::TlsCertificate { server_name, problem } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(&**server_name, "127.0.0.1");
        assert!(problem.contains(word), "{problem}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let ca = Ca::new("own");
    let cluster = cluster(ca.issue(&["kafka.example.com"])).await;
    let error = refused(&cluster, over(&cluster, trusting(&ca))).await;
    let SecurityError::TlsName { server_name, names } = &error else { panic!("{error:?}") };
    assert_eq!(&**server_name, "127.0.0.1");
    assert!(names.iter().any(|name| name == "kafka.example.com"), "{names:?}");
    // Both ways around it.
    works(over(&cluster, trusting(&ca).server_name("kafka.example.com"))).await;
    works(over(&cluster, trusting(&ca).verify_server_name(false))).await;
    let foreign = trusting(&Ca::new("foreign")).verify_server_name(false);
    let error = refused(&cluster, over(&cluster, foreign)).await;
    assert!(matches!(error, SecurityError::TlsCertificate { .. }), "{error:?}");
}

#[tokio::test]
async fn a_client_certificate() {
    let (ca, foreign) = (Ca::new("own"), Ca::new("foreign"));
    let pair = ca.issue(&["127.0.0.1"]);
    let builder = Cluster::builder().nodes(2).tls(pair.certificate, pair.key).client_ca(ca.pem());
    let cluster = builder.start().await.unwrap();
    let with = |Pair { certificate, key }: Pair| trusting(&ca).identity_pem(certificate, key);
    works(over(&cluster, with(ca.issue(&["client"])))).await;
    let wrong =
        [trusting(&ca), with(foreign.issue(&["client"])), with(ca.issue_expired(&["client"]))];
    for tls in wrong {
        let error = refused(&cluster, over(&cluster, tls)).await;
        assert!(matches!(error, SecurityError::TlsRefused { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn plain_text_and_tls_do_not_meet() {
    let ca = Ca::new("own");
    let secured = cluster(ca.issue(&["127.0.0.1"])).await;
    let error = refused(&secured, Config::new(secured.bootstrap())).await;
    assert_eq!(error, SecurityError::PlaintextToTls);
    // With SASL as well: the mistake is found before a password is sent.
    let sasl = SaslConfig::plain("alice").password("x");
    let error = refused(&secured, Config::new(secured.bootstrap()).sasl(sasl)).await;
    assert_eq!(error, SecurityError::PlaintextToTls);
    let open = Cluster::builder().start().await.unwrap();
    let error = refused(&open, over(&open, trusting(&ca))).await;
    assert_eq!(error, SecurityError::TlsToPlaintext);
}

#[tokio::test]
async fn files_are_read_again_when_they_change() {
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    let tls = TlsConfig::new().ca_file(&file);
    let cluster = cluster(new.issue(&["127.0.0.1"])).await;
    let error = refused(&cluster, over(&cluster, tls.clone())).await;
    assert!(matches!(error, SecurityError::Pem { .. }), "{error:?}");
    assert_eq!(connects(&cluster), 0, "nobody was dialled without knowing whom to trust");
    std::fs::write(&file, old.pem()).unwrap();
    let client = Client::new(over(&cluster, tls)).unwrap();
    let error = client.admin().describe_cluster().await.unwrap_err();
    assert!(matches!(error.security(), Some(SecurityError::TlsCertificate { .. })), "{error:?}");
    // A file that is half written does no harm, and the whole one counts.
    std::fs::write(&file, "-----BEGIN CERT").unwrap();
    std::fs::write(&file, old.pem() + &new.pem()).unwrap();
    let recovered = async {
        while client.admin().describe_cluster().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), recovered).await.unwrap();
}

#[tokio::test]
async fn a_reset_during_the_handshake_is_the_network() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // Part of the hello is read, and the rest is answered by a reset.
            let _ = stream.read_u8().await;
            let _ = stream.set_zero_linger();
        }
    });
    let config = Config::new(address.to_string()).tls(trusting(&Ca::new("own")));
    let client = Client::new(config.api_timeout(Duration::from_secs(3))).unwrap();
    let error = client.admin().describe_cluster().await.unwrap_err();
    assert!(error.security().is_none(), "{error:?}");
    let Error::Timeout { last, .. } = &error else { panic!("{error:?}") };
    if let Some(last) = last {
        assert!(matches!(**last, Error::Send(SendError::Connect { .. })), "{last:?}");
    }
}

#[tokio::test]
async fn tls_and_sasl_together() {
    let ca = Ca::new("own");
    let pair = ca.issue(&["127.0.0.1"]);
    let builder = Cluster::builder().tls(pair.certificate, pair.key).user("alice", "x");
    let cluster = builder.start().await.unwrap();
    let config = |password: &str| {
        let sasl = SaslConfig::scram_sha_512("alice").password(password);
        over(&cluster, trusting(&ca)).sasl(sasl)
    };
    works(config("x")).await;
    let error = refused(&cluster, config("wrong")).await;
    assert!(matches!(error, SecurityError::Authentication { .. }), "{error:?}");
}
