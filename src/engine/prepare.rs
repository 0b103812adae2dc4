//! Makes sure of the topics before anything runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use roka_client::Client;

use super::{
    cluster,
    error::ProcessorError,
    topics::{self, Create, Found, Wanted},
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
    let outputs: BTreeSet<String> =
        edges(Kind::Output).filter(|topic| Some(topic) != loopback.as_ref()).collect();
    Wanted {
        group: topology.group().to_owned(),
        inputs: inputs.collect(),
        joins: edges(Kind::Join).collect(),
        lookups: edges(Kind::Lookup).collect(),
        outputs: outputs.into_iter().collect(),
        table: topology.table_topic(),
        loopback,
    }
}

/// Checks the topics and makes the group's own. The number of partitions of everything that is partitioned alike, and
/// what was found.
pub(crate) async fn topics(
    client: &Client,
    config: &Config,
    wanted: &Wanted,
) -> Result<(i32, BTreeMap<String, Found>), ProcessorError> {
    loop {
        let found = cluster::describe(client, wanted).await?;
        let fit = topics::check(wanted, &found)?;
        if fit.create.is_empty() {
            return Ok((fit.partitions, found));
        }
        for Create { topic, partitions, cleanup } in &fit.create {
            tracing::info!(topic, partitions, cleanup, "creating a topic");
        }
        // What others create at the same time is found by the next look.
        cluster::create(client, config, wanted, &fit.create).await?;
        tokio::time::sleep(CREATED_LOOK).await;
    }
}
