//! Whatever a client sends, it loses its connection at most: the node serves on, and nothing panics.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use roka_broker::Cluster;
use roka_protocol::{
    frame,
    messages::{
        api_versions::{ApiVersion, ApiVersionsRequest},
        metadata::MetadataRequest,
    },
};
use support::{RawClient, batch_of, fetch_request, produce_request};

/// Sends bytes on a connection of their own and reads what comes until the node is done with them.
fn send(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    // The node may close before it has read all.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut rest = Vec::new();
    let ended = stream.read_to_end(&mut rest);
    let hung = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!hung, "the node neither answers nor closes");
}

fn framed(api: &ApiVersion, version: i16, body: &[u8]) -> Vec<u8> {
    let mut request = Vec::new();
    request.extend(api.api_key.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend([0, 0, 0, 1, 255, 255]);
    request.extend(body);
    let mut bytes = (request.len() as i32).to_be_bytes().to_vec();
    bytes.extend(request);
    bytes
}

#[test]
fn a_node_survives_what_no_client_would_send() {
    let panics = Arc::new(AtomicUsize::new(0));
    let count = panics.clone();
    std::panic::set_hook(Box::new(move |info| {
        eprintln!("{info}");
        count.fetch_add(1, Ordering::SeqCst);
    }));
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    let address = cluster.address(1).unwrap();
    let mut client = RawClient::of(&cluster);
    let apis = client.call(3, &ApiVersionsRequest::default()).api_keys;

    for bytes in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 4], &[255; 64], &[0, 0, 0, 2, 0, 3]] {
        send(address, bytes);
    }
    let mut random = fastrand::Rng::with_seed(7);
    for api in &apis {
        for version in api.min_version..=api.max_version {
            for length in [0, 1, 7, 40] {
                let body: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
                send(address, &framed(api, version, &body));
                send(address, &framed(api, version, &vec![0; length]));
            }
        }
    }
    let produce = produce_request("t", 0, batch_of(&["a", "b"]), -1);
    let fetch = fetch_request("t", 0, 0, 0);
    let good = [
        frame::encode_request(9, 1, Some("raw"), &produce).unwrap().into_bytes().to_vec(),
        frame::encode_request(12, 1, Some("raw"), &fetch).unwrap().into_bytes().to_vec(),
    ];
    for round in 0..400 {
        let mut bytes = good[round % 2].clone();
        for _ in 0..=random.usize(..4) {
            let at = random.usize(4..bytes.len());
            bytes[at] = random.u8(..);
        }
        send(address, &bytes);
    }
    let metadata = MetadataRequest { topics: None, ..Default::default() };
    assert!(!client.call(12, &metadata).topics.is_empty());
    assert_eq!(panics.load(Ordering::SeqCst), 0);
}
