//! The rows of the scenarios S3h (a table whose log is not what it was) and S4 (brokers under a processor): the processor never
//! ends, counts every record, and its table is exact. They run by `cargo test -p roka --test scenarios`, which prints
//! them as a table; on the embedded cluster only.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod s3h_recovery;
mod s4_brokers;
mod support;
#[path = "../../crates/client/tests/scenarios/table.rs"]
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut rows = s3h_recovery::rows();
    rows.extend(s4_brokers::rows());
    table::run(rows)
}
