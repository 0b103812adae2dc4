//! The client by itself: produce, consume, administer.

use std::time::Duration;

use roka_client::admin::{ConfigResource, OffsetSpec};
use roka_client::consumer::{Consumer, ConsumerConfig, Decompressor};
use roka_client::producer::{ProduceError, ProducerConfig, RecordRef};
use roka_client::{Client, Error, TopicPartition};

use crate::{PARTITIONS, TOPICS};

const GROUP: &str = "versions-readers";
/// How many records are written each time.
const RECORDS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes the first records; each is acknowledged by all replicas in sync.
pub async fn produce(client: &Client) -> roka::Result {
    write(client, 0).await
}

async fn write(client: &Client, first: usize) -> roka::Result {
    let producer = client.producer(ProducerConfig::default())?;
    let topic = producer.topic(TOPICS[0]).await?;
    for i in first..first + RECORDS {
        let (key, value) = (format!("key-{i}"), i.to_string());
        let record = RecordRef::new(key.as_bytes(), value.as_bytes());
        topic.send(i as i32 % PARTITIONS, record).await?;
    }
    producer.close().await?;
    Ok(())
}

/// A record with a header, which old brokers cannot store.
pub async fn headers(client: &Client) -> roka::Result {
    let producer = client.producer(ProducerConfig::default())?;
    let topic = producer.topic(TOPICS[0]).await?;
    let headers = [(&b"name"[..], Some(&b"value"[..]))];
    let record = RecordRef::value(b"with a header").headers(&headers);
    let written = topic.send_with_receipt(0, record).await?.await;
    // The error was told by the receipt already.
    let _ = producer.close().await;
    written.map(drop).map_err(|error: ProduceError| error.into())
}

/// All records are read by one member; then a second one joins, and what is written after that is read by both,
/// from the committed offsets on.
pub async fn consume(client: &Client) -> roka::Result {
    let config = || ConsumerConfig::new(GROUP, [TOPICS[0]]);
    let mut first = client.consumer(config())?;
    let mut seen = vec![0_u32; 2 * RECORDS];
    let mut decompressor = Decompressor::new();
    let all = async {
        while seen[..RECORDS].contains(&0) {
            note(&mut first, &mut decompressor, &mut seen).await?;
        }
        first.commit().await?;
        let mut second = client.consumer(config())?;
        let mut other = Decompressor::new();
        // Each of them has its share when both have some.
        while first.assigned().is_empty() || second.assigned().is_empty() {
            turn(&mut first, &mut second, &mut decompressor, &mut other, &mut seen).await?;
        }
        write(client, RECORDS).await?;
        while seen.contains(&0) {
            turn(&mut first, &mut second, &mut decompressor, &mut other, &mut seen).await?;
        }
        second.close().await?;
        first.close().await?;
        match seen.iter().position(|count| *count != 1) {
            Some(record) => Err(format!("record {record} was read {} times", seen[record]).into()),
            None => Ok(()),
        }
    };
    tokio::time::timeout(PATIENCE, all).await.map_err(|_| "not all records came in a minute")?
}

/// The next records of either.
async fn turn(
    first: &mut Consumer,
    second: &mut Consumer,
    one: &mut Decompressor,
    other: &mut Decompressor,
    seen: &mut [u32],
) -> roka::Result {
    let pause = tokio::time::sleep(Duration::from_millis(50));
    // `recv` is cancel safe.
    let (chunk, decompressor) = tokio::select! {
        chunk = first.recv() => (chunk?, one),
        chunk = second.recv() => (chunk?, other),
        () = pause => return Ok(()),
    };
    count(&chunk, decompressor, seen)
}

async fn note(
    consumer: &mut Consumer,
    decompressor: &mut Decompressor,
    seen: &mut [u32],
) -> roka::Result {
    count(&consumer.recv().await?, decompressor, seen)
}

fn count(
    chunk: &roka_client::consumer::Chunk,
    decompressor: &mut Decompressor,
    seen: &mut [u32],
) -> roka::Result {
    chunk.for_each(decompressor, |record| {
        let number = record.value.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        if let Some(count) = number.and_then(|number: usize| seen.get_mut(number)) {
            *count += 1;
        }
    })?;
    Ok(())
}

/// Calls that not every broker has.
pub async fn administration(client: &Client) -> Vec<(&'static str, Result<(), Error>)> {
    let admin = client.admin();
    let partition = || TopicPartition::new(TOPICS[0], 0);
    vec![
        (
            "offsets by time",
            admin.list_offset(partition(), OffsetSpec::Timestamp(0)).await.map(drop),
        ),
        ("list groups", admin.list_groups().await.map(drop)),
        ("describe group", admin.describe_group(GROUP).await.map(drop)),
        ("group offsets", admin.list_group_offsets(GROUP).await.map(drop)),
        (
            "describe configs",
            admin.describe_config(ConfigResource::topic(TOPICS[0])).await.map(drop),
        ),
        ("add partitions", admin.create_partitions(TOPICS[0], PARTITIONS + 1).await.map(drop)),
        ("delete records", admin.delete_records(&[(partition(), 1)]).await.remove(0).map(drop)),
        ("delete group", admin.delete_group(GROUP).await),
    ]
}
