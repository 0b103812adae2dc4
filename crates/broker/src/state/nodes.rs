//! One node as the others see it: where it listens, how it is, what it was asked.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::watch;

use super::lock;
use crate::api::Sessions;

/// Keys beyond this are counted together.
const KEYS: usize = 128;

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Running,
    /// Connections stay open and nothing is answered, as after SIGSTOP.
    Hanging,
    /// Not listening; connections were closed in order.
    Stopped,
    /// Not listening; connections were reset.
    Killed,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct NodeInfo {
    pub(crate) id: i32,
    pub(crate) rack: Option<String>,
    address: Mutex<SocketAddr>,
    mode: watch::Sender<Mode>,
    /// Changes when every open connection has to end.
    severed: watch::Sender<u64>,
    pub(crate) sessions: Mutex<Sessions>,
    requests: Vec<AtomicU64>,
    connects: AtomicU64,
    /// Connections that are open.
    open: AtomicUsize,
    /// Changes when it listens somewhere else from now on.
    moved: watch::Sender<u64>,
    /// Metadata leaves it out, although it serves.
    hidden: AtomicBool,
}

/// Counts a connection for as long as it lives.
#[derive(Debug)]
pub(crate) struct Open<'a>(&'a NodeInfo);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl NodeInfo {
    pub(crate) fn new(id: i32, address: SocketAddr, rack: Option<String>) -> Self {
        Self {
            id,
            rack,
            address: Mutex::new(address),
            mode: watch::Sender::new(Mode::Stopped),
            severed: watch::Sender::new(0),
            sessions: Mutex::default(),
            requests: (0..KEYS).map(|_| AtomicU64::new(0)).collect(),
            connects: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            moved: watch::Sender::new(0),
            hidden: AtomicBool::new(false),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        *lock(&self.address)
    }

    /// Listens there from now on: sockets that listen elsewhere end, connections stay.
    pub(crate) fn move_to(&self, address: SocketAddr) {
        *lock(&self.address) = address;
        self.moved.send_modify(|count| *count += 1);
    }

    pub(crate) fn watch_moved(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.hidden.load(Ordering::Relaxed)
    }

    pub(crate) fn set_hidden(&self, hidden: bool) {
        self.hidden.store(hidden, Ordering::Relaxed);
    }

    pub(crate) fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Mode> {
        self.mode.subscribe()
    }

    pub(crate) fn is_live(&self) -> bool {
        matches!(self.mode(), Mode::Running | Mode::Hanging)
    }

    /// Ends every open connection.
    pub(crate) fn sever(&self) {
        self.severed.send_modify(|count| *count += 1);
    }

    pub(crate) fn watch_severed(&self) -> watch::Receiver<u64> {
        self.severed.subscribe()
    }

    pub(crate) fn count_request(&self, key: i16) {
        self.requests[slot(key)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn requests(&self, key: i16) -> u64 {
        self.requests[slot(key)].load(Ordering::Relaxed)
    }

    pub(crate) fn count_connect(&self) {
        self.connects.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection is open until the value is dropped.
    pub(crate) fn count_open(&self) -> Open<'_> {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(self)
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(crate) fn connects(&self) -> u64 {
        self.connects.load(Ordering::Relaxed)
    }
}

fn slot(key: i16) -> usize {
    usize::try_from(key).unwrap_or(KEYS - 1).min(KEYS - 1)
}
