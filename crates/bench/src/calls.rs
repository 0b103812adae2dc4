//! calls: a program that only administers, while brokers come and go. Each kind of call is made again and again until
//! SIGTERM. Printed: the calls that took long or failed.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use roka::shutdown_signal;
use roka_client::{
    Client, Config, Error, TopicPartition,
    admin::{Admin, NewTopic, OffsetSpec},
};
use serde_json::json;
use tokio::task::spawn_local;

use crate::{
    Outcome,
    options::Options,
    pauses::{Arrivals, Epoch},
    report,
};

/// Between two calls of one kind.
const REST: Duration = Duration::from_millis(20);
/// Between two topics that are made.
const LONG_REST: Duration = Duration::from_millis(500);

struct Kind {
    name: &'static str,
    calls: u64,
    took: Arrivals,
    failed: Vec<String>,
}

pub(crate) async fn run(options: &Options) -> Outcome {
    let client = Client::new(Config::new(&options.bootstrap))?;
    let (epoch, began) = (Epoch::now(), Instant::now());
    let (topic, group) = (options.output.clone(), options.group.clone());
    let partitions = client.admin().describe_topic(&topic).await?.partitions.len() as i32;
    let all: Vec<_> =
        (0..partitions).map(|it| (TopicPartition::new(&*topic, it), OffsetSpec::Latest)).collect();
    let mut made = 0;
    let kinds = [
        repeat(&client, epoch, "list_offsets", REST, async move |admin| {
            admin.list_offsets(&all).await.into_iter().try_for_each(|it| it.map(drop))
        }),
        repeat(&client, epoch, "describe_topic", REST, {
            let topic = topic.clone();
            async move |admin| admin.describe_topic(&topic).await.map(drop)
        }),
        repeat(&client, epoch, "list_group_offsets", REST, {
            let group = group.clone();
            async move |admin| admin.list_group_offsets(&group).await.map(drop)
        }),
        repeat(&client, epoch, "describe_group", REST, {
            async move |admin| admin.describe_group(&group).await.map(drop)
        }),
        repeat(&client, epoch, "describe_cluster", REST, async move |admin| {
            admin.describe_cluster().await.map(drop)
        }),
        repeat(&client, epoch, "create_topic", LONG_REST, async move |admin| {
            made += 1;
            let name = format!("{topic}-made-{made}");
            // Nobody else takes this name: an attempt whose answer got lost made the topic.
            match admin.create_topic(NewTopic::new(&*name, 3, 2)).await {
                Err(error) if !error.is_topic_exists() => return Err(error),
                _ => {}
            }
            admin.delete_topic(&name).await
        }),
    ];
    shutdown_signal().await;
    let calls = kinds.iter().map(|kind| kind.borrow().calls).sum();
    let kinds: serde_json::Map<_, _> = kinds
        .iter()
        .map(|kind| {
            let kind = kind.borrow();
            let line =
                json!({ "calls": kind.calls, "took": kind.took.json(), "failed": kind.failed });
            (kind.name.to_owned(), line)
        })
        .collect();
    report::print(options, calls, began.elapsed(), json!({ "kinds": kinds }));
    Ok(())
}

/// Makes the call again and again.
fn repeat(
    client: &Client,
    epoch: Epoch,
    name: &'static str,
    rest: Duration,
    mut call: impl AsyncFnMut(Admin) -> Result<(), Error> + 'static,
) -> Rc<RefCell<Kind>> {
    let (took, failed) = (Arrivals::new(epoch), Vec::new());
    let kind = Rc::new(RefCell::new(Kind { name, calls: 0, took, failed }));
    let (client, noted) = (client.clone(), kind.clone());
    spawn_local(async move {
        loop {
            let begun = Instant::now();
            let result = call(client.admin()).await;
            {
                let mut kind = noted.borrow_mut();
                kind.calls += 1;
                kind.took.arrived(begun, Instant::now());
                kind.failed.extend(result.err().map(|error| error.to_string()));
            }
            tokio::time::sleep(rest).await;
        }
    });
    kind
}
