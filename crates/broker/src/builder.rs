//! What a cluster is to be, before it starts.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::mpsc,
    time::Duration,
};

use crate::{
    Cluster, Error,
    config::BrokerConfig,
    runtime::{self, Plan},
    security::Settings,
};

/// Builds a [`Cluster`]. Defaults: one node, everything in memory, any free ports on 127.0.0.1, topics with Kafka's
/// default settings.
#[derive(Debug, Clone)]
pub struct Builder {
    nodes: usize,
    data_dir: Option<PathBuf>,
    base_port: u16,
    racks: bool,
    settings: Vec<(String, String)>,
    transaction_version: i16,
    security: Settings,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            nodes: 1,
            data_dir: None,
            base_port: 0,
            racks: false,
            settings: Vec::new(),
            transaction_version: 2,
            security: Settings::default(),
        }
    }
}

impl Builder {
    /// How many nodes, 1 to 100; their ids are 1 to this. Default: 1.
    #[must_use]
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// Keeps topics and records in this folder, which is made if it does not exist; a cluster that is started on
    /// it again goes on where the former ended, also after SIGKILL. Default: memory only.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// The port of the first node; the others follow. Default 0: any free ports.
    #[must_use]
    pub fn base_port(mut self, port: u16) -> Self {
        self.base_port = port;
        self
    }

    /// Puts each node into a rack of its own, `rack-1` and so on. Leaders then send consumers of another rack to the
    /// follower there (KIP-392). Default: no racks.
    #[must_use]
    pub fn racks(mut self) -> Self {
        self.racks = true;
        self
    }

    /// A setting of the brokers by Kafka's name, such as `log.retention.ms` or `num.partitions`. Checked at the
    /// start.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// The version of the transaction protocol that clients shall use, 0 to 2, as the feature `transaction.version`
    /// (KIP-890) says it. Default: 2, where every end of a transaction raises the producer's epoch.
    #[must_use]
    pub fn transaction_version(mut self, version: i16) -> Self {
        self.transaction_version = version;
        self
    }

    /// Clients must say who they are: this user may come in with this password, by SASL PLAIN, SCRAM-SHA-256 or
    /// SCRAM-SHA-512. Default: everybody may.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.security.users.insert(name.into(), password.into());
        self
    }

    /// How long an authentication holds (`connections.max.reauth.ms`, KIP-368). Default: for ever.
    #[must_use]
    pub fn sasl_session(mut self, length: Duration) -> Self {
        self.security.session = Some(length);
        self
    }

    /// All listeners speak TLS with this certificate (those between it and its CA after it) and key, both PEM text.
    #[must_use]
    pub fn tls(mut self, certificates: impl Into<String>, key: impl Into<String>) -> Self {
        self.security.tls = Some((certificates.into(), key.into()));
        self
    }

    /// Clients must have a certificate of this CA, PEM text. Only with [`tls`](Self::tls).
    #[must_use]
    pub fn client_ca(mut self, pem: impl Into<String>) -> Self {
        self.security.client_ca = Some(pem.into());
        self
    }

    /// Starts the cluster on threads of its own, and returns when every node listens.
    pub fn start_blocking(self) -> Result<Cluster, Error> {
        let (told, hear) = mpsc::sync_channel(1);
        let thread = runtime::spawn(self.plan()?, move |started| {
            // Nobody hears it when the caller was torn down.
            let _ = told.send(started);
        })?;
        let started = hear.recv().map_err(|_| runtime::ended_early())??;
        Cluster::launch(started, thread)
    }

    /// As [`start_blocking`](Self::start_blocking), from async code. The cluster does not run on the caller's
    /// runtime.
    pub async fn start(self) -> Result<Cluster, Error> {
        let (told, hear) = tokio::sync::oneshot::channel();
        let thread = runtime::spawn(self.plan()?, move |started| {
            let _ = told.send(started);
        })?;
        let started = hear.await.map_err(|_| runtime::ended_early())??;
        Cluster::launch(started, thread)
    }

    fn plan(self) -> Result<Plan, Error> {
        if !(1..=100).contains(&self.nodes) {
            return Err(Error::Nodes(self.nodes));
        }
        check_transaction_version(self.transaction_version)?;
        let mut config = BrokerConfig::default();
        for (name, value) in &self.settings {
            config.set(name, value)?;
        }
        let address = |at: usize| {
            let port =
                if self.base_port == 0 { 0 } else { self.base_port.saturating_add(at as u16) };
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        };
        Ok(Plan {
            addresses: (0..self.nodes).map(address).collect(),
            racks: self.racks,
            data_dir: self.data_dir,
            config,
            transaction_version: self.transaction_version,
            security: self.security,
        })
    }
}

/// Whether there is such a version of the transaction protocol.
pub(crate) fn check_transaction_version(version: i16) -> Result<(), Error> {
    if (0..=2).contains(&version) { Ok(()) } else { Err(Error::TransactionVersion(version)) }
}
