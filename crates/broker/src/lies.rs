//! What the nodes say although it is not so, on command.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use foldhash::{HashMap, HashMapExt};
use roka_protocol::messages::metadata::MetadataResponse;

use crate::state::lock;

/// The lies that are being told.
#[derive(Debug)]
pub(crate) struct Lies {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// What metadata said when it was frozen.
    metadata: Option<Arc<MetadataResponse>>,
    /// Coordinators as named, by group or transactional id.
    coordinators: HashMap<String, (i32, SocketAddr)>,
    controller: Option<i32>,
    /// Leader and epoch as hinted, by topic and partition.
    hints: HashMap<(String, i32), (i32, i32)>,
}

impl Default for Lies {
    fn default() -> Self {
        let (coordinators, hints) = (HashMap::new(), HashMap::new());
        let inner = Inner { metadata: None, coordinators, controller: None, hints };
        Self { inner: Mutex::new(inner) }
    }
}

impl Lies {
    pub(crate) fn metadata(&self) -> Option<Arc<MetadataResponse>> {
        lock(&self.inner).metadata.clone()
    }

    pub(crate) fn freeze_metadata(&self, now: Option<MetadataResponse>) {
        lock(&self.inner).metadata = now.map(Arc::new);
    }

    pub(crate) fn coordinator(&self, key: &str) -> Option<(i32, SocketAddr)> {
        lock(&self.inner).coordinators.get(key).copied()
    }

    pub(crate) fn name_coordinator(&self, key: &str, node: Option<(i32, SocketAddr)>) {
        let coordinators = &mut lock(&self.inner).coordinators;
        match node {
            Some(node) => coordinators.insert(key.to_owned(), node),
            None => coordinators.remove(key),
        };
    }

    pub(crate) fn controller(&self) -> Option<i32> {
        lock(&self.inner).controller
    }

    pub(crate) fn move_controller(&self, node: i32) {
        lock(&self.inner).controller = Some(node);
    }

    pub(crate) fn hint(&self, topic: &str, partition: i32) -> Option<(i32, i32)> {
        let inner = lock(&self.inner);
        if inner.hints.is_empty() {
            return None;
        }
        inner.hints.get(&(topic.to_owned(), partition)).copied()
    }

    pub(crate) fn hint_at(&self, topic: &str, partition: i32, leader: Option<(i32, i32)>) {
        let hints = &mut lock(&self.inner).hints;
        match leader {
            Some(leader) => hints.insert((topic.to_owned(), partition), leader),
            None => hints.remove(&(topic.to_owned(), partition)),
        };
    }
}
