//! What a request and a byte cost. `cargo test --release -p roka-client cost -- --ignored --nocapture`

use std::io::{Read, Write};
use std::time::Duration;

use roka_protocol::frame::encode_response;
use roka_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use roka_protocol::messages::fetch::{
    FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use roka_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use super::*;
use crate::testing::config;

fn cpu() -> f64 {
    // utime and stime of this thread, in nanoseconds.
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn server(payload: usize) -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let records = Bytes::from(vec![7u8; payload]);
        let partition = PartitionData { records: Some(records), ..Default::default() };
        let topic = FetchableTopicResponse { partitions: vec![partition], ..Default::default() };
        let fetch = FetchResponse { responses: vec![topic], ..Default::default() };
        loop {
            let mut len = [0; 4];
            if stream.read_exact(&mut len).is_err() {
                return;
            }
            let mut frame = vec![0; i32::from_be_bytes(len) as usize];
            stream.read_exact(&mut frame).unwrap();
            let seen = crate::testing::read(frame.into());
            let h = &seen.header;
            let frame = match h.api_key {
                1 => encode_response(1, h.api_version, h.correlation_id, &fetch).unwrap(),
                _ => {
                    encode_response(12, 4, h.correlation_id, &HeartbeatResponse::default()).unwrap()
                }
            };
            stream.write_all(&frame.into_bytes()).unwrap();
        }
    });
    address
}

async fn open(payload: usize) -> Connection {
    let stream = tokio::net::TcpStream::connect(server(payload)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (connection, task) =
        Connection::new(NodeId(1), &config("a:1"), Arc::default(), Box::new(stream));
    let api = |api_key| ApiVersion { api_key, min_version: 0, max_version: 12 };
    let response = ApiVersionsResponse { api_keys: vec![api(1), api(12)], ..Default::default() };
    connection.negotiated(Versions::from_response(response));
    tokio::spawn(task);
    connection
}

#[tokio::test]
#[ignore = "a measurement"]
async fn cost() {
    for payload in [100, 10_000, 100_000, 1 << 20, 8 << 20] {
        let connection = open(payload).await;
        let rounds = (2usize << 30) / (payload + 20_000);
        let rounds = rounds.min(50_000);
        let (begin, wall) = (cpu(), std::time::Instant::now());
        for _ in 0..rounds {
            let request = FetchRequest::default();
            let reply = connection.start(&request, None, Duration::from_secs(9)).unwrap();
            let response = reply.await.unwrap();
            assert_eq!(
                response.responses[0].partitions[0].records.as_ref().unwrap().len(),
                payload
            );
        }
        let (spent, wall) = (cpu() - begin, wall.elapsed().as_secs_f64());
        let bytes = (rounds * payload) as f64;
        println!(
            "fetch {payload:>8} B: {:6.2} us/request, {:.3} s/GB, {:.2} GB/s wall",
            spent * 1e6 / rounds as f64,
            spent * 1e9 / bytes,
            bytes / wall / 1e9
        );
    }
    let connection = open(0).await;
    let rounds = 20_000;
    let (begin, wall) = (cpu(), std::time::Instant::now());
    for _ in 0..rounds {
        let replies: Vec<_> = (0..10)
            .map(|_| {
                connection
                    .start(&HeartbeatRequest::default(), None, Duration::from_secs(9))
                    .unwrap()
            })
            .collect();
        for reply in replies {
            reply.await.unwrap();
        }
    }
    let spent = cpu() - begin;
    println!(
        "heartbeat x10 pipelined: {:.2} us/request, {:.2} us wall",
        spent * 1e5 / f64::from(rounds),
        wall.elapsed().as_secs_f64() * 1e5 / f64::from(rounds)
    );
}
