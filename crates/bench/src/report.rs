//! What a run prints.

use std::time::Duration;

use serde_json::{Value, json};

use crate::options::Options;

/// The answer to `describe`.
pub(crate) fn describe(options: &Options) -> Value {
    json!({
        "name": "roka",
        "library": concat!("roka ", env!("CARGO_PKG_VERSION")),
        "table": format!("{}-table", options.group),
        "count_encoding": "be64",
        "workloads": ["count", "enrich", "recover", "produce", "consume", "latency", "roll", "emit", "calls"],
    })
}

/// The last line of a run that processed `records` in `took`, with further fields.
pub(crate) fn print(options: &Options, records: u64, took: Duration, more: Value) {
    let seconds = took.as_secs_f64();
    let mut line = json!({
        "workload": options.workload,
        "records": records,
        "seconds": seconds,
        "records_per_s": records as f64 / seconds.max(1e-9),
    });
    if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
        line.extend(more);
    }
    println!("{line}");
}
