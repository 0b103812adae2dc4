//! What the client did, counted: tests and metrics rest on it.

use std::sync::atomic::{AtomicU64, Ordering};

use roka_protocol::ApiKey;

/// APIs are few and their numbers small; the last slot is for those beyond.
const KEYS: usize = 128;

/// Counts, as they are now. All of them only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Per API: requests sent, error answers, retries.
    apis: Vec<ApiCounters>,
    /// Metadata answers taken.
    pub metadata_refreshes: u64,
    /// `FindCoordinator` lookups, each for one or more keys.
    pub coordinator_lookups: u64,
    /// Connections that were dialled and negotiated.
    pub connects: u64,
    /// Dials that failed.
    pub connect_failures: u64,
    /// Connections that the broker or the network ended.
    pub disconnects: u64,
    /// Connections that were ended because a request was not answered in time.
    pub request_timeouts: u64,
    /// Authentications that a broker took, those that renewed a session included (KIP-368).
    pub authentications: u64,
}

/// The counts of one API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ApiCounters {
    /// Requests put on a connection.
    pub requests: u64,
    /// Answers with an error that concerned the routing of the request, or no usable answer. For Produce and Fetch:
    /// with an error for any partition.
    pub errors: u64,
    /// Requests that repeated an earlier one, or a part of it. What is asked for again and again anyhow (Metadata, Fetch,
    /// Heartbeat) has none.
    pub retries: u64,
    /// The versions they were sent in, a bit each.
    versions: u64,
}

impl ApiCounters {
    /// The versions that requests were sent in, the lowest first. More than one where brokers differ, or
    /// differed in time.
    pub fn versions(&self) -> impl Iterator<Item = i16> + use<> {
        let versions = self.versions;
        (0..i16::MAX).take(64).filter(move |version| versions >> version & 1 == 1)
    }
}

impl Counters {
    /// The counts of one API.
    pub fn api(&self, api: ApiKey) -> ApiCounters {
        self.apis.get(slot(api)).copied().unwrap_or_default()
    }

    /// Requests of one API put on any connection.
    pub fn requests(&self, api: ApiKey) -> u64 {
        self.api(api).requests
    }

    /// The APIs that were used, in the order of their keys.
    pub fn used(&self) -> impl Iterator<Item = (ApiKey, ApiCounters)> + '_ {
        let used = self.apis.iter().enumerate().filter(|(_, counters)| counters.requests > 0);
        used.filter_map(|(key, counters)| {
            Some((ApiKey::from_i16(i16::try_from(key).ok()?)?, *counters))
        })
    }

    /// Requests of all APIs.
    pub fn requests_total(&self) -> u64 {
        self.apis.iter().map(|it| it.requests).sum()
    }
}

fn slot(api: ApiKey) -> usize {
    usize::try_from(api.key()).unwrap_or(KEYS - 1).min(KEYS - 1)
}

/// Where the client counts.
#[derive(Debug)]
pub(crate) struct Recorder {
    apis: Box<[[AtomicU64; 4]]>,
    others: [AtomicU64; 7],
}

/// What is counted without an API.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    MetadataRefresh,
    CoordinatorLookup,
    Connect,
    ConnectFailure,
    Disconnect,
    RequestTimeout,
    Authenticate,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { apis: (0..KEYS).map(|_| Default::default()).collect(), others: Default::default() }
    }
}

impl Recorder {
    pub(crate) fn request(&self, api: ApiKey) {
        self.apis[slot(api)][0].fetch_add(1, Ordering::Relaxed);
    }

    /// A request went in this version.
    pub(crate) fn version(&self, api: ApiKey, version: i16) {
        let versions = &self.apis[slot(api)][3];
        let bit = 1 << version.clamp(0, 63);
        // Nearly always it is there already.
        if versions.load(Ordering::Relaxed) & bit == 0 {
            versions.fetch_or(bit, Ordering::Relaxed);
        }
    }

    pub(crate) fn error(&self, api: ApiKey) {
        self.apis[slot(api)][1].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retry(&self, api: ApiKey) {
        self.apis[slot(api)][2].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn event(&self, event: Event) {
        self.others[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Counters {
        let load = |it: &AtomicU64| it.load(Ordering::Relaxed);
        let api = |[requests, errors, retries, versions]: &[AtomicU64; 4]| ApiCounters {
            requests: load(requests),
            errors: load(errors),
            retries: load(retries),
            versions: load(versions),
        };
        let other = |event: Event| load(&self.others[event as usize]);
        Counters {
            apis: self.apis.iter().map(api).collect(),
            metadata_refreshes: other(Event::MetadataRefresh),
            coordinator_lookups: other(Event::CoordinatorLookup),
            connects: other(Event::Connect),
            connect_failures: other(Event::ConnectFailure),
            disconnects: other(Event::Disconnect),
            request_timeouts: other(Event::RequestTimeout),
            authentications: other(Event::Authenticate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_used_are_told_per_api() {
        let recorder = Recorder::default();
        for version in [7, 3, 7] {
            recorder.request(ApiKey::Produce);
            recorder.version(ApiKey::Produce, version);
        }
        recorder.request(ApiKey::Metadata);
        recorder.version(ApiKey::Metadata, 0);
        recorder.retry(ApiKey::Fetch);
        let counters = recorder.snapshot();
        let used: Vec<_> =
            counters.used().map(|(api, it)| (api, it.requests, it.versions().collect())).collect();
        let expected = [(ApiKey::Produce, 3, vec![3, 7]), (ApiKey::Metadata, 1, vec![0])];
        assert_eq!(used, expected);
    }
}
