//! One node, as the handlers of its requests hold it.

use std::sync::Arc;

use crate::state::{NodeInfo, Shared};

/// A node of the cluster: the shared state, seen from one place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) shared: Arc<Shared>,
    info: Arc<NodeInfo>,
}

impl Node {
    pub(crate) fn new(shared: Arc<Shared>, info: Arc<NodeInfo>) -> Self {
        Self { shared, info }
    }

    pub(crate) fn id(&self) -> i32 {
        self.info().id
    }

    pub(crate) fn info(&self) -> &NodeInfo {
        &self.info
    }
}
