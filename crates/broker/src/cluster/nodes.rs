//! Nodes start, stop, come anew, go for good and move to other addresses.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, mpsc},
    time::Duration,
};

use tracing::warn;

use super::Cluster;
use crate::{
    Error,
    net::{self, Port},
    node::Node,
    state::{Mode, NodeInfo, lock},
};

/// How long a node may take to close its connections before a command gives up waiting.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A node, and what the cluster holds for it.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) info: Arc<NodeInfo>,
    port: Port,
    /// Hear when it has stopped listening and the connections have ended; one per address that it had since it started.
    serving: Vec<mpsc::Receiver<()>>,
}

impl Seat {
    pub(super) fn new(info: Arc<NodeInfo>, port: Port) -> Self {
        Self { info, port, serving: Vec::new() }
    }

    /// Waits until a node that was told to has closed everything.
    pub(super) fn await_end(&mut self) {
        for ended in self.serving.drain(..) {
            if let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(STOP_TIMEOUT) {
                warn!(node = self.info.id, "the node has not ended its connections in time");
            }
        }
    }
}

impl Cluster {
    /// Starts a node that was stopped or killed; nothing when it runs. It takes part in its partitions again, and
    /// leads those that had no leader.
    pub fn start(&self, node: i32) -> Result<(), Error> {
        self.begin(node)?;
        self.shared.elect_all();
        Ok(())
    }

    pub(super) fn begin(&self, node: i32) -> Result<(), Error> {
        self.with_seat(node, |seat| {
            if seat.info.is_live() {
                return Ok(());
            }
            // Its last connections may still be about to end.
            seat.await_end();
            lock(&seat.info.sessions).clear();
            self.listen(seat, |info| info.set_mode(Mode::Running))
        })
    }

    /// Listens on the seat's port; `ready` before anybody is let in.
    fn listen(&self, seat: &mut Seat, ready: impl FnOnce(&NodeInfo)) -> Result<(), Error> {
        let listener = {
            let _within = self.handle.enter();
            seat.port.listen().map_err(|source| Error::Listen {
                node: seat.info.id,
                address: seat.port.address().to_string(),
                source,
            })?
        };
        ready(&seat.info);
        let (ended, hear) = mpsc::channel();
        let moved = seat.info.watch_moved();
        let served = Node::new(self.shared.clone(), seat.info.clone());
        self.handle.spawn(async move {
            net::serve(served, listener, moved).await;
            let _ = ended.send(());
        });
        seat.serving.push(hear);
        Ok(())
    }

    /// Stops a node in order: its partitions get other leaders, then its connections are closed and it refuses new
    /// ones.
    pub fn stop(&self, node: i32) -> Result<(), Error> {
        self.end_node(node, Mode::Stopped)
    }

    /// Stops a node as a crash does: clients see a reset.
    pub fn kill(&self, node: i32) -> Result<(), Error> {
        self.end_node(node, Mode::Killed)
    }

    fn end_node(&self, node: i32, mode: Mode) -> Result<(), Error> {
        self.with_seat(node, |seat| {
            seat.info.set_mode(mode);
            self.shared.elect_all();
            seat.await_end();
            Ok(())
        })
    }

    /// A new node joins, on any free port. It holds no partitions until topics are made, leaders are
    /// [moved](Self::move_leader) or partitions reassigned. Refused if a node has this id.
    pub fn add_node(&self, id: i32) -> Result<(), Error> {
        if id < 0 {
            return Err(Error::UnknownNode(id));
        }
        let rack = self.shared.nodes().iter().any(|it| it.rack.is_some());
        let mut seats = lock(&self.seats);
        let port = self.any_port(id)?;
        let info = Arc::new(NodeInfo::new(id, port.address(), rack.then(|| format!("rack-{id}"))));
        if !self.shared.add_node(info.clone()) {
            return Err(Error::NodeExists(id));
        }
        seats.push(Seat::new(info, port));
        drop(seats);
        self.start(id)
    }

    /// The node stops in order and leaves the cluster for good, replicas and all where it is not the last;
    /// [`add_node`](Self::add_node) may take its id again.
    pub fn remove_node(&self, node: i32) -> Result<(), Error> {
        self.stop(node)?;
        for topic in self.shared.topics.all() {
            topic.partitions().iter().for_each(|it| it.lock().leadership.forget(node));
        }
        self.shared.save_or_warn();
        self.shared.remove_node(node);
        lock(&self.seats).retain(|seat| seat.info.id != node);
        Ok(())
    }

    /// The node listens on another port from now on, which metadata names at once; its former port refuses. Connections
    /// that are open stay so until the node stops.
    pub fn readdress(&self, node: i32) -> Result<(), Error> {
        self.with_seat(node, |seat| {
            seat.port = self.any_port(node)?;
            let address = seat.port.address();
            if seat.info.is_live() {
                self.listen(seat, |info| info.move_to(address))
            } else {
                seat.info.move_to(address);
                Ok(())
            }
        })
    }

    fn any_port(&self, node: i32) -> Result<Port, Error> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let _within = self.handle.enter();
        Port::reserve(address).map_err(|source| Error::Listen {
            node,
            address: address.to_string(),
            source,
        })
    }

    fn with_seat<T>(
        &self,
        node: i32,
        change: impl FnOnce(&mut Seat) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut seats = lock(&self.seats);
        let seat = seats.iter_mut().find(|it| it.info.id == node);
        change(seat.ok_or(Error::UnknownNode(node))?)
    }
}
