//! Connections that break after a random number of bytes, in pieces of random size, and dials that fail: every
//! record arrives once and in order.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use roka_broker::Cluster;
use roka_client::consumer::{Decompressor, FetchEvent, FetcherConfig, ResetPolicy, Start};
use roka_client::producer::{ProducerConfig, RecordRef};
use roka_client::{
    Address, Client, Config, Connecting, Stream, TcpTransport, TopicPartition, Transport,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// TCP over a bad line.
struct BadNetwork {
    rng: Mutex<fastrand::Rng>,
    /// Bytes that a connection carries in each direction, on the average.
    bytes: usize,
}

struct BadStream {
    inner: Box<dyn Stream>,
    rng: fastrand::Rng,
    read: usize,
    write: usize,
}

impl Transport for BadNetwork {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        let mut rng = self.rng.lock().unwrap().fork();
        Box::pin(async move {
            if rng.u8(..) < 50 {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let inner = TcpTransport.connect(address).await?;
            let (read, write) = (rng.usize(..self.bytes * 2), rng.usize(..self.bytes * 2));
            Ok(Box::new(BadStream { inner, rng, read, write }) as Box<dyn Stream>)
        })
    }
}

impl AsyncRead for BadStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let some = self.rng.usize(1..=9000).min(self.read).min(buf.remaining());
        let mut part = vec![0; some];
        let mut part = ReadBuf::new(&mut part);
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut part);
        self.read -= part.filled().len();
        buf.put_slice(part.filled());
        polled
    }
}

impl AsyncWrite for BadStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.write == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let some = self.rng.usize(1..=9000).min(self.write).min(buf.len());
        let polled = Pin::new(&mut self.inner).poll_write(cx, &buf[..some]);
        if let Poll::Ready(Ok(n)) = polled {
            self.write -= n;
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

fn config(cluster: &Cluster) -> Config {
    Config::new(cluster.bootstrap())
        .request_timeout(Duration::from_secs(5))
        .reconnect_backoff(Duration::from_millis(1))
        .reconnect_backoff_max(Duration::from_millis(10))
        .retry_backoff(Duration::from_millis(1))
        .retry_backoff_max(Duration::from_millis(20))
}

async fn produce(client: &Client, records: u32) {
    let producer = client.producer(ProducerConfig::default()).unwrap();
    let topic = producer.topic("t").await.unwrap();
    for i in 0..records {
        let value = i.to_be_bytes();
        topic.send((i % 3) as i32, RecordRef::value(&value)).await.unwrap();
        if i % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    producer.close().await.unwrap();
}

async fn consume(client: &Client, records: u32) {
    let fetcher = client.fetcher(FetcherConfig::default()).unwrap();
    let queue = fetcher.queue(1 << 20);
    for partition in 0..3 {
        let partition = TopicPartition::new("t", partition);
        fetcher.assign(partition, Start::Earliest, ResetPolicy::Fail, &queue, 0);
    }
    let mut next: Vec<u32> = (0..3).collect();
    let mut decompressor = Decompressor::new();
    while next.iter().any(|next| *next < records) {
        match queue.recv().await.unwrap() {
            FetchEvent::Data(chunk) => {
                let next = &mut next[chunk.partition().partition as usize];
                chunk
                    .for_each(&mut decompressor, |record| {
                        assert_eq!(record.value.unwrap(), next.to_be_bytes());
                        *next += 3;
                    })
                    .unwrap();
            }
            FetchEvent::Failed { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn every_record_arrives_once_and_in_order() {
    const RECORDS: u32 = 30_000;
    for seed in 0..3 {
        let cluster = Cluster::builder().nodes(3).start().await.unwrap();
        cluster.create_topic("t", 3, 3).unwrap();
        let rng = Mutex::new(fastrand::Rng::with_seed(seed));
        let network = Arc::new(BadNetwork { rng, bytes: 20_000 });
        let client = Client::with_transport(config(&cluster), network).unwrap();
        let run = async { tokio::join!(produce(&client, RECORDS), consume(&client, RECORDS)) };
        tokio::time::timeout(Duration::from_secs(60), run).await.expect("it stands still");
        let counters = client.counters();
        assert!(counters.disconnects > 20, "seed {seed} was harmless: {counters:?}");
        assert!(counters.connect_failures > 5, "seed {seed} was harmless: {counters:?}");
    }
}
