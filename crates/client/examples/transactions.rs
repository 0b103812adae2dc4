//! Reads orders, writes invoices, and counts each order exactly once: outputs and positions are one transaction.
//!
//!     cargo run -p roka-client --example transactions
//!
//! Without `--brokers host:port,...` it starts a cluster of its own, in this process. It writes the orders first, stops
//! its first worker in the midst of a transaction, and shows that its successor makes up for it.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use roka_broker::Cluster;
use roka_client::admin::NewTopic;
use roka_client::consumer::{
    Chunk, Consumer, ConsumerConfig, Decompressor, FetchEvent, FetcherConfig, Isolation,
    ResetPolicy, Start,
};
use roka_client::producer::{
    ProducerConfig, RecordRef, Recovery, TopicHandle, TransactionalConfig, TransactionalProducer,
};
use roka_client::{Client, Config, TopicPartition};

const ORDERS: usize = 1000;

/// One worker: a member of the group, and its producer.
struct Worker {
    consumer: Consumer,
    producer: TransactionalProducer,
    invoices: TopicHandle,
    decompressor: Decompressor,
}

impl Worker {
    async fn new(client: &Client, run: &str) -> Result<Self, Box<dyn Error>> {
        let mut config = ConsumerConfig::new(format!("billing-{run}"), [format!("orders-{run}")]);
        // Positions are committed by the transactions.
        config.auto_commit = None;
        config.fetcher = FetcherConfig::default().isolation(Isolation::ReadCommitted);
        let consumer = client.consumer(config)?;
        // Whoever had the id before is fenced, and what it left open is aborted.
        let config = TransactionalConfig::new(format!("billing-{run}-1"));
        let producer = client.transactional_producer(config).await?;
        let invoices = producer.topic(&format!("invoices-{run}")).await?;
        Ok(Self { consumer, producer, invoices, decompressor: Decompressor::new() })
    }

    /// Writes an invoice for each order of a chunk, without committing.
    async fn bill(&mut self, chunk: &Chunk) -> Result<usize, Box<dyn Error>> {
        let mut orders = Vec::new();
        chunk.for_each(&mut self.decompressor, |order| {
            let text = |bytes: Option<&[u8]>| {
                String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
            };
            orders.push((text(order.key), text(order.value)));
        })?;
        for (customer, order) in &orders {
            let invoice = format!("invoice for {order}");
            self.invoices
                .send_keyed(RecordRef::new(customer.as_bytes(), invoice.as_bytes()))
                .await?;
        }
        Ok(orders.len())
    }

    /// The next chunk, in a transaction of its own; how many orders it had.
    async fn step(&mut self) -> Result<usize, Box<dyn Error>> {
        let chunk = self.consumer.recv().await?;
        let mut transaction = self.producer.begin().await?;
        let billed = self.bill(&chunk).await?;
        let position = [(chunk.partition().clone(), chunk.next())];
        transaction.send_offsets(&self.consumer.group().metadata(), position).await?;
        match transaction.commit().await {
            Ok(()) => Ok(billed),
            Err(error) if error.recovery() == Recovery::Abort => {
                println!("aborted: {error}");
                self.consumer
                    .seek(chunk.partition(), roka_client::consumer::Position::at(chunk.offset()));
                Ok(0)
            }
            Err(error) => Err(error.into()),
        }
    }
}

async fn write_orders(client: &Client, topic: &str) -> Result<(), Box<dyn Error>> {
    let producer = client.producer(ProducerConfig::default())?;
    let orders = producer.topic(topic).await?;
    for i in 0..ORDERS {
        let (customer, order) = (format!("customer {}", i % 17), format!("order {i}"));
        orders.send_keyed(RecordRef::new(customer.as_bytes(), order.as_bytes())).await?;
    }
    Ok(producer.close().await?)
}

/// The invoices that are committed, up to `count`.
async fn read_invoices(
    client: &Client,
    topic: &str,
    count: usize,
) -> Result<Vec<String>, Box<dyn Error>> {
    let fetcher = client.fetcher(FetcherConfig::default().isolation(Isolation::ReadCommitted))?;
    let queue = fetcher.queue(1 << 20);
    for partition in 0..3 {
        let partition = TopicPartition::new(topic, partition);
        fetcher.assign(partition, Start::Earliest, ResetPolicy::Fail, &queue, 0);
    }
    let (mut seen, mut decompressor) = (Vec::new(), Decompressor::new());
    while seen.len() < count {
        match queue.recv().await {
            Some(FetchEvent::Data(chunk)) => chunk.for_each(&mut decompressor, |invoice| {
                let text = String::from_utf8_lossy(invoice.value.unwrap_or_default());
                seen.push(text.into_owned());
            })?,
            Some(FetchEvent::Failed { error, .. }) => return Err(error.into()),
            Some(_) => {}
            None => break,
        }
    }
    Ok(seen)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let given = std::env::args().skip_while(|it| it != "--brokers").nth(1);
    let own = match given {
        Some(_) => None,
        None => Some(Cluster::builder().nodes(3).start().await?),
    };
    let brokers = own.as_ref().map(Cluster::bootstrap).or(given).unwrap_or_default();
    let client = Client::new(Config::new(brokers))?;
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis().to_string();
    let (orders, invoices) = (format!("orders-{run}"), format!("invoices-{run}"));
    for topic in [&orders, &invoices] {
        client.admin().create_topic(NewTopic::new(topic.as_str(), 3, -1)).await?;
    }
    write_orders(&client, &orders).await?;

    let mut worker = Worker::new(&client, &run).await?;
    let mut billed = worker.step().await?;
    println!("the first worker committed {billed} invoices");
    let chunk = worker.consumer.recv().await?;
    let left = worker.producer.begin().await?;
    let lost = worker.bill(&chunk).await?;
    worker.producer.flush().await?;
    println!("it wrote {lost} more, and stops before it commits them");
    worker.consumer.close().await?;
    // As if the process had died: nobody aborts, only the successor's taking over does.
    std::mem::forget((left, worker.producer));

    let mut worker = Worker::new(&client, &run).await?;
    while billed < ORDERS {
        billed += worker.step().await?;
    }
    worker.consumer.close().await?;
    worker.producer.close().await?;
    let mut seen = read_invoices(&client, &invoices, ORDERS).await?;
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    println!("{count} invoices for {ORDERS} orders, {} of them different", seen.len());
    assert_eq!((count, seen.len()), (ORDERS, ORDERS));
    Ok(())
}
