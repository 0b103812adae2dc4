//! The command line of a contender: `WORKLOAD --name value …`, in any order.

use std::{collections::BTreeMap, fmt::Display, path::PathBuf, str::FromStr, time::Duration};

use roka_client::records::Compression;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What the harness asked for. Options that mean nothing to a workload are ignored.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) workload: String,
    pub(crate) bootstrap: String,
    pub(crate) group: String,
    pub(crate) state_dir: PathBuf,
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) table: String,
    /// How many inputs to process; all there is time for when absent.
    pub(crate) records: u64,
    pub(crate) limit: Duration,
    pub(crate) compression: Compression,
    pub(crate) linger: Option<Duration>,
    /// Threads that run callbacks; the framework's default when absent.
    pub(crate) workers: Option<usize>,
    /// Records per second of `emit`.
    pub(crate) rate: f64,
    /// `sled` or `memory`.
    pub(crate) store: String,
}

impl Options {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Error> {
        let workload =
            words.next().ok_or("usage: roka-bench WORKLOAD --bootstrap HOST:PORT,… …")?;
        let mut given = BTreeMap::new();
        while let Some(name) = words.next() {
            let name = name.strip_prefix("--").ok_or_else(|| format!("unexpected {name:?}"))?;
            let value = words.next().ok_or_else(|| format!("--{name} needs a value"))?;
            given.insert(name.to_owned(), value);
        }
        let text = |name: &str| given.get(name).cloned().unwrap_or_default();
        if given.get("guarantee").is_some_and(|it| it != "at-least-once") {
            return Err(format!("--guarantee {} is not available", text("guarantee")).into());
        }
        let compression = match text("compression").as_str() {
            "" | "none" => Compression::None,
            "lz4" => Compression::Lz4,
            other => return Err(format!("--compression {other:?}: none or lz4").into()),
        };
        Ok(Self {
            workload,
            bootstrap: text("bootstrap"),
            group: text("group"),
            state_dir: text("state-dir").into(),
            input: text("input"),
            output: text("output"),
            table: text("table"),
            records: number(&given, "records")?.unwrap_or(u64::MAX),
            limit: Duration::from_secs_f64(number(&given, "seconds")?.unwrap_or(300.0)),
            compression,
            linger: number(&given, "linger-ms")?.map(Duration::from_millis),
            workers: number(&given, "workers")?,
            rate: number(&given, "rate")?.unwrap_or(2000.0),
            store: text("store"),
        })
    }
}

fn number<T: FromStr<Err: Display>>(
    given: &BTreeMap<String, String>,
    name: &str,
) -> Result<Option<T>, Error> {
    let parse = |text: &String| text.parse().map_err(|e| format!("--{name} {text:?}: {e}").into());
    given.get(name).map(parse).transpose()
}
