//! One run of a processor, on a thread of its own, from the first look at the cluster to the last close.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use roka_client::{
    Client,
    consumer::{Fetcher, FetcherConfig},
    group::{GroupConfig, assignor::Assignor},
};
use tokio::sync::{mpsc, watch};

use super::{
    assignment::{Copartition, GokaCopartition, LocalState},
    cluster,
    control::{Control, Routes},
    error::ProcessorError,
    prepare,
    replica::{Replica, ReplicaThread},
    state::{State, StateBoard},
    stats::Counters,
    stores::Stores,
    topics::{Found, Tombstones, Wanted},
    worker::Shared,
};
use crate::{Assignment, Config, task::Topology};

/// Failures that may wait; only the first counts.
const FAILURES_MAX: usize = 16;

/// Members hear of a rebalance by their heartbeats: this is how long it waits for the slowest of them.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What a run and the handles on its processor share.
#[derive(Debug)]
pub(crate) struct Inside {
    pub(crate) board: Arc<StateBoard>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) routes: Arc<Routes>,
    /// Number of partitions, once it is known.
    pub(crate) partitions: watch::Sender<Option<i32>>,
    pub(crate) stop: watch::Sender<bool>,
}

impl Default for Inside {
    fn default() -> Self {
        Self {
            board: Arc::default(),
            counters: Arc::default(),
            routes: Arc::default(),
            partitions: watch::Sender::new(None),
            stop: watch::Sender::new(false),
        }
    }
}

/// Runs a graph until it is to stop, or fails.
pub(crate) async fn run(
    topology: Arc<dyn Topology>,
    config: Arc<Config>,
    inside: Arc<Inside>,
) -> Result<(), ProcessorError> {
    inside.board.set(State::Joining);
    let client = connect(&config)?;
    let mut stop = inside.stop.subscribe();
    let result = tokio::select! {
        // An error means that all handles are gone, and so is the one who waits for this.
        _ = stop.wait_for(|stop| *stop) => Ok(None),
        session = Session::prepare(topology, config, &inside, client.clone()) => session.map(Some),
    };
    let result = match result {
        Ok(Some(session)) => session.run(&inside).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    client.close().await;
    result
}

fn connect(config: &Config) -> Result<Client, ProcessorError> {
    let action = || "starting the client".to_owned();
    Client::new(config.client())
        .map_err(|source| ProcessorError::Refused { action: action(), source })
}

/// Everything a run needs, once the topics are known to fit.
struct Session {
    shared: Shared,
    replicas: ReplicaThread,
    failures: mpsc::Receiver<ProcessorError>,
}

impl Session {
    async fn prepare(
        topology: Arc<dyn Topology>,
        config: Arc<Config>,
        inside: &Inside,
        client: Client,
    ) -> Result<Self, ProcessorError> {
        cluster::reach(&client, &config).await?;
        let wanted = prepare::wanted(&*topology);
        let (partitions, found) = prepare::topics(&client, &config, &wanted).await?;
        inside.partitions.send_replace(Some(partitions));
        let (failures, receiver) = mpsc::channel(FAILURES_MAX);
        let fetchers = Fetchers::new(&client, &config, &wanted)?;
        let stores = Stores::new(&config, topology.group());
        let replicas = lookups(&wanted, &config, &stores.of_lookups(), &found).await?;
        let lookups = replicas.iter().map(|replica| Arc::clone(&replica.table)).collect();
        let replicas = ReplicaThread::start(
            client.clone(),
            fetchers.lookups,
            config.isolation,
            replicas,
            failures.clone(),
        )?;
        let local = local_state(&stores, &wanted);
        let group = join(&client, &config, &wanted, local.clone())?;
        let shared = Shared {
            topology,
            config,
            client,
            fetcher: fetchers.inputs,
            table_fetcher: fetchers.tables,
            group,
            stores,
            lookups,
            board: Arc::clone(&inside.board),
            counters: Arc::clone(&inside.counters),
            local,
            tombstones: Tombstones::new(&found),
            failures,
            partitions: partitions.unsigned_abs() as usize,
        };
        Ok(Self { shared, replicas, failures: receiver })
    }

    async fn run(self, inside: &Inside) -> Result<(), ProcessorError> {
        let Self { shared, replicas, mut failures } = self;
        let group = shared.group.clone();
        let mut stop = inside.stop.subscribe();
        // The group is joined at once, so that its others know; records wait for the lookups.
        let ready = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => Ok(false),
            failure = failures.recv() => failure.map_or(Ok(false), Err),
            ready = replicas.ready() => Ok(ready),
        };
        let result = match ready {
            Ok(true) => match Control::start(shared, Arc::clone(&inside.routes)) {
                Ok(control) => control.run(&mut failures, inside.stop.subscribe()).await,
                Err(error) => Err(error),
            },
            Ok(false) => {
                group.leave().await;
                Ok(())
            }
            Err(error) => {
                group.leave().await;
                Err(error)
            }
        };
        replicas.join();
        result
    }
}

/// Who fetches what: a fetcher reads a partition once, so what is read in two roles has a fetcher for each. One that
/// all can share saves connections and requests.
struct Fetchers {
    inputs: Fetcher,
    /// The group table and the joined ones.
    tables: Fetcher,
    lookups: Fetcher,
}

impl Fetchers {
    fn new(client: &Client, config: &Config, wanted: &Wanted) -> Result<Self, ProcessorError> {
        let new = || client.fetcher(fetching(config)).map_err(refused("starting to fetch"));
        let share = |shared: &Fetcher, topics: &[String], others: &[String]| {
            let twice = topics.iter().any(|topic| others.contains(topic));
            if twice { new() } else { Ok(shared.clone()) }
        };
        let inputs = new()?;
        let tables = share(&inputs, &wanted.joins, &wanted.inputs)?;
        let others = [&wanted.inputs[..], &wanted.joins].concat();
        let lookups = share(&inputs, &wanted.lookups, &others)?;
        Ok(Self { inputs, tables, lookups })
    }
}

/// The fetcher's part of the configuration.
pub(crate) fn fetching(config: &Config) -> FetcherConfig {
    FetcherConfig::default().isolation(config.isolation)
}

fn refused(action: &'static str) -> impl FnOnce(roka_client::Error) -> ProcessorError {
    move |source| ProcessorError::Refused { action: action.to_owned(), source }
}

fn join(
    client: &Client,
    config: &Config,
    wanted: &Wanted,
    local: LocalState,
) -> Result<roka_client::group::Group, ProcessorError> {
    let topics = wanted.inputs.iter().chain(&wanted.loopback);
    let mut settings = GroupConfig::new(wanted.group.as_str(), topics.cloned())
        .session_timeout(config.session_timeout)
        .rebalance_timeout(config.rebalance_timeout)
        .heartbeat_interval(HEARTBEAT.min(config.session_timeout / 3));
    if let Some(instance_id) = &config.instance_id {
        settings = settings.instance_id(instance_id.as_str());
    }
    let assignor: Arc<dyn Assignor> = match config.assignment {
        Assignment::Sticky => Arc::new(Copartition::new(local)),
        Assignment::Goka => Arc::new(GokaCopartition),
    };
    client.group(settings, vec![assignor]).map_err(refused("joining the group"))
}

/// Opens the stores of the looked-up tables.
async fn lookups(
    wanted: &Wanted,
    config: &Config,
    stores: &Stores,
    found: &BTreeMap<String, Found>,
) -> Result<Vec<Replica>, ProcessorError> {
    let mut replicas = Vec::new();
    for topic in &wanted.lookups {
        // All that are wanted were found, or there would be an error by now.
        if let Some(found) = found.get(topic) {
            replicas.push(Replica::open(stores, config, topic, found).await?);
        }
    }
    Ok(replicas)
}

/// What the local stores hold from earlier runs.
fn local_state(stores: &Stores, wanted: &Wanted) -> LocalState {
    let local = LocalState::default();
    if let Some(table) = &wanted.table {
        for (partition, offset) in stores.positions(table) {
            local.set(partition, offset);
        }
    }
    local
}
