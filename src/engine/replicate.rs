//! The thread of a view: finds the table, feeds it, until the view ends.

use std::{sync::Arc, time::Duration};

use roka_client::{Client, TopicPartition, consumer::Fetcher};
use tokio::sync::{mpsc, watch};

use super::{
    cluster,
    error::ProcessorError,
    replica::{Replica, ReplicaThread},
    session::fetching,
    state::State,
    stores::Stores,
    topics::{TopicError, Wanted},
};
use crate::{Config, view::Inside};

/// Keeps the table up to date until the view is stopped. Blocks.
pub(crate) fn replicate(
    config: &Config,
    topic: &str,
    inside: &Inside,
    stopped: watch::Receiver<bool>,
) {
    let result = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(config, topic, inside, stopped)),
        Err(error) => {
            let reason = format!("no runtime: {error}");
            Err(ProcessorError::Thread { name: "roka-view", reason })
        }
    };
    if let Err(error) = result {
        tracing::error!(topic, %error, "a view has ended");
        // Only this thread sets it.
        let _ = inside.ended.set(Arc::new(error));
    }
    inside.board.set(State::Stopped);
}

async fn run(
    config: &Config,
    topic: &str,
    inside: &Inside,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), ProcessorError> {
    let refused = |action: &str| {
        let action = action.to_owned();
        move |source| ProcessorError::Refused { action, source }
    };
    let client = Client::new(config.client()).map_err(refused("starting the client"))?;
    let fetcher = client.fetcher(fetching(config)).map_err(refused("starting to fetch"))?;
    let (failures, mut failed) = mpsc::channel(1);
    let result = tokio::select! {
        // An error means that the view is gone.
        _ = stopped.wait_for(|stop| *stop) => Ok(None),
        opened = open(&client, config, topic) => opened.map(Some),
    };
    let result = match result {
        Ok(Some(replica)) => {
            // Only this thread sets it.
            let _ = inside.table.set(Arc::clone(&replica.table));
            inside.board.set(State::Recovering);
            let partitions = 0..replica.table.partitions() as i32;
            let partitions = partitions.map(|partition| TopicPartition::new(topic, partition));
            let partitions: Vec<_> = partitions.collect();
            let fetching = fetcher.clone();
            let thread = ReplicaThread::start(
                client.clone(),
                fetcher,
                config.isolation,
                vec![replica],
                failures,
            )?;
            let followed = tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => Ok(()),
                failure = failed.recv() => failure.map_or(Ok(()), Err),
                () = follow(&thread, &fetching, &partitions, inside) => Ok(()),
            };
            inside.board.set(State::Stopping);
            thread.join();
            followed
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    client.close().await;
    result
}

async fn open(client: &Client, config: &Config, topic: &str) -> Result<Replica, ProcessorError> {
    cluster::reach(client, config).await?;
    let wanted =
        Wanted { group: VIEW.to_owned(), lookups: vec![topic.to_owned()], ..Wanted::default() };
    let found = cluster::describe(client, &wanted).await?;
    let Some(found) = found.get(topic) else {
        let topics = vec![topic.to_owned()];
        return Err(TopicError::Missing { group: wanted.group, topics }.into());
    };
    Replica::open(&Stores::new(config, VIEW), config, topic, found).await
}

/// How often to look whether the view is up to date.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The folder of views below the state directory: no group can be called so.
const VIEW: &str = "(views)";

/// Says when the view is ready, and from then on whether it is up to date.
async fn follow(
    thread: &ReplicaThread,
    fetcher: &Fetcher,
    partitions: &[TopicPartition],
    inside: &Inside,
) {
    if !thread.ready().await {
        // It ended with an error that is reported elsewhere.
        return std::future::pending().await;
    }
    loop {
        let up_to_date = partitions.iter().all(|partition| fetcher.is_following(partition));
        inside.board.set(if up_to_date { State::Running } else { State::Stale });
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
