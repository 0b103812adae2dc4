//! The core over scripted brokers, in virtual time.

mod coordinators;
mod dials;
mod refreshes;
mod routes;

use std::sync::Arc;
use std::time::Duration;

use roka_protocol::ApiKey;

use super::Core;
use crate::Config;
use crate::testing::{Act, Net, Seen, brokers};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

/// A core on the test's runtime.
fn core(config: Config, net: &Net) -> Arc<Core> {
    let handle = tokio::runtime::Handle::current();
    Core::start(config, Arc::new(net.clone()), handle).unwrap()
}

/// Brokers that speak all versions and name each other; `other` answers what remains.
fn net(
    addresses: &'static [&'static str],
    other: impl Fn(&str, &Seen) -> Act + Send + Sync + 'static,
) -> Net {
    Net::new(move |address, seen| match seen.api() {
        ApiKey::ApiVersions => seen.all_versions(),
        ApiKey::Metadata => seen.answer(&brokers(addresses)),
        _ => other(address, seen),
    })
}
