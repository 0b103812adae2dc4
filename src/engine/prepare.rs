//! Makes sure of the topics before anything runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use roka_client::Client;

use super::{
    cluster,
    error::ProcessorError,
    topics::{self, Create, Wanted},
};
use crate::{Config, graph::Kind, task::Topology};

/// Until a topic that was created is looked for.
const CREATED_LOOK: Duration = Duration::from_millis(50);

/// The topics that a graph names.
pub(crate) fn wanted(topology: &dyn Topology) -> Wanted {
    let inputs = (0..topology.input_count()).map(|place| topology.input(place));
    let inputs = inputs.filter(|input| !input.is_loop).map(|input| input.topic.to_owned());
    let edges = |kind| topology.edges().of(kind).iter().map(|edge| edge.topic.clone());
    let loopback = topology.loop_topic();
    let others = edges(Kind::Lookup).chain(edges(Kind::Output));
    let others: BTreeSet<String> =
        others.filter(|topic| Some(topic) != loopback.as_ref()).collect();
    Wanted {
        group: topology.group().to_owned(),
        inputs: inputs.collect(),
        joins: edges(Kind::Join).collect(),
        others: others.into_iter().collect(),
        table: topology.table_topic(),
        loopback,
    }
}

/// Checks the topics and makes the group's own. The number of partitions of everything that is partitioned alike, and
/// that of each topic.
pub(crate) async fn topics(
    client: &Client,
    config: &Config,
    wanted: &Wanted,
) -> Result<(i32, BTreeMap<String, i32>), ProcessorError> {
    loop {
        let found = cluster::describe(client, wanted).await?;
        let fit = topics::check(wanted, &found)?;
        if fit.create.is_empty() {
            let counts = found.into_iter().map(|(topic, found)| (topic, found.partitions));
            return Ok((fit.partitions, counts.collect()));
        }
        for Create { topic, partitions, cleanup } in &fit.create {
            tracing::info!(topic, partitions, cleanup, "creating a topic");
        }
        // What others create at the same time is found by the next look.
        cluster::create(client, config, wanted, &fit.create).await?;
        tokio::time::sleep(CREATED_LOOK).await;
    }
}
