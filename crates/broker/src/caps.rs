//! Which versions a node admits to: it can be made to look older than it is.

use std::{ops::RangeInclusive, sync::RwLock};

use foldhash::HashMap;
use roka_protocol::ApiKey;

use crate::state::{read, write};

/// Caps per node and API; `None` as node is every node without a cap of its own.
#[derive(Debug, Default)]
pub(crate) struct Caps {
    table: RwLock<HashMap<(Option<i32>, ApiKey), RangeInclusive<i16>>>,
}

impl Caps {
    pub(crate) fn set(&self, node: Option<i32>, api: ApiKey, versions: RangeInclusive<i16>) {
        write(&self.table).insert((node, api), versions);
    }

    pub(crate) fn clear(&self) {
        write(&self.table).clear();
    }

    pub(crate) fn of(&self, node: i32, api: ApiKey) -> Option<RangeInclusive<i16>> {
        let table = read(&self.table);
        table.get(&(Some(node), api)).or_else(|| table.get(&(None, api))).cloned()
    }
}
