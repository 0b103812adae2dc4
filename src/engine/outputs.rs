//! What a worker writes: emitted messages and rows, through its one producer.
//!
//! - A message's partition is decided by its key, by the hash that the group is configured with.
//! - Messages without a key go to one partition for a while, then to the next: full batches, even load.
//! - A row goes to the changelog partition of the partition that it belongs to, whatever its key hashes to: that is where
//!   recovery reads it.
//! - Nothing is allocated per message, unless it has headers.

use std::{cell::Cell, sync::Arc};

use roka_client::{
    Client,
    producer::{ProduceError, Producer, ProducerConfig, RecordRef, TopicHandle, TrySendError},
};

use super::{cluster, error::ProcessorError, mark};
use crate::{Config, Hasher, effects::Emit, graph::Kind, task::Topology};

/// Messages without a key that go to one partition before the next gets its turn.
const KEYLESS_RUN: u32 = 1024;

/// Why something was not taken.
#[derive(Debug)]
pub(crate) enum EmitError {
    /// The producer's memory is used up: wait, by the method that waits.
    Full,
    /// Waiting does not help.
    Failed(ProcessorError),
}

/// A worker's producer and the topics it writes.
pub(crate) struct Outputs {
    producer: Producer,
    /// By place in the graph's outputs.
    topics: Vec<Output>,
    table: Option<TopicHandle>,
    table_topic: Arc<str>,
    hasher: Hasher,
}

struct Output {
    handle: TopicHandle,
    keyless: Cell<u32>,
}

impl Outputs {
    /// Finds the topics; waits for a cluster that is away.
    pub(crate) async fn new(
        client: &Client,
        topology: &dyn Topology,
        config: &Config,
    ) -> Result<Self, ProcessorError> {
        let settings = ProducerConfig::default()
            .linger(config.linger)
            .delivery_timeout(config.delivery_timeout);
        let producer = client.producer(settings).map_err(|source| ProcessorError::Refused {
            action: "starting a producer".to_owned(),
            source,
        })?;
        let mut topics = Vec::new();
        for edge in topology.edges().of(Kind::Output) {
            let handle = topic(&producer, &edge.topic).await?;
            topics.push(Output { handle, keyless: Cell::new(0) });
        }
        let table_topic = topology.table_topic();
        let table = match &table_topic {
            Some(name) => Some(topic(&producer, name).await?),
            None => None,
        };
        let table_topic = table_topic.unwrap_or_default().into();
        Ok(Self { producer, topics, table, table_topic, hasher: config.hasher })
    }

    /// Whether the graph emits anything beside rows.
    pub(crate) fn emits(&self) -> bool {
        !self.topics.is_empty()
    }

    /// The topic of the group table.
    pub(crate) fn table_topic(&self) -> Arc<str> {
        Arc::clone(&self.table_topic)
    }

    /// Hands an emitted message to the producer.
    #[inline]
    pub(crate) fn try_emit(&self, emit: Emit<'_>) -> Result<(), EmitError> {
        let output = &self.topics[emit.output()];
        let partition = self.partition(output, emit.key());
        if emit.headers().len() == 0 {
            return try_send(&output.handle, partition, record(emit, &[]));
        }
        let headers: Vec<_> = emit.headers().collect();
        try_send(&output.handle, partition, record(emit, &headers))
    }

    /// As [`try_emit`](Self::try_emit), waiting for memory.
    pub(crate) async fn emit(&self, emit: Emit<'_>) -> Result<(), ProcessorError> {
        let output = &self.topics[emit.output()];
        let partition = self.partition(output, emit.key());
        let headers: Vec<_> = emit.headers().collect();
        output.handle.send(partition, record(emit, &headers)).await.map_err(failed)
    }

    #[inline]
    fn partition(&self, output: &Output, key: Option<&[u8]>) -> i32 {
        let partitions = output.handle.partitions();
        if let Some(key) = key {
            return self.hasher.partition(key, partitions);
        }
        let count = output.keyless.get();
        output.keyless.set(count.wrapping_add(1));
        ((count / KEYLESS_RUN) % partitions.unsigned_abs().max(1)) as i32
    }

    /// Hands a row to the producer.
    pub(crate) fn try_row(
        &self,
        partition: i32,
        key: &[u8],
        value: Option<&[u8]>,
        mark: Option<&[u8]>,
    ) -> Result<(), EmitError> {
        let Some(table) = &self.table else { return Ok(()) };
        let headers = [(mark::HEADER, mark)];
        try_send(table, partition, row(key, value, mark, &headers))
    }

    /// As [`try_row`](Self::try_row), waiting for memory.
    pub(crate) async fn row(
        &self,
        partition: i32,
        key: &[u8],
        value: Option<&[u8]>,
        mark: Option<&[u8]>,
    ) -> Result<(), ProcessorError> {
        let Some(table) = &self.table else { return Ok(()) };
        let headers = [(mark::HEADER, mark)];
        table.send(partition, row(key, value, mark, &headers)).await.map_err(failed)
    }

    /// The highest offset in that changelog partition that was acknowledged to this producer.
    pub(crate) fn acked_row(&self, partition: i32) -> Option<i64> {
        self.table.as_ref()?.acked_offset(partition)
    }

    /// Waits until everything written so far is acknowledged. The error is the first since the last flush.
    pub(crate) async fn flush(&self) -> Result<(), ProduceError> {
        self.producer.flush().await
    }

    /// Ends the producer; what is not acknowledged yet is given up.
    pub(crate) async fn close(&self) {
        if let Err(error) = self.producer.close().await {
            tracing::debug!(%error, "closing a producer");
        }
    }
}

async fn topic(producer: &Producer, name: &str) -> Result<TopicHandle, ProcessorError> {
    cluster::patiently("looking up an output", async || producer.topic(name).await).await
}

type Headers<'a> = [(&'a [u8], Option<&'a [u8]>)];

fn record<'a>(emit: Emit<'a>, headers: &'a Headers<'a>) -> RecordRef<'a> {
    RecordRef { key: emit.key(), value: emit.value(), headers, timestamp_ms: emit.timestamp_ms() }
}

fn row<'a>(
    key: &'a [u8],
    value: Option<&'a [u8]>,
    mark: Option<&[u8]>,
    headers: &'a Headers<'a>,
) -> RecordRef<'a> {
    let headers = if mark.is_some() { headers } else { &[] };
    RecordRef { key: Some(key), value, headers, timestamp_ms: None }
}

#[inline]
fn try_send(handle: &TopicHandle, partition: i32, record: RecordRef<'_>) -> Result<(), EmitError> {
    match handle.try_send(partition, record) {
        Ok(()) => Ok(()),
        Err(TrySendError::Full { .. }) => Err(EmitError::Full),
        Err(TrySendError::Failed(error)) => Err(EmitError::Failed(failed(error))),
        Err(error) => Err(EmitError::Failed(unknown(&error))),
    }
}

#[cold]
fn failed(error: ProduceError) -> ProcessorError {
    let topic = error.partition().map_or("the cluster", |(topic, _)| topic).to_owned();
    ProcessorError::Write { topic, source: error.into() }
}

#[cold]
fn unknown(error: &TrySendError) -> ProcessorError {
    ProcessorError::Write { topic: "the cluster".to_owned(), source: error.to_string().into() }
}
