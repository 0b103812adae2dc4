//! A producer that writes numbers to partition 0 of `t`, and the proof that each is in the log once and in order.

use std::time::Duration;

use roka_broker::Cluster;
use roka_client::producer::{Producer, ProducerConfig, RecordRef, TopicHandle};
use roka_client::{Client, Config};

use crate::log::read_batches;
use crate::support::until;

/// See the module. No linger, so that each record goes as soon as it can.
pub(crate) struct Writer {
    pub(crate) client: Client,
    pub(crate) producer: Producer,
    pub(crate) topic: TopicHandle,
    sent: usize,
}

impl Writer {
    pub(crate) async fn new(cluster: &Cluster) -> Self {
        Self::with(Config::new(cluster.bootstrap()), ProducerConfig::default()).await
    }

    /// One record is written already: everything is connected and known.
    pub(crate) async fn with(config: Config, producer: ProducerConfig) -> Self {
        let client = Client::new(config).unwrap();
        let producer = client.producer(producer.linger(Duration::ZERO)).unwrap();
        let topic = producer.topic("t").await.unwrap();
        let mut writer = Self { client, producer, topic, sent: 0 };
        writer.write(1).await;
        writer
    }

    /// Sends, without waiting for acknowledgements.
    pub(crate) async fn send(&mut self, records: usize) {
        for _ in 0..records {
            let value = format!("{:06}", self.sent);
            self.topic.send(0, RecordRef::value(value.as_bytes())).await.unwrap();
            self.sent += 1;
        }
    }

    /// Sends, and waits until all is acknowledged.
    pub(crate) async fn write(&mut self, records: usize) {
        self.send(records).await;
        self.producer.flush().await.unwrap();
    }

    /// Has this many requests under way, none of which is answered: the leader must hang.
    pub(crate) async fn fill(&mut self, requests: u64) {
        let before = self.sent_requests();
        for more in 1..=requests {
            self.send(1).await;
            let client = self.client.clone();
            let sent = || client.counters().requests(roka_client::ApiKey::Produce);
            until("the request is under way", || sent() >= before + more).await;
        }
    }

    fn sent_requests(&self) -> u64 {
        self.client.counters().requests(roka_client::ApiKey::Produce)
    }

    /// Everything that was sent is in the log, once, in order, with contiguous sequences of one epoch.
    pub(crate) async fn check(self, cluster: &Cluster) {
        self.producer.flush().await.unwrap();
        let mut next = 0;
        for (batch, records) in read_batches(cluster, "t", 0) {
            assert_eq!((batch.producer_epoch, batch.base_sequence), (0, next as i32));
            for record in records {
                assert_eq!(record.value, Some(format!("{next:06}")));
                next += 1;
            }
        }
        assert_eq!(next, self.sent);
        assert_eq!(self.topic.acked_offset(0), Some(self.sent as i64 - 1));
    }
}
