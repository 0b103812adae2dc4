//! Which versions a node admits to: it can be made to look older than it is.

use std::{ops::RangeInclusive, sync::RwLock};

use foldhash::HashMap;
use roka_protocol::ApiKey;

use crate::{
    releases::Release,
    state::{read, write},
};

/// No version at all.
#[expect(clippy::reversed_empty_ranges, reason = "empty on purpose")]
pub(crate) const NONE: RangeInclusive<i16> = 0..=-1;

/// Caps per node; `None` as node is every node without a cap of its own.
#[derive(Debug, Default)]
pub(crate) struct Caps {
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    apis: HashMap<(Option<i32>, ApiKey), RangeInclusive<i16>>,
    releases: HashMap<Option<i32>, &'static Release>,
}

impl Caps {
    /// Only these versions of one API.
    pub(crate) fn set(&self, node: Option<i32>, api: ApiKey, versions: RangeInclusive<i16>) {
        write(&self.table).apis.insert((node, api), versions);
    }

    /// Only what a release speaks.
    pub(crate) fn pretend(&self, node: Option<i32>, release: &'static Release) {
        write(&self.table).releases.insert(node, release);
    }

    pub(crate) fn clear(&self) {
        *write(&self.table) = Table::default();
    }

    /// Of the versions that are served, those that the node admits to.
    pub(crate) fn apply(
        &self,
        node: i32,
        api: ApiKey,
        served: &RangeInclusive<i16>,
    ) -> RangeInclusive<i16> {
        let table = read(&self.table);
        let own = table.releases.get(&Some(node)).or_else(|| table.releases.get(&None));
        let release = own.map(|it| it.versions(api).unwrap_or(NONE));
        let cap = table.apis.get(&(Some(node), api)).or_else(|| table.apis.get(&(None, api)));
        let both = [release, cap.cloned()];
        both.iter()
            .flatten()
            .fold(served.clone(), |all, it| *all.start().max(it.start())..=*all.end().min(it.end()))
    }
}
